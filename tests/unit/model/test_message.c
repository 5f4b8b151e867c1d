#include "model/message.h"

#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

#define VIDEO "66f0c0ffee00000000000001"
#define MP3 "66f0c0ffee00000000000002"

static bool parse(const char *text, struct message *out_message, struct error *error)
{
    return message_parse(text, strlen(text), out_message, error);
}

static void our_message_reads_as_it_was_written(void **state)
{
    (void)state;
    struct error error = {0};
    struct message message = {.username = "a@example.org"};
    assert_true(id_parse(VIDEO, &message.video_id, &error));
    message.conversion_id = message.video_id;
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(MESSAGE_SIZE_MAX);
    message_format(&message, &body);
    assert_string_equal(buffer_text(&body), "{\"video_fid\":\"" VIDEO "\",\"mp3_fid\":null,"
                                            "\"username\":\"a@example.org\","
                                            "\"conversion_id\":\"" VIDEO "\"}");
    struct message again;
    assert_true(message_parse(body.bytes, body.size, &again, &error));
    assert_true(id_is_equal(&again.video_id, &message.video_id));
    assert_true(id_is_equal(&again.conversion_id, &message.conversion_id));
    assert_true(id_is_none(&again.mp3_id));
    assert_string_equal(again.username, "a@example.org");
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    struct message message = {0};
    memset(message.username, 1, sizeof message.username - 1);
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(MESSAGE_SIZE_MAX);
    message_format(&message, &body);
    assert_true(body.size > 6 * 319);
}

static void messages_of_the_original_are_understood(void **state)
{
    (void)state;
    struct error error = {0};
    struct message message;
    assert_true(parse("{\"video_fid\": \"" VIDEO "\", \"mp3_fid\": null, "
                      "\"username\": \"a@example.org\"}",
                      &message, &error));
    assert_true(id_is_none(&message.conversion_id));
    assert_string_equal(message.video_id.text, VIDEO);
    assert_true(parse("{\"video_fid\": \"" VIDEO "\", \"mp3_fid\": \"" MP3 "\", "
                      "\"username\": \"a@example.org\", \"more\": [1]}",
                      &message, &error));
    assert_string_equal(message.mp3_id.text, MP3);
    assert_true(parse("{\"mp3_fid\": \"" MP3 "\", \"username\": \"a\"}", &message, &error));
    assert_true(id_is_none(&message.video_id));
}

static void malformed_messages_say_what_is_wrong(void **state)
{
    (void)state;
    const struct {
        const char *body, *reason;
    } table[] = {
        {"", "JSON"},
        {"[]", "object"},
        {"{}", "video_fid"},
        {"{\"video_fid\":\"" VIDEO "\"}", "username"},
        {"{\"video_fid\":\"\",\"username\":\"a\"}", "\"video_fid\""},
        {"{\"video_fid\":\"../../etc/passwd\",\"username\":\"a\"}", "\"video_fid\""},
        {"{\"video_fid\":\"" VIDEO "0\",\"username\":\"a\"}", "\"video_fid\""},
        {"{\"video_fid\":7,\"username\":\"a\"}", "\"video_fid\""},
        {"{\"video_fid\":\"" VIDEO "\",\"conversion_id\":\"x\",\"username\":\"a\"}",
         "\"conversion_id\""},
        {"{\"video_fid\":\"" VIDEO "\",\"username\":\"a\\r\\nBcc: b\"}", "control"},
        {"{\"video_fid\":\"" VIDEO "\",\"username\":\"a\\u2028Bcc: b\"}", "control"},
        {"{\"video_fid\":\"" VIDEO "\",\"username\":null}", "username"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct error error = {0};
        struct message message = {.username = "as before"};
        assert_false(parse(table[i].body, &message, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_non_null(strstr(error.text, table[i].reason));
        assert_string_equal(message.username, "as before");
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct error error = {0};
    struct message message;
    char body[MESSAGE_SIZE_MAX + 2];
    int start = snprintf(body, sizeof body, "{\"mp3_fid\":\"" MP3 "\",\"username\":\"a\"}");
    memset(body + start, ' ', sizeof body - (size_t)start);
    assert_true(message_parse(body, MESSAGE_SIZE_MAX, &message, &error));
    assert_false(message_parse(body, MESSAGE_SIZE_MAX + 1, &message, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    start = snprintf(body, sizeof body, "{\"mp3_fid\":\"" MP3 "\",\"username\":\"");
    memset(body + start, 'a', CLAIMS_EMAIL_SIZE);
    snprintf(body + start + CLAIMS_EMAIL_SIZE, 4, "\"}");
    assert_false(parse(body, &message, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_message_reads_as_it_was_written),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(messages_of_the_original_are_understood),
        cmocka_unit_test(malformed_messages_say_what_is_wrong),
        cmocka_unit_test(sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
