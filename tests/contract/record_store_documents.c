/* Records in MongoDB as an operator, or another version of this program, meets them. */

#include "stores/record_store/record_store.h"

#include "contract.h"
#include "model/conversion_document.h"
#include "record_rows.h"
#include "stores/shared/mongodb.h"
#include <stdio.h>
#include <string.h>

static const struct mongodb_collection conversions = {MONGODB_RECORDS, "conversions"};
static const struct mongodb_collection schemas = {MONGODB_RECORDS, "schema"};

static const char *backend_name;
static struct contract contract;
static struct record_store *store;
static struct mongodb *mongodb;

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    contract_init(&contract, "stores.records", backend_name);
    if (!record_store_migrate(contract.config, &error) ||
        !record_store_open(contract.config, &store, &error) ||
        !mongodb_open(contract.config, &mongodb, &error))
        fail_msg("%s", error.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_store_close(store);
    mongodb_close(mongodb);
    contract_finish(&contract);
    return 0;
}

static struct conversion insert(enum record_stage stage)
{
    struct error error = {0};
    struct conversion record = record_make(stage);
    if (!record_store_insert(store, &record, &error))
        fail_msg("%s", error.text);
    return record;
}

static void filter_by(bson_t *filter, const struct id *id)
{
    bson_oid_t oid;
    bson_oid_init_from_string(&oid, id->text);
    bson_append_oid(filter, "_id", -1, &oid);
}

/* As an operator would in a shell: an update in JSON. */
static void edit(const struct id *id, const char *json)
{
    struct error error = {0};
    bson_error_t cause = {0};
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    bson_t update;
    int64_t matched = 0;
    filter_by(&filter, id);
    if (!bson_init_from_json(&update, json, -1, &cause))
        fail_msg("%s", cause.message);
    if (!mongodb_update(mongodb, &conversions, &filter, &update, &matched, &error))
        fail_msg("%s", error.text);
    assert_int_equal(matched, 1);
    bson_destroy(&update);
}

static void read_document(const struct id *id, bson_t *out_document)
{
    struct error error = {0};
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    filter_by(&filter, id);
    if (!mongodb_find_one(mongodb, &conversions, &filter, out_document, &error))
        fail_msg("%s", error.text);
}

static bson_iter_t find(const bson_t *document, const char *path)
{
    bson_iter_t top;
    bson_iter_t value = {0};
    if (!bson_iter_init(&top, document) || !bson_iter_find_descendant(&top, path, &value))
        fail_msg("no %s", path);
    return value;
}

static bool has(const bson_t *document, const char *path)
{
    bson_iter_t top;
    bson_iter_t value;
    return bson_iter_init(&top, document) && bson_iter_find_descendant(&top, path, &value);
}

static void ids_are_object_ids_and_times_are_dates(void **state)
{
    (void)state;
    struct conversion record = insert(STAGE_DONE);
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    read_document(&record.id, &document);
    static const struct {
        const char *path;
        bson_type_t type;
    } expected[] = {
        {"_id", BSON_TYPE_OID},
        {"owner.id", BSON_TYPE_OID},
        {"mp3.id", BSON_TYPE_OID},
        {"created_at", BSON_TYPE_DATE_TIME},
        {"due_at", BSON_TYPE_DATE_TIME},
        {"state", BSON_TYPE_UTF8},
        {"due_for", BSON_TYPE_UTF8},
        {"owner.email", BSON_TYPE_UTF8},
        {"version", BSON_TYPE_INT64},
        {"video.size", BSON_TYPE_INT64},
        {"video.removed", BSON_TYPE_BOOL},
        {"mp3.duration", BSON_TYPE_DOUBLE},
        {"options", BSON_TYPE_DOCUMENT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        bson_iter_t value = find(&document, expected[i].path);
        if (bson_iter_type(&value) != expected[i].type)
            fail_msg("%s is of type %d", expected[i].path, (int)bson_iter_type(&value));
    }
    bson_iter_t created_at = find(&document, "created_at");
    assert_int_equal(bson_iter_date_time(&created_at), record.created_at_ms);
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++)
        assert_true(has(&document, field->path));
}

static void an_update_leaves_what_this_version_does_not_know(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    edit(&record.id, "{\"$set\": {\"later\": 1, \"video.later\": 2, \"options.later\": 3}}");
    record.claim = 5;
    assert_true(record_store_update(store, &record, &error));
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    read_document(&record.id, &document);
    assert_true(has(&document, "later"));
    assert_true(has(&document, "video.later"));
    assert_true(has(&document, "options.later"));
    bson_iter_t claim = find(&document, "claim");
    assert_int_equal(bson_iter_as_int64(&claim), 5);
}

static void options_come_and_go_one_by_one(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = record_make(STAGE_UPLOADING);
    struct conversion read;
    assert_true(conversion_options_set(&record.options, "title", "\"$date\": {1}", &error));
    assert_true(conversion_options_set(&record.options, "bitrate_kbps", "96", &error));
    assert_true(record_store_insert(store, &record, &error));
    assert_true(record_store_get(store, &record.id, &read, &error));
    assert_true(conversion_options_is_equal(&record.options, &read.options));

    record.options = (struct conversion_options){0};
    assert_true(conversion_options_set(&record.options, "vbr_quality", "0", &error));
    assert_true(record_store_update(store, &record, &error));
    assert_true(record_store_get(store, &record.id, &read, &error));
    assert_true(conversion_options_is_equal(&record.options, &read.options));
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    read_document(&record.id, &document);
    assert_false(has(&document, "options.title"));
}

static void of_what_is_being_deleted_no_option_stays(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = record_make(STAGE_UPLOADING);
    assert_true(conversion_options_set(&record.options, "title", "Anna's wedding", &error));
    assert_true(record_store_insert(store, &record, &error));
    edit(&record.id, "{\"$set\": {\"options.later\": \"Anna\"}}");
    assert_true(conversion_delete(&record, &record_policy, RECORD_BEGUN_MS, &record));
    assert_true(record_store_update(store, &record, &error));
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    read_document(&record.id, &document);
    size_t size = 0;
    char *text = bson_as_relaxed_extended_json(&document, &size);
    assert_non_null(text);
    assert_null(strstr(text, "Anna"));
    assert_null(strstr(text, record_make(STAGE_QUEUED).owner.email));
    bson_free(text);
}

/* In a shell, every number is a double or an int32. */
static void numbers_of_an_operator_are_read(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_DONE);
    struct conversion read;
    edit(&record.id, "{\"$set\": {\"attempts\": 2.0, \"lost\": 3, \"progress\": 1,"
                     " \"mp3.channels\": 1.0, \"version\": {\"$numberInt\": \"1\"}}}");
    assert_true(record_store_get(store, &record.id, &read, &error));
    assert_int_equal(read.attempts, 2);
    assert_int_equal(read.lost, 3);
    assert_true(read.progress == 1);
    assert_int_equal(read.mp3.channels, 1);
    assert_true(record_store_update(store, &read, &error));
}

/* More than a request's id has room for. */
#define TEN "1234567890"
#define LONG_TEXT "{\"$set\": {\"trace.request\": \"" TEN TEN TEN TEN TEN TEN TEN TEN TEN "\"}}"

static void what_cannot_be_read_is_skipped_and_does_not_hide_the_rest(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "{\"$set\": {\"state\": \"of a newer version\"}}",
        "{\"$set\": {\"state\": null}}",
        "{\"$unset\": {\"due_for\": \"\"}}", /* not due then */
        "{\"$set\": {\"claim\": \"seven\"}}",
        "{\"$set\": {\"claim\": 1e300}}",
        "{\"$set\": {\"claim\": -1}}",
        "{\"$set\": {\"version\": 1.5}}",
        "{\"$set\": {\"mp3.size\": {\"$numberLong\": \"9223372036854775807\"}}}",
        "{\"$set\": {\"mp3.channels\": -1}}",
        "{\"$set\": {\"mp3.channels\": 5000000000}}",
        "{\"$set\": {\"created_at\": 5}}",
        "{\"$set\": {\"progress\": \"half\"}}",
        "{\"$set\": {\"video.removed\": \"yes\"}}",
        "{\"$set\": {\"owner.email\": 5}}",
        "{\"$set\": {\"options\": 5}}",
        "{\"$set\": {\"options.bitrate_kbps\": \"all\"}}",
        "{\"$set\": {\"holder\": \"me\"}}",
        LONG_TEXT,
    };
    struct error error = {0};
    struct conversion records[ARRAY_COUNT(damages) + 2];
    size_t count = 0;
    struct conversion first = insert(STAGE_QUEUED);
    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        struct conversion damaged = insert(STAGE_QUEUED);
        edit(&damaged.id, damages[i]);
        if (record_store_get(store, &damaged.id, &records[0], &error))
            fail_msg("read in spite of %s", damages[i]);
        assert_int_equal(error.kind, ERROR_INTERNAL);
        assert_non_null(strstr(error.text, damaged.id.text));
    }
    struct conversion last = insert(STAGE_QUEUED);
    assert_true(
        record_store_due(store, CONVERSION_DUE_CONVERT, INT64_MAX, 2, records, &count, &error));
    assert_int_equal(count, 2);
    const struct id none = {""};
    assert_true(record_store_scan(store, &none, 2, records, &count, &error));
    assert_int_equal(count, 2);
    assert_string_equal(records[0].id.text, first.id.text);
    assert_string_equal(records[1].id.text, last.id.text);
}

/* A number that is none must not keep its owner from uploading. */
static void what_is_no_number_adds_nothing_to_what_is_stored(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t whole = 0;
    int64_t bytes = 0;
    insert(STAGE_DONE);
    assert_true(record_store_stored_bytes(store, &record_owner, INT64_MAX, &whole, &error));
    assert_true(whole > 0);
    struct conversion damaged = insert(STAGE_QUEUED);
    edit(&damaged.id, "{\"$set\": {\"mp3.size\": \"small\", \"video.size\": \"large\"}}");
    if (!record_store_stored_bytes(store, &record_owner, INT64_MAX, &bytes, &error))
        fail_msg("%s", error.text);
    assert_int_equal(bytes, whole);
}

static void set_schema(const char *json)
{
    struct error error = {0};
    bson_error_t cause = {0};
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    bson_t update;
    bson_append_utf8(&filter, "_id", -1, "records", -1);
    assert_true(bson_init_from_json(&update, json, -1, &cause));
    assert_true(mongodb_update(mongodb, &schemas, &filter, &update, NULL, &error));
    bson_destroy(&update);
}

static void a_schema_that_does_not_admit_us_is_refused_and_stays(void **state)
{
    (void)state;
    struct error error = {0};
    struct id id = id_make();
    struct conversion record;
    CLEANUP(record_store_closep) struct record_store *other = NULL;
    set_schema("{\"$set\": {\"version\": 9, \"reader_least\": 1}}");
    assert_true(record_store_check(store, &error));
    assert_true(record_store_migrate(contract.config, &error));
    set_schema("{\"$set\": {\"version\": 9, \"reader_least\": 9}}");
    assert_false(record_store_check(store, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_false(record_store_migrate(contract.config, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_true(record_store_open(contract.config, &other, &error));
    assert_false(record_store_get(other, &id, &record, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    set_schema("{\"$set\": {\"version\": \"one\"}}");
    assert_false(record_store_migrate(contract.config, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    backend_name = argc > 1 ? argv[1] : "mongodb";
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(ids_are_object_ids_and_times_are_dates),
        TEST(an_update_leaves_what_this_version_does_not_know),
        TEST(options_come_and_go_one_by_one),
        TEST(of_what_is_being_deleted_no_option_stays),
        TEST(numbers_of_an_operator_are_read),
        TEST(what_cannot_be_read_is_skipped_and_does_not_hide_the_rest),
        TEST(what_is_no_number_adds_nothing_to_what_is_stored),
        TEST(a_schema_that_does_not_admit_us_is_refused_and_stays),
    };
    return cmocka_run_group_tests_name("record_store_documents", tests, NULL, NULL);
}
