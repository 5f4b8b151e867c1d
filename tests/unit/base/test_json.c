#include "base/json.h"

#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

static bool parse(const char *text, json_t **out_json, struct error *error)
{
    return json_parse(text, strlen(text), out_json, error);
}

static void what_is_not_one_json_value_is_bad_input(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "{",
                         "{}{}",
                         "{\"a\":1,\"a\":2}",
                         "\"\\u0000\"",
                         "{\"a\\u0000\":1}",
                         "[1,]",
                         "nul",
                         "\"\xff\"",
                         "1e999",
                         "99999999999999999999",
                         "'a'"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error error = {0};
        json_t *json = NULL;
        assert_false(parse(bad[i], &json, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_null(json);
    }
}

static void the_error_never_quotes_the_input(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *json = NULL;
    assert_false(parse("{\"password\":secret1}", &json, &error));
    assert_null(strstr(error.text, "secret1"));
    assert_non_null(strstr(error.text, "line 1"));
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *json = NULL;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(json_parse(text, 2 * JSON_DEPTH_MAX, &json, &error));
    json_decrefp(&json);
    json = NULL;
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(json_parse(text, sizeof text, &json, &error));
    assert_non_null(strstr(error.text, "deeper"));
    /* Brackets in strings are no depth. */
    assert_true(parse("[\"[[[[[[[[[[[[[[[[[[[[\\\"[[\"]", &json, &error));
    json_decrefp(&json);
}

static void members_are_checked_for_type_and_bounds(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = NULL;
    assert_true(parse("{\"t\":\"text\",\"i\":42,\"r\":1.5,\"b\":true,\"n\":null}", &json, &error));
    char text[5] = "";
    int64_t integer = 0;
    double real = 0;
    bool value = false;
    assert_true(json_get_text(json, "t", JSON_REQUIRED, text, sizeof text, &error));
    assert_string_equal(text, "text");
    assert_true(json_get_integer(json, "i", JSON_REQUIRED, 0, 42, &integer, &error));
    assert_int_equal(integer, 42);
    assert_true(json_get_real(json, "r", JSON_REQUIRED, &real, &error) && real == 1.5);
    assert_true(json_get_real(json, "i", JSON_REQUIRED, &real, &error) && real == 42);
    assert_true(json_get_bool(json, "b", JSON_REQUIRED, &value, &error) && value);

    assert_false(json_get_text(json, "t", JSON_REQUIRED, text, 4, &error));
    assert_non_null(strstr(error.text, "\"t\" is longer than 3 bytes"));
    assert_false(json_get_text(json, "i", JSON_OPTIONAL, text, sizeof text, &error));
    assert_false(json_get_integer(json, "i", JSON_REQUIRED, 0, 41, &integer, &error));
    assert_false(json_get_integer(json, "i", JSON_REQUIRED, 43, 50, &integer, &error));
    assert_false(json_get_integer(json, "r", JSON_REQUIRED, 0, 41, &integer, &error));
    assert_false(json_get_real(json, "t", JSON_REQUIRED, &real, &error));
    assert_false(json_get_bool(json, "i", JSON_REQUIRED, &value, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_string_equal(text, "text");
}

static void a_missing_member_is_an_error_only_where_it_is_needed(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = NULL;
    assert_true(parse("{\"n\":null}", &json, &error));
    int64_t integer = 7;
    assert_true(json_get_integer(json, "n", JSON_OPTIONAL, 0, 9, &integer, &error));
    assert_true(json_get_integer(json, "x", JSON_OPTIONAL, 0, 9, &integer, &error));
    assert_int_equal(integer, 7);
    assert_false(json_get_integer(json, "n", JSON_REQUIRED, 0, 9, &integer, &error));
    assert_non_null(strstr(error.text, "\"n\" is missing"));
    CLEANUP(json_decrefp) json_t *array = json_array_make();
    assert_false(json_get_integer(array, "n", JSON_OPTIONAL, 0, 9, &integer, &error));
    assert_false(json_get_integer(NULL, "n", JSON_OPTIONAL, 0, 9, &integer, &error));
}

static void an_id_is_a_string_of_its_form_or_null(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = NULL;
    assert_true(parse("{\"id\":\"66F0aabbccddeeff00112233\",\"n\":null,\"short\":\"66f0\",\"i\":1}",
                      &json, &error));
    struct id id = {""};
    assert_true(json_get_id(json, "n", JSON_OPTIONAL, &id, &error));
    assert_true(json_get_id(json, "x", JSON_OPTIONAL, &id, &error));
    assert_true(id_is_none(&id));
    assert_true(json_get_id(json, "id", JSON_REQUIRED, &id, &error));
    assert_string_equal(id.text, "66f0aabbccddeeff00112233");
    assert_false(json_get_id(json, "n", JSON_REQUIRED, &id, &error));
    assert_false(json_get_id(json, "i", JSON_OPTIONAL, &id, &error));
    assert_false(json_get_id(json, "short", JSON_OPTIONAL, &id, &error));
    assert_non_null(strstr(error.text, "\"short\""));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_string_equal(id.text, "66f0aabbccddeeff00112233");

    json_set_id(json, "n", &id);
    json_set_id(json, "id", &(struct id){""});
    assert_true(json_is_string(json_object_get(json, "n")));
    assert_true(json_is_null(json_object_get(json, "id")));
}

static void an_object_is_written_in_the_order_it_was_made(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_text(json, "z", "\"\n");
    json_set_text(json, "a", NULL);
    json_set_text(json, "u", "a\xff");
    json_set_integer(json, "i", INT64_MIN);
    json_set_real(json, "r", 0.42);
    json_set_real(json, "nan", (double)NAN);
    json_set_bool(json, "b", false);
    json_set_take(json, "l", json_array_make());
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(200);
    assert_true(json_format(json, &text, &error));
    assert_string_equal(buffer_text(&text),
                        "{\"z\":\"\\\"\\n\",\"a\":null,\"u\":\"a\xef\xbf\xbd\","
                        "\"i\":-9223372036854775808,\"r\":0.42,\"nan\":null,\"b\":false,\"l\":[]}");
}

static void what_does_not_fit_is_not_begun(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_text(json, "member", "value");
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(12);
    assert_true(buffer_append_text(&text, "ab", &error));
    assert_false(json_format(json, &text, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(buffer_text(&text), "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_one_json_value_is_bad_input),
        cmocka_unit_test(the_error_never_quotes_the_input),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(members_are_checked_for_type_and_bounds),
        cmocka_unit_test(a_missing_member_is_an_error_only_where_it_is_needed),
        cmocka_unit_test(an_id_is_a_string_of_its_form_or_null),
        cmocka_unit_test(an_object_is_written_in_the_order_it_was_made),
        cmocka_unit_test(what_does_not_fit_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
