#include "model/failure.h"

#include "support/cmocka_all.h"
#include <string.h>

#define POINTER_TO(NAME) &FAILURE_##NAME,
static const struct failure *const failures[] = {FAILURE_CODES(POINTER_TO)};

static bool ends_a_sentence(const char *text)
{
    return text[strlen(text) - 1] == '.';
}

static void every_row_says_what_happened_and_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        const struct failure *row = failures[i];
        assert_int_equal(strspn(row->code, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->code));
        assert_true(row->http_status == 0 || (row->http_status >= 400 && row->http_status < 600));
        assert_true(ends_a_sentence(row->advice));
        /* Nobody serves it. */
        assert_null(strstr(row->advice, "openapi"));
        assert_true(row == &FAILURE_EXACTLY_ONE_FILE_REQUIRED || ends_a_sentence(row->sentence));
        assert_ptr_equal(failure_find(row->code), row);
    }
}

static void the_statuses_are_those_of_the_contract(void **state)
{
    (void)state;
    const struct {
        int http_status;
        const char *codes;
    } table[] = {
        {400, "bad_request exactly_one_file_required empty_file fid_required"},
        {401, "missing_credentials invalid_credentials invalid_token"},
        {403, "not_allowed"},
        {404, "not_found"},
        {405, "method_not_allowed"},
        {409, "not_ready conversion_failed conversion_cancelled already_ended upload_taken_over"},
        {410, "gone"},
        {413, "upload_too_large"},
        {416, "range_not_satisfiable"},
        {422, "unknown_option option_out_of_range idempotency_mismatch"},
        {429, "too_many_requests too_many_uploads daily_limit storage_limit"},
        {431, "headers_too_large"},
        {500, "internal"},
        {503, "store_unavailable auth_unavailable queue_full disk_full"},
        {0, "no_audio no_such_track empty_range not_media unsupported_codec damaged "
            "unreadable_video too_long too_large timed_out"},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        const char *at = table[i].codes;
        while (*at != '\0') {
            char code[40] = {0};
            size_t length = strcspn(at, " ");
            memcpy(code, at, length);
            const struct failure *row = failure_find(code);
            assert_non_null(row);
            assert_int_equal(row->http_status, table[i].http_status);
            at += length + strspn(at + length, " ");
            count++;
        }
    }
    assert_int_equal(count, ARRAY_COUNT(failures));
}

static void an_unknown_code_has_no_row(void **state)
{
    (void)state;
    assert_null(failure_find("of_a_newer_version"));
    assert_null(failure_find(""));
}

static void an_error_carries_its_row(void **state)
{
    (void)state;
    struct error error = {0};
    assert_false(error_set_failure(&error, ERROR_BAD_INPUT, &FAILURE_NO_AUDIO, "%d streams", 2));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_ptr_equal(error.failure, &FAILURE_NO_AUDIO);
    assert_string_equal(error.text, "2 streams");
    error_prefix(&error, "video");
    assert_ptr_equal(error.failure, &FAILURE_NO_AUDIO);
    /* The next error is another one. */
    error_set(&error, ERROR_INTERNAL, "x");
    assert_null(error.failure);
    assert_false(error_set_failure(NULL, ERROR_BAD_INPUT, &FAILURE_NO_AUDIO, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_happened_and_what_to_do),
        cmocka_unit_test(the_statuses_are_those_of_the_contract),
        cmocka_unit_test(an_unknown_code_has_no_row),
        cmocka_unit_test(an_error_carries_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
