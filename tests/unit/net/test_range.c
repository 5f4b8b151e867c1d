#include "net/range.h"

#include "support/cmocka_all.h"
#include "base/compiler.h"

static void a_range_is_cut_to_the_size(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t size;
        enum range_result result;
        uint64_t offset, length;
    } rows[] = {
        {NULL, 10, RANGE_WHOLE, 0, 10},
        {"bytes=0-0", 10, RANGE_PART, 0, 1},
        {"bytes=0-", 10, RANGE_PART, 0, 10},
        {"bytes=3-5", 10, RANGE_PART, 3, 3},
        {"bytes=9-", 10, RANGE_PART, 9, 1},
        {"bytes=5-100", 10, RANGE_PART, 5, 5},
        {"Bytes = 5-6 ", 10, RANGE_PART, 5, 2},
        {"bytes=-3", 10, RANGE_PART, 7, 3},
        {"bytes=-30", 10, RANGE_PART, 0, 10},
        {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=99999999999999999999999999-", 10, RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=0-99999999999999999999999999", 10, RANGE_PART, 0, 10},
        {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-3", 10, RANGE_WHOLE, 0, 10},
        {"bytes=-", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0-1,4-5", 10, RANGE_WHOLE, 0, 10},
        {"bytes=a-", 10, RANGE_WHOLE, 0, 10},
        {"bytes 0-1", 10, RANGE_WHOLE, 0, 10},
        {"items=0-1", 10, RANGE_WHOLE, 0, 10},
        {"bytes", 10, RANGE_WHOLE, 0, 10},
        {"", 10, RANGE_WHOLE, 0, 10},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct range range;
        enum range_result result = range_parse(rows[i].header, NULL, "\"x\"", rows[i].size, &range);
        if (result != rows[i].result || range.offset != rows[i].offset ||
            range.length != rows[i].length)
            fail_msg("%s: %d %llu %llu", rows[i].header, (int)result,
                     (unsigned long long)range.offset, (unsigned long long)range.length);
    }
}

static void if_range_must_be_the_very_etag(void **state)
{
    (void)state;
    struct range range;
    assert_int_equal(range_parse("bytes=1-2", "\"x\"", "\"x\"", 9, &range), RANGE_PART);
    assert_int_equal(range_parse("bytes=1-2", "\"y\"", "\"x\"", 9, &range), RANGE_WHOLE);
    assert_int_equal(range_parse("bytes=1-2", "W/\"x\"", "\"x\"", 9, &range), RANGE_WHOLE);
    assert_int_equal(range_parse("bytes=1-2", "Wed, 21 Oct 2015 07:28:00 GMT", "\"x\"", 9, &range),
                     RANGE_WHOLE);
}

static void content_range_says_where_the_part_lies(void **state)
{
    (void)state;
    char text[RANGE_TEXT_SIZE];
    const struct range range = {5, 3};
    range_format(&range, 10, text);
    assert_string_equal(text, "bytes 5-7/10");
    range_format(NULL, 10, text);
    assert_string_equal(text, "bytes */10");
}

static void etags_are_compared_in_lists(void **state)
{
    (void)state;
    assert_true(etag_matches_weakly("\"a\", W/\"b\"", "\"b\""));
    assert_true(etag_matches_weakly("\"a\",\"b\"", "\"b\""));
    assert_true(etag_matches_weakly("*", "\"b\""));
    assert_false(etag_matches_weakly(NULL, "\"b\""));
    assert_false(etag_matches_weakly("\"b", "\"b\""));
    assert_false(etag_matches_weakly("b", "\"b\""));
    assert_false(etag_matches_weakly("\"bb\"", "\"b\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_cut_to_the_size),
        cmocka_unit_test(if_range_must_be_the_very_etag),
        cmocka_unit_test(content_range_says_where_the_part_lies),
        cmocka_unit_test(etags_are_compared_in_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
