#include "net/metrics.h"

#include "support/cmocka_all.h"
#include "base/compiler.h"
#include <stdio.h>
#include <string.h>

static const double buckets[] = {0.1, 1};

static const struct metric_family families[] = {
    {.name = "jobs_total", .type = METRIC_COUNTER, .help = "Jobs.", .labels = {"kind", "end"}},
    {.name = "length", .type = METRIC_GAUGE, .help = "Length."},
    {.name = "time_seconds",
     .type = METRIC_HISTOGRAM,
     .help = "Time.",
     .labels = {"kind"},
     .buckets = buckets,
     .bucket_count = ARRAY_COUNT(buckets)},
    {.name = "silent_total", .type = METRIC_COUNTER, .help = "Silent.", .labels = {"kind"}},
    {0},
};

static void assert_text(struct metrics *metrics, const char *expected)
{
    struct error error = {0};
    struct buffer text = BUFFER_WITH_MAX(1 << 20);
    metrics_gather(metrics);
    assert_true(metrics_format(metrics, &text, &error));
    assert_string_equal(buffer_text(&text), expected);
    buffer_finish(&text);
}

static void what_was_counted_is_written(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_open("gateway");
    metrics_register(metrics, families);
    metrics_add(metrics, &families[0], (const char *const[]){"a", "ok"}, 1);
    metrics_add(metrics, &families[0], (const char *const[]){"a", "ok"}, 2);
    metrics_add(metrics, &families[0], (const char *const[]){"q\"\\\n", "no"}, 0.5);
    metrics_set(metrics, &families[1], NULL, 12345678901);
    metrics_observe(metrics, &families[2], (const char *const[]){"a"}, 0.1);
    metrics_observe(metrics, &families[2], (const char *const[]){"a"}, 0.5);
    metrics_observe(metrics, &families[2], (const char *const[]){"a"}, 7);
    assert_text(metrics, "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
                         "jobs_total{service=\"gateway\",kind=\"a\",end=\"ok\"} 3\n"
                         "jobs_total{service=\"gateway\",kind=\"q\\\"\\\\\\n\",end=\"no\"} 0.5\n"
                         "# HELP length Length.\n# TYPE length gauge\n"
                         "length{service=\"gateway\"} 12345678901\n"
                         "# HELP time_seconds Time.\n# TYPE time_seconds histogram\n"
                         "time_seconds_bucket{service=\"gateway\",kind=\"a\",le=\"0.1\"} 1\n"
                         "time_seconds_bucket{service=\"gateway\",kind=\"a\",le=\"1\"} 2\n"
                         "time_seconds_bucket{service=\"gateway\",kind=\"a\",le=\"+Inf\"} 3\n"
                         "time_seconds_sum{service=\"gateway\",kind=\"a\"} 7.6\n"
                         "time_seconds_count{service=\"gateway\",kind=\"a\"} 3\n");
    metrics_close(metrics);
}

static void collect(void *context, struct metrics *metrics)
{
    metrics_set(metrics, &families[1], NULL, ++*(int *)context);
}

static void a_collector_is_asked_each_time(void **state)
{
    (void)state;
    int count = 0;
    struct metrics *metrics = metrics_open(NULL);
    metrics_register(metrics, families);
    metrics_collect(metrics, collect, &count);
    assert_text(metrics, "# HELP length Length.\n# TYPE length gauge\nlength 1\n");
    assert_text(metrics, "# HELP length Length.\n# TYPE length gauge\nlength 2\n");
    metrics_close(metrics);
}

static void labels_cannot_grow_without_bound(void **state)
{
    (void)state;
    struct error error = {0};
    struct metrics *metrics = metrics_open(NULL);
    metrics_register(metrics, families);
    for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        char kind[16];
        snprintf(kind, sizeof kind, "k%d", i);
        metrics_add(metrics, &families[3], (const char *const[]){kind}, 1);
    }
    struct buffer text = BUFFER_WITH_MAX(1 << 20);
    assert_true(metrics_format(metrics, &text, &error));
    assert_non_null(strstr(buffer_text(&text), "silent_total{kind=\"k511\"} 1\n"));
    assert_null(strstr(buffer_text(&text), "k512"));
    assert_non_null(strstr(buffer_text(&text), "silent_total{kind=\"other\"} 10\n"));
    buffer_finish(&text);
    metrics_close(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_counted_is_written),
        cmocka_unit_test(a_collector_is_asked_each_time),
        cmocka_unit_test(labels_cannot_grow_without_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
