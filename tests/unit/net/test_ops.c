#include "net/ops.h"

#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_metrics.h"
#include "net/metrics.h"
#include "support/cmocka_all.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

struct dependency {
    bool is_up;
    int count;
};

static bool look(void *context, struct error *error)
{
    struct dependency *dependency = context;
    dependency->count++;
    return dependency->is_up || error_set(error, ERROR_UNAVAILABLE, "it is down");
}

static int open_ops(void **state)
{
    struct error error = {0};
    struct ops *ops = NULL;
    assert_true(ops_open("127.0.0.1:0", "test", &ops, &error));
    *state = ops;
    return 0;
}

static int close_ops(void **state)
{
    ops_close(*state);
    return 0;
}

static struct http_client_answer get(struct ops *ops, const char *path)
{
    struct error error = {0};
    char url[160];
    struct http_client *client = NULL;
    struct http_client_answer answer = {0};
    snprintf(url, sizeof url, "http://%s", ops_address(ops));
    const struct http_client_options options = {.base_url = url, .timeout_ms = 15000};
    assert_true(http_client_open(&options, &client, &error));
    const struct http_client_call call = {.method = "GET", .path = path};
    assert_true(http_client_do(client, &call, &answer, &error));
    http_client_close(client);
    return answer;
}

static void assert_answer(struct ops *ops, const char *path, int status, const char *text)
{
    struct http_client_answer answer = get(ops, path);
    if (answer.status != status || strstr(buffer_text(&answer.body), text) == NULL)
        fail_msg("%s: %d %s", path, answer.status, buffer_text(&answer.body));
    http_client_answer_finish(&answer);
}

static void it_lives_before_it_is_ready(void **state)
{
    struct ops *ops = *state;
    assert_answer(ops, "/livez", 200, "ok");
    assert_answer(ops, "/readyz", 503, "\"ready\":false");
    ops_set_ready(ops, true);
    assert_answer(ops, "/readyz", 200, "\"ready\":true");
    ops_set_ready(ops, false);
    assert_answer(ops, "/readyz", 503, "\"ready\":false");
    assert_answer(ops, "/login", 404, "not_found");
}

static void only_what_is_our_own_makes_it_unready(void **state)
{
    struct ops *ops = *state;
    struct dependency disk = {.is_up = true}, store = {.is_up = false};
    const struct ops_check checks[] = {
        {.name = "disk", .check = look, .context = &disk},
        {.name = "store", .check = look, .context = &store, .is_shared = true},
        {0},
    };
    ops_add_checks(ops, checks);
    ops_set_ready(ops, true);
    assert_answer(ops, "/readyz", 200,
                  "{\"name\":\"store\",\"ok\":false,\"shared\":true,\"reason\":\"it is down\"}");
    clock_advance_ms(-CLOCK_HOUR_MS); /* so that the next second lasts for what is asked in it */
    assert_answer(ops, "/metrics", 200,
                  "tapedeck_dependency_up{service=\"test\",dependency=\"store\"} 0");
    disk.is_up = false;
    assert_answer(ops, "/readyz", 200, "\"ready\":true"); /* as of the last second */
    assert_int_equal(disk.count, 1);
    clock_advance_ms(CLOCK_HOUR_MS + 1100);
    assert_answer(ops, "/readyz", 503, "\"ready\":false");
    ops_remove_checks(ops, checks);
    assert_answer(ops, "/readyz", 200, "\"checks\":[]");
}

/* A store that does not answer until it is let go. */
struct hanging {
    struct ops *ops;
    const char *path;
    sem_t entered, let_go;
};

static void hang(struct hanging *hanging)
{
    sem_post(&hanging->entered);
    sem_wait(&hanging->let_go);
}

static bool hanging_check(void *context, struct error *error)
{
    (void)error;
    hang(context);
    return true;
}

static void hanging_collector(void *context, struct metrics *metrics)
{
    (void)metrics;
    hang(context);
}

static void *ask(void *context)
{
    const struct hanging *hanging = context;
    struct http_client_answer answer = get(hanging->ops, hanging->path);
    http_client_answer_finish(&answer);
    return NULL;
}

static pthread_t begin_to_hang(struct hanging *hanging)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, hanging), 0);
    sem_wait(&hanging->entered);
    return thread;
}

static void it_lives_while_its_stores_hang(void **state)
{
    struct ops *ops = *state;
    struct hanging check = {.ops = ops, .path = "/readyz"};
    struct hanging gauge = {.ops = ops, .path = "/metrics"};
    const struct ops_check checks[] = {
        {.name = "store", .check = hanging_check, .context = &check},
        {0},
    };
    sem_init(&check.entered, 0, 0);
    sem_init(&check.let_go, 0, 0);
    sem_init(&gauge.entered, 0, 0);
    sem_init(&gauge.let_go, 0, 0);
    ops_add_checks(ops, checks);
    ops_set_ready(ops, true);
    metrics_collect(ops_metrics(ops), hanging_collector, &gauge);
    pthread_t threads[] = {begin_to_hang(&check), begin_to_hang(&gauge)};
    assert_answer(ops, "/readyz", 503, "\"ready\":false");
    assert_answer(ops, "/metrics", 200, "tapedeck_build_info");
    assert_answer(ops, "/livez", 200, "ok");
    sem_post(&check.let_go);
    sem_post(&gauge.let_go);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_answer(ops, "/readyz", 200, "\"ready\":true");
    ops_remove_checks(ops, checks);
}

static void assert_answer_soon(struct ops *ops, const char *path, int status, const char *text)
{
    int64_t start_ms = clock_boot_ms();
    assert_answer(ops, path, status, text);
    assert_true(clock_boot_ms() - start_ms < 1500);
}

/* Of a probe: nobody waits for a store longer than who probes would. */
static void a_store_that_hangs_is_told_as_failed(void **state)
{
    struct ops *ops = *state;
    struct dependency disk = {.is_up = true};
    struct hanging check = {.ops = ops}, gauge = {.ops = ops};
    const struct ops_check checks[] = {
        {.name = "store", .check = hanging_check, .context = &check, .is_shared = true},
        {.name = "disk", .check = look, .context = &disk},
        {0},
    };
    sem_init(&check.entered, 0, 0);
    sem_init(&check.let_go, 0, 1);
    sem_init(&gauge.entered, 0, 0);
    sem_init(&gauge.let_go, 0, 0);
    ops_add_checks(ops, checks);
    ops_set_ready(ops, true);
    metrics_collect(ops_metrics(ops), hanging_collector, &gauge);
    assert_answer(ops, "/readyz", 200, "{\"name\":\"store\",\"ok\":true");
    clock_advance_ms(1100);
    assert_answer(
        ops, "/readyz", 200,
        "{\"name\":\"store\",\"ok\":false,\"shared\":true,\"reason\":\"no answer within 2 "
        "s\"},{\"name\":\"disk\",\"ok\":true,");
    assert_answer_soon(ops, "/readyz", 200, "\"reason\":\"no answer within 2 s\"");
    assert_answer(ops, "/metrics", 200,
                  "tapedeck_dependency_up{service=\"test\",dependency=\"store\"} 0");
    assert_answer_soon(ops, "/metrics", 200, "tapedeck_build_info");
    sem_post(&check.let_go);
    sem_post(&gauge.let_go);
    ops_remove_checks(ops, checks);
}

static void what_is_our_own_and_hangs_makes_it_unready(void **state)
{
    struct ops *ops = *state;
    struct hanging check = {.ops = ops};
    const struct ops_check checks[] = {
        {.name = "disk", .check = hanging_check, .context = &check},
        {0},
    };
    sem_init(&check.entered, 0, 0);
    sem_init(&check.let_go, 0, 0);
    ops_add_checks(ops, checks);
    ops_set_ready(ops, true);
    assert_answer(ops, "/readyz", 503, "\"reason\":\"no answer within 2 s\"");
    sem_post(&check.let_go);
    ops_remove_checks(ops, checks);
    assert_answer(ops, "/readyz", 200, "\"ready\":true");
}

static void metrics_are_shown(void **state)
{
    struct ops *ops = *state;
    http_metrics_register(ops_metrics(ops));
    const struct http_observation observation = {
        .method = "BREW", .route = "/pot", .status = 418, .sent = 5, .duration_ms = 30};
    http_metrics_observe(ops_metrics(ops), &observation);
    assert_answer(ops, "/metrics", 200,
                  "tapedeck_http_requests_total{service=\"test\",method=\"other\",route=\"/pot\","
                  "status=\"418\"} 1\n");
    assert_answer(ops, "/metrics", 200, "tapedeck_http_sent_bytes_total{service=\"test\"} 5\n");
    assert_answer(ops, "/metrics", 200, "tapedeck_resident_memory_bytes{service=\"test\"} ");
}

#define on_ops(test) cmocka_unit_test_setup_teardown(test, open_ops, close_ops)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_ops(it_lives_before_it_is_ready),
        on_ops(only_what_is_our_own_makes_it_unready),
        on_ops(it_lives_while_its_stores_hang),
        on_ops(a_store_that_hangs_is_told_as_failed),
        on_ops(what_is_our_own_and_hangs_makes_it_unready),
        on_ops(metrics_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
