#include "commands/metrics_merge.h"

#include "support/cmocka_all.h"

static void assert_merged(const char *const *texts, size_t count, const char *expected)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(10000);
    assert_true(metrics_merge(texts, count, &text, &error));
    assert_string_equal(buffer_text(&text), expected);
}

static void samples_of_a_family_come_together(void **state)
{
    (void)state;
    const char *const texts[] = {
        "# HELP up Is it?\n# TYPE up gauge\nup{service=\"a\"} 1\n"
        "# HELP x_total Xs.\n# TYPE x_total counter\nx_total{service=\"a\"} 3\n",
        "# HELP y_total Ys.\n# TYPE y_total counter\ny_total{service=\"b\"} 1\n"
        "y_total{service=\"b\",k=\"v\"} 2\n"
        "# HELP up Is it?\n# TYPE up gauge\nup{service=\"b\"} 0\n",
        "# HELP y_total Ys.\n# TYPE y_total counter\ny_total{service=\"c\"} 9\n",
    };
    assert_merged(texts, 3,
                  "# HELP up Is it?\n# TYPE up gauge\nup{service=\"a\"} 1\nup{service=\"b\"} 0\n"
                  "# HELP x_total Xs.\n# TYPE x_total counter\nx_total{service=\"a\"} 3\n"
                  "# HELP y_total Ys.\n# TYPE y_total counter\ny_total{service=\"b\"} 1\n"
                  "y_total{service=\"b\",k=\"v\"} 2\ny_total{service=\"c\"} 9\n");
}

static void a_name_that_begins_like_another_is_another(void **state)
{
    (void)state;
    const char *const texts[] = {
        "# TYPE a gauge\na{service=\"1\"} 1\n",
        "# TYPE a_b gauge\na_b{service=\"2\"} 1\n# TYPE a gauge\na{service=\"2\"} 2\n",
    };
    assert_merged(texts, 2,
                  "# TYPE a gauge\na{service=\"1\"} 1\na{service=\"2\"} 2\n"
                  "# TYPE a_b gauge\na_b{service=\"2\"} 1\n");
}

static void a_family_without_samples_and_an_empty_text_do_no_harm(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "lost 1\n# HELP e Empty.\n# TYPE e counter\n# HELP f Full.\n# TYPE f counter\nf 1",
    };
    assert_merged(texts, 2,
                  "# HELP e Empty.\n# TYPE e counter\n# HELP f Full.\n# TYPE f counter\nf 1");
}

static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(10);
    const char *const texts[] = {"# TYPE a gauge\na 1\n"};
    assert_false(metrics_merge(texts, 1, &text, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_a_family_come_together),
        cmocka_unit_test(a_name_that_begins_like_another_is_another),
        cmocka_unit_test(a_family_without_samples_and_an_empty_text_do_no_harm),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
