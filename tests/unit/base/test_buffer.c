#include "base/buffer.h"

#include "support/cmocka_all.h"
#include <string.h>

static void it_grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct error error = {0};
    struct buffer buffer = BUFFER_WITH_MAX(1000);
    char bytes[600];
    memset(bytes, 'x', sizeof bytes);
    assert_true(buffer_append(&buffer, bytes, 600, &error));
    assert_true(buffer_append(&buffer, bytes, 400, &error));
    assert_false(buffer_append(&buffer, bytes, 1, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(strlen(buffer_text(&buffer)), 1000);
    buffer_finish(&buffer);
}

static void an_empty_one_is_a_text_and_formats_are_appended(void **state)
{
    (void)state;
    struct error error = {0};
    struct buffer buffer = BUFFER_WITH_MAX(100);
    assert_string_equal(buffer_text(&buffer), "");
    assert_true(buffer_append_format(&buffer, &error, "%d-", 42));
    assert_true(buffer_append_format(&buffer, &error, "%s", "rest"));
    assert_string_equal(buffer_text(&buffer), "42-rest");
    buffer_finish(&buffer);
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct error error = {0};
    struct buffer buffer = BUFFER_WITH_MAX(4);
    assert_true(buffer_append_text(&buffer, "abc", &error));
    assert_false(buffer_append_format(&buffer, &error, "%s", "de"));
    assert_string_equal(buffer_text(&buffer), "abc");
    buffer_finish(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(an_empty_one_is_a_text_and_formats_are_appended),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
