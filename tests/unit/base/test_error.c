#include "base/error.h"

#include "support/cmocka_all.h"
#include <errno.h>
#include <string.h>

static void setting_fails_with_kind_and_text(void **state)
{
    (void)state;
    struct error error = {0};
    assert_false(error_set(&error, ERROR_CONFLICT, "version %d", 3));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_string_equal(error.text, "version 3");
}

static void a_prefix_keeps_kind_and_cause(void **state)
{
    (void)state;
    struct error error = {0};
    error_set(&error, ERROR_NOT_FOUND, "no such row");
    assert_false(error_prefix(&error, "read video %s", "abc"));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_string_equal(error.text, "read video abc: no such row");
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char text[2 * ERROR_TEXT_SIZE];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct error error = {0};
    error_set(&error, ERROR_INTERNAL, "%s", text);
    error_prefix(&error, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
}

static void a_full_disk_is_too_large(void **state)
{
    (void)state;
    struct error error = {0};
    error_set_errno(&error, ENOSPC, "write %s", "/x");
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(error.text, "write /x: No space left on device");
}

static void nobody_needs_to_want_the_reason(void **state)
{
    (void)state;
    assert_false(error_set(NULL, ERROR_INTERNAL, "x"));
    assert_false(error_prefix(NULL, "x"));
    assert_false(error_set_errno(NULL, EIO, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_fails_with_kind_and_text),
        cmocka_unit_test(a_prefix_keeps_kind_and_cause),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(a_full_disk_is_too_large),
        cmocka_unit_test(nobody_needs_to_want_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
