#include "model/conversion_document.h"

#include "base/buffer.h"
#include "base/json.h"
#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

/* Every field another than zero, so that one that the table forgets is missed. */
static struct conversion full_record(void)
{
    struct conversion record = ended(CONVERSION_DONE, CONVERSION_NOTICE_SENDING);
    record.version = 17;
    record.is_resumable = true;
    record.generation = 3;
    record.video.duration_seconds = 12.5;
    record.video.is_removed = true;
    record.options.bitrate_kbps = 192;
    record.options.notify = CONVERSION_NOTIFY_NONE;
    record.foreign = CONVERSION_FOREIGN_VIDEO;
    record.claim = 4;
    record.lost = 2;
    record.attempts = 1;
    record.progress = 0.5;
    record.mp3.size_bytes = 4096;
    record.mp3.duration_seconds = 12.25;
    record.mp3.bitrate_kbps = 192;
    record.mp3.sample_rate_hz = 48000;
    record.mp3.channels = 1;
    record.mp3.is_truncated = true;
    memcpy(record.video.name, "Größe 🎬.mp4", 17);
    memcpy(record.error.code, "damaged", 8);
    memcpy(record.error.message, "It is damaged.", 15);
    memcpy(record.notice.error, "451 later", 10);
    record.notice.attempts = 5;
    record.sweeps = 1;
    record.clean_failures = 6;
    return record;
}

static void finish_buffer(struct buffer *buffer)
{
    buffer_finish(buffer);
}

static void assert_is_stored_as_read(const struct conversion *record)
{
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = conversion_to_json(record);
    CLEANUP(finish_buffer) struct buffer text = BUFFER_WITH_MAX(65536);
    assert_true(json_format(json, &text, &error));
    CLEANUP(json_decrefp) json_t *parsed = NULL;
    assert_true(json_parse(text.bytes, text.size, &parsed, &error));
    struct conversion read;
    memset(&read, 0, sizeof read);
    if (!conversion_from_json(parsed, &read, &error))
        fail_msg("%s", error.text);
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        const char *stored = (const char *)record + field->offset;
        const char *got = (const char *)&read + field->offset;
        if (memcmp(stored, got, field->size) != 0)
            fail_msg("%s is not read as it was stored", field->path);
    }
}

static void a_record_is_read_as_it_was_stored(void **state)
{
    (void)state;
    struct conversion record = full_record();
    assert_is_stored_as_read(&record);
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        record = in_state((enum conversion_state)i);
        assert_is_stored_as_read(&record);
    }
}

/* What the table does not cover would be lost on the first change of a record. */
static void the_table_names_every_field_of_the_record(void **state)
{
    (void)state;
    unsigned char covered[sizeof(struct conversion)] = {0};
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        assert_true(field->offset + field->size <= sizeof covered);
        for (size_t i = 0; i < field->size; i++)
            assert_int_equal(covered[field->offset + i]++, 0);
    }
    size_t gap = 0;
    for (size_t i = 0; i < sizeof covered; i++) {
        gap = covered[i] ? 0 : gap + 1;
        /* Padding is at most what aligns an int64_t; no field of the record is a bare byte but
         * the booleans, whose own tests would fail. */
        assert_true(gap < 8);
    }
}

static void paths_name_each_field_once(void **state)
{
    (void)state;
    for (const struct conversion_field *a = conversion_fields; a->path != NULL; a++) {
        assert_true(strlen(a->path) > 0 && strchr(a->path, '.') == strrchr(a->path, '.'));
        for (const struct conversion_field *b = a + 1; b->path != NULL; b++)
            assert_string_not_equal(a->path, b->path);
    }
}

static json_t *document(void)
{
    struct conversion record = full_record();
    return conversion_to_json(&record);
}

static void members_of_a_newer_version_are_ignored(void **state)
{
    (void)state;
    CLEANUP(json_decrefp) json_t *json = document();
    json_set_text(json, "mood", "fine");
    json_set_text(json_object_get(json, "video"), "codec", "h264");
    struct conversion record;
    assert_true(conversion_from_json(json, &record, NULL));
}

static void fields_of_a_newer_version_are_missing_in_an_older_record(void **state)
{
    (void)state;
    CLEANUP(json_decrefp) json_t *json = document();
    const char *const missing[] = {"trace", "clean_failures", "error", "options", "progress"};
    for (size_t i = 0; i < ARRAY_COUNT(missing); i++)
        json_object_del(json, missing[i]);
    struct conversion record;
    assert_true(conversion_from_json(json, &record, NULL));
    assert_int_equal(record.clean_failures, 0);
    assert_string_equal(record.error.code, "");
}

static void assert_is_refused(const json_t *json, const char *what)
{
    struct error error = {0};
    struct conversion record, before;
    memset(&record, 0x5a, sizeof record);
    memset(&before, 0x5a, sizeof before);
    if (conversion_from_json(json, &record, &error))
        fail_msg("taken: %s", what);
    assert_int_equal(error.kind, ERROR_INTERNAL);
    assert_true(error.text[0] != '\0');
    assert_memory_equal(&record, &before, sizeof record);
}

/* Each sets the member that the path names to the JSON value. */
static void what_a_record_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *outer, *member, *value;
    } cases[] = {
        {NULL, "_id", "null"},
        {NULL, "_id", "\"\""},
        {NULL, "_id", "\"../../etc/passwd\""},
        {NULL, "_id", "17"},
        {NULL, "version", "0"},
        {NULL, "version", "-1"},
        {NULL, "version", "1.5"},
        {NULL, "version", "\"1\""},
        {NULL, "version", "9223372036854775807"},
        {NULL, "state", "\"finished\""},
        {NULL, "state", "null"},
        {NULL, "state", "3"},
        {NULL, "due_for", "\"me\""},
        {NULL, "due_at", "-1"},
        {NULL, "due_at", "9223372036854775807"},
        {NULL, "created_at", "\"2026-11-24T10:00:00Z\""},
        {NULL, "owner", "\"a@example.org\""},
        {NULL, "owner", "[]"},
        {NULL, "generation", "-1"},
        {NULL, "received", "-1"},
        {NULL, "claim", "-1"},
        {NULL, "claim", "9007199254740991"},
        {NULL, "lost", "-1"},
        {NULL, "attempts", "-1"},
        {NULL, "sweeps", "-1"},
        {NULL, "clean_failures", "-1"},
        {NULL, "progress", "1.01"},
        {NULL, "progress", "-0.01"},
        {NULL, "progress", "\"half\""},
        {NULL, "resumable", "1"},
        {NULL, "options", "17"},
        {NULL, "options", "{\"bitrate_kbps\": -1}"},
        {NULL, "foreign", "\"alien\""},
        {NULL, "holder", "\"me\""},
        {"video", "size", "-2"},
        {"video", "duration", "-1"},
        {"video", "duration", "1e300"},
        {"video", "name", "7"},
        {"mp3", "id", "null"},
        {"mp3", "size", "-1"},
        {"mp3", "channels", "4294967296"},
        {"mp3", "channels", "-1"},
        {"notice", "state", "\"lost\""},
        {"notice", "attempts", "-1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(json_decrefp) json_t *json = document();
        json_t *object = cases[i].outer == NULL ? json : json_object_get(json, cases[i].outer);
        json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_set_take(object, cases[i].member, value);
        assert_is_refused(json, cases[i].value);
    }
}

static void texts_longer_than_their_field_are_refused(void **state)
{
    (void)state;
    char text[2048];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *const members[] = {"request_key", "_id", "state", "holder"};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        CLEANUP(json_decrefp) json_t *json = document();
        json_set_text(json, members[i], text);
        assert_is_refused(json, members[i]);
    }
    CLEANUP(json_decrefp) json_t *json = document();
    json_set_text(json_object_get(json, "notice"), "error", text);
    assert_is_refused(json, "notice.error");
}

static void what_is_no_document_is_refused(void **state)
{
    (void)state;
    const char *const texts[] = {
        "null", "[]", "{}", "17", "\"x\"", "{\"_id\":\"66f0aabbccddeeff00112233\",\"version\":1}"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        CLEANUP(json_decrefp) json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_is_refused(json, texts[i]);
    }
}

static void values_that_only_a_codec_of_its_own_lets_in_are_checked_too(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = full_record();
    assert_true(conversion_check(&record, &error));
    record.progress = NAN;
    assert_false(conversion_check(&record, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
    record = full_record();
    record.video.duration_seconds = INFINITY;
    assert_false(conversion_check(&record, &error));
    record = full_record();
    record.mp3.id = (struct id){{0}};
    assert_false(conversion_check(&record, &error));
}

static void assert_public(const struct conversion *record, const char *expected)
{
    struct error error = {0};
    CLEANUP(json_decrefp) json_t *json = conversion_to_public_json(record);
    CLEANUP(finish_buffer) struct buffer text = BUFFER_WITH_MAX(65536);
    assert_true(json_format(json, &text, &error));
    assert_string_equal(buffer_text(&text), expected);
}

static void a_client_sees_what_is_done(void **state)
{
    (void)state;
    struct conversion record = full_record();
    record.notice.error[0] = '\0';
    record.error.code[0] = '\0';
    memcpy(record.video.name, "talk.mp4", 9);
    record.foreign = CONVERSION_OWN;
    record.options.notify = CONVERSION_NOTIFY_EMAIL;
    assert_public(&record,
                  "{\"id\":\"66f0aabbccddeeff00112233\",\"state\":\"done\",\"progress\":0.5,"
                  "\"created_at\":\"1970-01-12T13:46:40Z\","
                  "\"video\":{\"name\":\"talk.mp4\",\"size_bytes\":1000,\"received_bytes\":1000,"
                  "\"duration_seconds\":12.5},"
                  "\"options\":{\"bitrate_kbps\":192},"
                  "\"mp3\":{\"id\":\"dc6279f1b10412fba249b0df\",\"size_bytes\":4096,"
                  "\"duration_seconds\":12.25,\"bitrate_kbps\":192,\"sample_rate_hz\":48000,"
                  "\"channels\":1,\"warning\":\"truncated\"},"
                  "\"attempts\":4,\"error\":null,\"notification\":{\"state\":\"pending\"},"
                  "\"expires_at\":\"1970-02-11T13:46:40Z\",\"owner\":\"a@example.org\"}");
}

static void a_client_sees_null_where_nothing_is_known(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    record.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    record.video.name[0] = '\0';
    assert_public(&record,
                  "{\"id\":\"66f0aabbccddeeff00112233\",\"state\":\"uploading\",\"progress\":0.0,"
                  "\"created_at\":\"1970-01-12T13:46:40Z\","
                  "\"video\":{\"name\":null,\"size_bytes\":null,\"received_bytes\":0,"
                  "\"duration_seconds\":null},"
                  "\"options\":{},\"mp3\":null,\"attempts\":0,\"error\":null,"
                  "\"notification\":{\"state\":\"none\"},\"expires_at\":null,"
                  "\"owner\":\"a@example.org\"}");
}

static void a_client_sees_why_it_failed_and_why_no_mail_came(void **state)
{
    (void)state;
    struct conversion record = ended(CONVERSION_FAILED, CONVERSION_NOTICE_FAILED);
    memcpy(record.error.code, "damaged", 8);
    memcpy(record.error.message, "It is damaged.", 15);
    memcpy(record.notice.error, "550 no", 7);
    CLEANUP(json_decrefp) json_t *json = conversion_to_public_json(&record);
    const json_t *error = json_object_get(json, "error");
    assert_string_equal(json_string_value(json_object_get(error, "code")), "damaged");
    assert_string_equal(json_string_value(json_object_get(error, "message")), "It is damaged.");
    const json_t *notification = json_object_get(json, "notification");
    assert_string_equal(json_string_value(json_object_get(notification, "state")), "failed");
    assert_string_equal(json_string_value(json_object_get(notification, "reason")), "550 no");
    assert_true(json_is_null(json_object_get(json, "mp3")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_it_was_stored),
        cmocka_unit_test(the_table_names_every_field_of_the_record),
        cmocka_unit_test(paths_name_each_field_once),
        cmocka_unit_test(members_of_a_newer_version_are_ignored),
        cmocka_unit_test(fields_of_a_newer_version_are_missing_in_an_older_record),
        cmocka_unit_test(what_a_record_cannot_be_is_refused),
        cmocka_unit_test(texts_longer_than_their_field_are_refused),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(values_that_only_a_codec_of_its_own_lets_in_are_checked_too),
        cmocka_unit_test(a_client_sees_what_is_done),
        cmocka_unit_test(a_client_sees_null_where_nothing_is_known),
        cmocka_unit_test(a_client_sees_why_it_failed_and_why_no_mail_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
