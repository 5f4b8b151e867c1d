#include "base/text.h"

#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

static void a_copy_never_splits_a_character(void **state)
{
    (void)state;
    char text[8];
    assert_true(text_copy(text, sizeof text, "1234567"));
    assert_string_equal(text, "1234567");
    assert_false(text_copy(text, sizeof text,
                           "12345\xc3\xbc"
                           "8"));
    assert_string_equal(text, "12345\xc3\xbc");
    assert_false(text_copy(text, sizeof text, "123456\xc3\xbc"));
    assert_string_equal(text, "123456");
    assert_false(text_copy(text, 1, "x"));
    assert_string_equal(text, "");
}

static void case_is_ignored_in_ascii_only(void **state)
{
    (void)state;
    assert_true(text_equals_ignoring_case("Content-TYPE", "content-type"));
    assert_false(text_equals_ignoring_case("content", "content-type"));
    assert_false(text_equals_ignoring_case("[", "{"));
    assert_false(text_equals_ignoring_case("\xc4", "\xe4"));
    assert_true(text_starts_with("Bearer x", "Bearer "));
    assert_false(text_starts_with("Bear", "Bearer "));
}

static void only_rfc_3629_is_utf8(void **state)
{
    (void)state;
    const char *good[] = {"",
                          "abc",
                          "\xc3\xbc",
                          "\xe2\x82\xac",
                          "\xf0\x9f\x8e\xb5",
                          "\xf4\x8f\xbf\xbf",
                          "\xed\x9f\xbf"};
    const char *bad[] = {
        "\x80",             /* continuation alone */
        "\xc3",             /* cut */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf8\x88\x80\x80\x80",
        "\xff",
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_true(text_is_utf8("a\0b", 3));
}

static void assert_cleaned(const char *bytes, size_t size, const char *expected)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(100);
    assert_true(text_clean(bytes, size, &text, &error));
    assert_string_equal(buffer_text(&text), expected);
    assert_true(text_is_utf8(buffer_text(&text), text.size));
}

#define ASSERT_CLEANED(literal, expected) assert_cleaned((literal), sizeof(literal) - 1, (expected))

static void cleaning_leaves_what_people_can_read(void **state)
{
    (void)state;
    ASSERT_CLEANED("gr\xc3\xbcn \xf0\x9f\x8e\xb5", "gr\xc3\xbcn \xf0\x9f\x8e\xb5");
    ASSERT_CLEANED("a\xff\xc3z", "a\xef\xbf\xbd\xef\xbf\xbdz");
    ASSERT_CLEANED("a\0b\r\n\x1b[31m\x7f\xc2\x9bz", "ab[31mz");
    ASSERT_CLEANED("a\xc2\x85"
                   "b\xe2\x80\xa8"
                   "c\xe2\x80\xa9"
                   "d",
                   "abcd"); /* ends of lines */
    /* Right-to-left override: "gpj.exe" shown as "exe.jpg". */
    ASSERT_CLEANED("x\xe2\x80\xaegpj.exe\xe2\x81\xa6\xd8\x9c", "xgpj.exe");
}

static void cleaning_lines_keeps_words_apart(void **state)
{
    (void)state;
    const char *pairs[][2] = {
        {"", ""},         {"one line", "one line"}, {"a\nb", "a b"}, {"\r\na\r\n\tb\f\n", "a b"},
        {"\n\t\r\n", ""}, {"a\x1b\n\x01z", "a z"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct error error = {0};
        CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(100);
        assert_true(text_clean_lines(pairs[i][0], strlen(pairs[i][0]), &text, &error));
        assert_string_equal(buffer_text(&text), pairs[i][1]);
    }
    struct error error = {0};
    struct buffer small = BUFFER_WITH_MAX(4);
    assert_true(buffer_append_text(&small, "ab", &error));
    assert_false(text_clean_lines("c\nd", 3, &small, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(buffer_text(&small), "ab");
    buffer_finish(&small);
}

static void what_cleaning_would_leave_is_clean(void **state)
{
    (void)state;
    assert_true(text_is_clean("", 0));
    assert_true(text_is_clean("gr\xc3\xbcn", 5));
    assert_false(text_is_clean("gr\xc3\xbcn", 3));
    assert_false(text_is_clean("a\0b", 3));
    assert_false(text_is_clean("a\xe2\x80\xa8"
                               "b",
                               5));
}

static void cleaning_that_does_not_fit_adds_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct buffer text = BUFFER_WITH_MAX(5);
    assert_true(buffer_append_text(&text, "ab", &error));
    assert_false(text_clean("cd\xff", 3, &text, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(buffer_text(&text), "ab");
    assert_false(text_escape_html("c&", &text, &error));
    assert_false(text_escape_percent("c d", &text, &error));
    assert_string_equal(buffer_text(&text), "ab");
    buffer_finish(&text);
}

static void a_count_is_digits_and_nothing_else(void **state)
{
    (void)state;
    struct error error = {0};
    uint64_t count = 7;
    const char *bad[] = {"",
                         " 1",
                         "1 ",
                         "+1",
                         "-1",
                         "1e3",
                         "0x10",
                         "1.0",
                         "18446744073709551616",
                         "99999999999999999999999",
                         "11"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(
            text_parse_count(bad[i], i + 1 < ARRAY_COUNT(bad) ? UINT64_MAX : 10, &count, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_int_equal(count, 7);
    assert_true(text_parse_count("18446744073709551615", UINT64_MAX, &count, &error));
    assert_true(count == UINT64_MAX);
    assert_true(text_parse_count("007", 7, &count, &error));
    assert_int_equal(count, 7);
}

static void a_decimal_has_six_digits_behind_its_point_at_most(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t millionths = 7;
    const char *bad[] = {"",   ".",   "1.",        ".5",  "-",   "--1",           "+1",
                         "1 ", "1e3", "1.0000001", "nan", "inf", "9223372036854", "1.-5"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(text_parse_decimal(bad[i], &millionths, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_int_equal(millionths, 7);
    assert_true(text_parse_decimal("12", &millionths, &error) && millionths == 12000000);
    assert_true(text_parse_decimal("1.5", &millionths, &error) && millionths == 1500000);
    assert_true(text_parse_decimal("0.000001", &millionths, &error) && millionths == 1);
    assert_true(text_parse_decimal("-16.25", &millionths, &error) && millionths == -16250000);
    assert_true(text_parse_decimal("-0", &millionths, &error) && millionths == 0);
}

static void durations_and_sizes_need_a_unit(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t ms = 1;
    uint64_t bytes = 1;
    assert_true(text_parse_duration_ms("250ms", &ms, &error) && ms == 250);
    assert_true(text_parse_duration_ms("30s", &ms, &error) && ms == 30000);
    assert_true(text_parse_duration_ms("5m", &ms, &error) && ms == 300000);
    assert_true(text_parse_duration_ms("12h", &ms, &error) && ms == 43200000);
    assert_true(text_parse_duration_ms("7d", &ms, &error) && ms == 604800000);
    assert_true(text_parse_duration_ms("0", &ms, &error) && ms == 0);
    ms = 1;
    assert_true(text_parse_duration_ms("off", &ms, &error) && ms == 0);
    assert_true(text_parse_size("4GiB", &bytes, &error) && bytes == UINT64_C(4) << 30);
    assert_true(text_parse_size("10kB", &bytes, &error) && bytes == 10000);
    assert_true(text_parse_size("1B", &bytes, &error) && bytes == 1);
    assert_true(text_parse_size("off", &bytes, &error) && bytes == 0);
    const char *bad[] = {"30", "s", "", "-1s", "1.5h", "3 s", "30S", "300000000000000d", "0x1s"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(text_parse_duration_ms(bad[i], &ms, &error));
    const char *bad_sizes[] = {"4", "4G", "4gib", "16777216TiB", "1 MB"};
    for (size_t i = 0; i < ARRAY_COUNT(bad_sizes); i++)
        assert_false(text_parse_size(bad_sizes[i], &bytes, &error));
    assert_false(text_parse_duration_ms("99999999999999999999d", &ms, &error));
    assert_string_equal(error.text, "that is too large a number");
    assert_false(text_parse_size("16777216TiB", &bytes, &error));
    assert_string_equal(error.text, "that is too large a number");
    assert_true(text_parse_size("16777215TiB", &bytes, &error));
}

static void what_is_formatted_can_be_parsed(void **state)
{
    (void)state;
    struct error error = {0};
    char text[TEXT_UNIT_SIZE];
    const int64_t durations[] = {0, 1, 999, 1000, 90000, 3600000, 86400000, 172800000, INT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(durations); i++) {
        int64_t again = -1;
        text_format_duration_ms(durations[i], text);
        assert_true(text_parse_duration_ms(text, &again, &error));
        assert_true(again == durations[i]);
    }
    const uint64_t sizes[] = {0, 1, 1000, 1024, 1536, 4000000000, UINT64_C(4) << 30, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        uint64_t again = 1;
        text_format_size(sizes[i], text);
        assert_true(text_parse_size(text, &again, &error));
        assert_true(again == sizes[i]);
    }
    text_format_duration_ms(30000, text);
    assert_string_equal(text, "30s");
    text_format_size(UINT64_C(4) << 30, text);
    assert_string_equal(text, "4GiB");
    text_format_size(0, text);
    assert_string_equal(text, "off");
}

static void assert_size_reads(uint64_t bytes, const char *expected)
{
    char text[TEXT_UNIT_SIZE];
    text_format_size_for_people(bytes, text);
    assert_string_equal(text, expected);
}

static void assert_length_reads(double seconds, const char *expected)
{
    char text[TEXT_UNIT_SIZE];
    text_format_length_for_people(seconds, text);
    assert_string_equal(text, expected);
}

static void people_read_round_numbers(void **state)
{
    (void)state;
    assert_size_reads(0, "0 B");
    assert_size_reads(999, "999 B");
    assert_size_reads(1000, "1.0 kB");
    assert_size_reads(18250000, "18.3 MB");
    assert_size_reads(999949, "999.9 kB");
    assert_size_reads(999950, "1.0 MB");
    assert_size_reads(UINT64_MAX, "18.4 EB");
    assert_length_reads(0, "0:00");
    assert_length_reads(5.4, "0:05");
    assert_length_reads(1200.1, "20:00");
    assert_length_reads(3599.6, "1:00:00");
    assert_length_reads(3723, "1:02:03");
    assert_length_reads(-1, "0:00");
    assert_length_reads((double)NAN, "0:00");
    assert_length_reads(1e300, "277777:46:40");
}

static void a_terminal_gets_no_orders(void **state)
{
    (void)state;
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(100);
    assert_true(text_escape_terminal("caf\xc3\xa9\x1b[2J \xff\xc2\x9b", &text, NULL));
    assert_string_equal(buffer_text(&text), "caf\xc3\xa9\\x1b[2J \\xff\\xc2\\x9b");
    CLEANUP(buffer_finish) struct buffer small = BUFFER_WITH_MAX(4);
    assert_false(text_escape_terminal("ab\x1b", &small, NULL));
    assert_int_equal(small.size, 0);
}

static void escaping_leaves_nothing_to_interpret(void **state)
{
    (void)state;
    struct error error = {0};
    struct buffer text = BUFFER_WITH_MAX(200);
    assert_true(text_escape_html("<a href=\"x\">R&B's</a>", &text, &error));
    assert_string_equal(buffer_text(&text), "&lt;a href=&quot;x&quot;&gt;R&amp;B&#39;s&lt;/a&gt;");
    buffer_clear(&text);
    assert_true(text_escape_percent("a b/\xc3\xbc~-._%", &text, &error));
    assert_string_equal(buffer_text(&text), "a%20b%2F%C3%BC~-._%25");
    buffer_finish(&text);
}

static void a_mistyped_name_finds_its_nearest(void **state)
{
    (void)state;
    const char *names[] = {"convert", "converter", "serve", "user", "gateway.listen", NULL};
    assert_string_equal(text_nearest("conver", names), "convert");
    assert_string_equal(text_nearest("convertor", names), "converter");
    assert_string_equal(text_nearest("sevre", names), "serve");
    assert_string_equal(text_nearest("users", names), "user");
    assert_string_equal(text_nearest("gateway.lisen", names), "gateway.listen");
    assert_string_equal(text_nearest("gatewy.listne", names), "gateway.listen");
    assert_string_equal(text_nearest("gat", names), "gateway.listen"); /* cut off */
    assert_null(text_nearest("ga", names));
    assert_null(text_nearest("frobnicate", names));
    assert_null(text_nearest("", names));
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(text_nearest(longer, names));
    assert_null(text_nearest("user", (const char *[]){longer, NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_never_splits_a_character),
        cmocka_unit_test(case_is_ignored_in_ascii_only),
        cmocka_unit_test(a_mistyped_name_finds_its_nearest),
        cmocka_unit_test(only_rfc_3629_is_utf8),
        cmocka_unit_test(cleaning_leaves_what_people_can_read),
        cmocka_unit_test(cleaning_lines_keeps_words_apart),
        cmocka_unit_test(what_cleaning_would_leave_is_clean),
        cmocka_unit_test(cleaning_that_does_not_fit_adds_nothing),
        cmocka_unit_test(a_count_is_digits_and_nothing_else),
        cmocka_unit_test(a_decimal_has_six_digits_behind_its_point_at_most),
        cmocka_unit_test(durations_and_sizes_need_a_unit),
        cmocka_unit_test(a_terminal_gets_no_orders),
        cmocka_unit_test(what_is_formatted_can_be_parsed),
        cmocka_unit_test(people_read_round_numbers),
        cmocka_unit_test(escaping_leaves_nothing_to_interpret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
