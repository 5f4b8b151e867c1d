#include "model/conversion_options.h"

#include "base/json.h"
#include "model/failure.h"
#include "support/cmocka_all.h"
#include <string.h>

struct pair {
    const char *name, *value;
};

static void set(struct conversion_options *options, const char *name, const char *value)
{
    struct error error = {0};
    assert_true(conversion_options_set(options, name, value, &error));
}

static void assert_json(const struct conversion_options *options, const char *expected)
{
    CLEANUP(json_decrefp) json_t *json = conversion_options_to_json(options);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(10000);
    assert_true(json_format(json, &text, NULL));
    assert_string_equal(buffer_text(&text), expected);
}

/* Every option at once, in the table's order. */
static struct conversion_options make_full(void)
{
    const struct pair pairs[] = {
        {"bitrate_kbps", "320"},  {"vbr_quality", "0"},  {"sample_rate_hz", "44100"},
        {"channels", "2"},        {"track", "3"},        {"language", "deu"},
        {"start_seconds", "1.5"}, {"end_seconds", "90"}, {"loudness_lufs", "-16.5"},
        {"title", "A \"T\""},     {"artist", "B"},       {"album", "C"},
        {"year", "2026-11"},      {"genre", "D"},        {"comment", "E"},
        {"tags", "none"},         {"copy", "never"},     {"notify", "none"},
    };
    struct conversion_options options = {0};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++)
        set(&options, pairs[i].name, pairs[i].value);
    return options;
}

static void every_option_survives_json(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = make_full();
    assert_json(&options, "{\"bitrate_kbps\":320,\"vbr_quality\":0,\"sample_rate_hz\":44100,"
                          "\"channels\":2,\"track\":3,\"language\":\"deu\",\"start_seconds\":1.5,"
                          "\"end_seconds\":90.0,\"loudness_lufs\":-16.5,\"title\":\"A \\\"T\\\"\","
                          "\"artist\":\"B\",\"album\":\"C\",\"year\":\"2026-11\",\"genre\":\"D\","
                          "\"comment\":\"E\",\"tags\":\"none\",\"copy\":\"never\","
                          "\"notify\":\"none\"}");
    CLEANUP(json_decrefp) json_t *json = conversion_options_to_json(&options);
    struct conversion_options again;
    assert_true(conversion_options_from_json(json, &again, &error));
    assert_true(conversion_options_is_equal(&options, &again));
    assert_true(again.has_vbr_quality);
    assert_int_equal(again.tags, CONVERSION_TAGS_NONE);
    assert_int_equal(again.copy, CONVERSION_COPY_NEVER);
    assert_int_equal(again.notify, CONVERSION_NOTIFY_NONE);
}

static void only_what_was_given_is_written(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = {0};
    assert_json(&options, "{}");
    struct conversion_options read = make_full();
    assert_true(conversion_options_from_json(NULL, &read, &error));
    assert_true(conversion_options_is_equal(&options, &read));
    set(&options, "vbr-quality", "0");
    assert_false(conversion_options_is_equal(&options, &read));
    set(&options, "title", "");
    set(&options, "tags", "source");
    set(&options, "copy", "auto");
    assert_json(&options, "{\"vbr_quality\":0}");
}

static void values_out_of_range_are_refused_and_change_nothing(void **state)
{
    (void)state;
    char long_tag[CONVERSION_TAG_SIZE + 1];
    memset(long_tag, 'x', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = '\0';
    const struct pair pairs[] = {
        {"bitrate_kbps", "7"},
        {"bitrate_kbps", "321"},
        {"bitrate_kbps", "128k"},
        {"bitrate_kbps", ""},
        {"bitrate_kbps", "-8"},
        {"bitrate_kbps", "0"},
        {"vbr_quality", "10"},
        {"sample_rate_hz", "0"},
        {"sample_rate_hz", "44000"},
        {"sample_rate_hz", "96000"},
        {"channels", "3"},
        {"channels", "0"},
        {"track", "0"},
        {"track", "1000"},
        {"language", "german"},
        {"language", "DE"},
        {"language", "d"},
        {"start_seconds", "-1"},
        {"start_seconds", "360000.000001"},
        {"start_seconds", "1:30"},
        {"start_seconds", "1e3"},
        {"start_seconds", ""},
        {"end_seconds", "0"},
        {"end_seconds", "0.0000001"},
        {"end_seconds", "nan"},
        {"loudness_lufs", "0"},
        {"loudness_lufs", "-4.9"},
        {"loudness_lufs", "-70.1"},
        {"loudness_lufs", "16"},
        {"title", long_tag},
        {"year", "26"},
        {"year", "2026-1-1"},
        {"year", "2026-11-24T10"},
        {"year", "2026-13"},
        {"year", "2026-00-10"},
        {"year", "2026-12-32"},
        {"tags", "all"},
        {"copy", "always"},
        {"notify", "sms"},
        {"notify", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct error error = {0};
        struct conversion_options options = {0};
        assert_false(conversion_options_set(&options, pairs[i].name, pairs[i].value, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_ptr_equal(error.failure, &FAILURE_OPTION_OUT_OF_RANGE);
        assert_non_null(strstr(error.text, pairs[i].name));
        assert_json(&options, "{}");
    }
    long_tag[CONVERSION_TAG_SIZE - 1] = '\0';
    struct conversion_options options = {0};
    set(&options, "title", long_tag);
    assert_string_equal(options.title, long_tag);
}

static void the_text_says_what_is_allowed(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = {0};
    assert_false(conversion_options_set(&options, "channels", "6", &error));
    assert_string_equal(error.text, "channels must be 1 (mono) or 2 (stereo)");
}

static void an_unknown_option_is_named(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = {0};
    assert_false(conversion_options_set(&options, "bitrate", "128", &error));
    assert_ptr_equal(error.failure, &FAILURE_UNKNOWN_OPTION);
    assert_non_null(strstr(error.text, "\"bitrate\""));
    assert_false(conversion_options_is_name("bitrate"));
    assert_false(conversion_options_is_name("bitrate_kbps_"));
    assert_false(conversion_options_is_name(""));
    assert_true(conversion_options_is_name("bitrate-kbps"));
    assert_true(conversion_options_is_name("bitrate_kbps"));
}

static void some_options_exclude_each_other(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = {0};
    set(&options, "vbr_quality", "2");
    set(&options, "track", "1");
    assert_true(conversion_options_check(&options, &error));
    set(&options, "language", "en");
    assert_false(conversion_options_check(&options, &error));
    assert_ptr_equal(error.failure, &FAILURE_OPTION_OUT_OF_RANGE);
    set(&options, "language", "");
    set(&options, "bitrate_kbps", "128");
    assert_false(conversion_options_check(&options, &error));
    assert_non_null(strstr(error.text, "vbr_quality"));
}

static void the_end_is_behind_the_start(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion_options options = {0};
    set(&options, "start_seconds", "1.5");
    assert_true(conversion_options_check(&options, &error));
    set(&options, "end_seconds", "1.5");
    assert_false(conversion_options_check(&options, &error));
    assert_ptr_equal(error.failure, &FAILURE_OPTION_OUT_OF_RANGE);
    assert_non_null(strstr(error.text, "end_seconds"));
    set(&options, "end_seconds", "1.500001");
    assert_true(conversion_options_check(&options, &error));
    assert_true(options.start_us == 1500000 && options.end_us == 1500001);
}

static void tags_are_cleaned(void **state)
{
    (void)state;
    struct conversion_options options = {0};
    set(&options, "artist",
        "A\xff\x01\xe2\x80\xae"
        "B\n");
    assert_string_equal(options.artist, "A\xef\xbf\xbd"
                                        "B");
}

static void erasing_leaves_nothing_that_names_a_person(void **state)
{
    (void)state;
    struct conversion_options options = make_full();
    conversion_options_erase_tags(&options);
    assert_json(&options, "{\"bitrate_kbps\":320,\"vbr_quality\":0,\"sample_rate_hz\":44100,"
                          "\"channels\":2,\"track\":3,\"language\":\"deu\",\"start_seconds\":1.5,"
                          "\"end_seconds\":90.0,\"loudness_lufs\":-16.5,\"year\":\"2026-11\","
                          "\"genre\":\"D\",\"tags\":\"none\",\"copy\":\"never\","
                          "\"notify\":\"none\"}");
    for (size_t i = 0; i < CONVERSION_TAG_SIZE; i++)
        assert_int_equal(options.title[i], 0);
}

static void stored_options_are_checked_again(void **state)
{
    (void)state;
    const char *bad[] = {"[]",
                         "\"x\"",
                         "{\"bitrate_kbps\":\"128\"}",
                         "{\"bitrate_kbps\":-1}",
                         "{\"channels\":4294967297}",
                         "{\"title\":1}",
                         "{\"tags\":1}",
                         "{\"language\":\"german\"}",
                         "{\"start_seconds\":\"1\"}",
                         "{\"start_seconds\":-0.5}",
                         "{\"end_seconds\":1e300}",
                         "{\"loudness_lufs\":-80}"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error error = {0};
        struct conversion_options options = {.channels = 2};
        CLEANUP(json_decrefp) json_t *json = NULL;
        assert_true(json_parse(bad[i], strlen(bad[i]), &json, &error));
        assert_false(conversion_options_from_json(json, &options, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_int_equal(options.channels, 2);
    }
    struct error error = {0};
    struct conversion_options options;
    CLEANUP(json_decrefp) json_t *json = NULL;
    const char newer[] = "{\"speed\":1.5,\"title\":null,\"channels\":1,\"start_seconds\":90}";
    assert_true(json_parse(newer, strlen(newer), &json, &error));
    assert_true(conversion_options_from_json(json, &options, &error));
    assert_int_equal(options.channels, 1);
    assert_true(options.start_us == 90000000);
}

static void count_visit(void *context, const char *name, const char *form, const char *help)
{
    int *count = context;
    assert_true(conversion_options_is_name(name));
    assert_true(form[0] != '\0');
    assert_int_equal(help[strlen(help) - 1], '.');
    (*count)++;
}

static void every_option_describes_itself(void **state)
{
    (void)state;
    int count = 0;
    conversion_options_describe(count_visit, &count);
    assert_int_equal(count, 18);
}

static void lines_of_a_text_become_one(void **state)
{
    (void)state;
    struct conversion_options options = {0};
    set(&options, "comment", "first line\r\n\r\nsecond\tline\x1b\n");
    assert_string_equal(options.comment, "first line second line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_survives_json),
        cmocka_unit_test(only_what_was_given_is_written),
        cmocka_unit_test(values_out_of_range_are_refused_and_change_nothing),
        cmocka_unit_test(the_text_says_what_is_allowed),
        cmocka_unit_test(an_unknown_option_is_named),
        cmocka_unit_test(some_options_exclude_each_other),
        cmocka_unit_test(the_end_is_behind_the_start),
        cmocka_unit_test(tags_are_cleaned),
        cmocka_unit_test(lines_of_a_text_become_one),
        cmocka_unit_test(erasing_leaves_nothing_that_names_a_person),
        cmocka_unit_test(stored_options_are_checked_again),
        cmocka_unit_test(every_option_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
