#include "stores/record_store/backend.h"

#include "base/log.h"
#include "stores/record_store/mongodb_record.h"
#include "stores/shared/mongodb.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* The version of documents and indexes, and the oldest version of this program's that can work with
 * them. */
#define SCHEMA_VERSION 1
#define SCHEMA_READER_LEAST 1
#define SCHEMA_ID "records"

#define TIME_MOST_MS INT64_C(253402300799999) /* the end of the year 9999 */

static const struct mongodb_collection conversions = {MONGODB_RECORDS, "conversions"};
static const struct mongodb_collection schemas = {MONGODB_RECORDS, "schema"};

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct mongodb_index indexes[] = {
    {.name = "by_request_key", .keys = KEYS("owner.id", "request_key"), .is_unique = true},
    {.name = "by_due", .keys = KEYS("due_for", "due_at")},
    {.name = "by_mp3", .keys = KEYS("mp3.id")},
    /* What is being deleted is left out by the index alone. */
    {.name = "by_owner", .keys = KEYS("owner.id", "-_id", "state")},
    {.name = "by_owner_time", .keys = KEYS("owner.id", "created_at", "state")},
    {.name = "by_owner_state", .keys = KEYS("owner.id", "state", "-_id", "created_at")},
    {.name = "by_state", .keys = KEYS("state", "created_at")},
};

struct mongodb_store {
    struct record_store base;
    struct mongodb *mongodb; /* owned */
    bool has_schema;         /* seen once: it does not go away */
};

static struct mongodb_store *mongodb_store_of(struct record_store *store)
{
    assert(store->backend == &record_store_mongodb);
    return (struct mongodb_store *)store;
}

static bool store_open(const struct config *config, struct record_store **out_store,
                       struct error *error)
{
    struct mongodb_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->base.backend = &record_store_mongodb;
    CLEANUP(record_store_closep) struct record_store *owned = &store->base;
    if (!mongodb_open(config, &store->mongodb, error))
        return false;
    *out_store = owned;
    owned = NULL;
    return true;
}

static void store_close(struct record_store *store)
{
    mongodb_close(mongodb_store_of(store)->mongodb);
    free(mongodb_store_of(store));
}

/* ---- Schema ---- */

/* Version 0: there is none yet. */
struct schema {
    int64_t version;
    int64_t reader_least;
};

/* What is missing is 0. */
static bool read_count(const bson_t *document, const char *member, int64_t *out_count,
                       struct error *error)
{
    bson_iter_t value;
    int64_t count = 0;
    if (bson_iter_init_find(&value, document, member) &&
        !mongodb_whole_number(&value, 0, INT64_MAX, &count))
        return error_set(error, ERROR_INTERNAL, "%s is not a count", member);
    *out_count = count;
    return true;
}

/* ERROR_CONFLICT: it does not admit us. */
static bool read_schema(struct mongodb *mongodb, struct schema *out_schema, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    bson_append_utf8(&filter, "_id", -1, SCHEMA_ID, -1);
    if (!mongodb_find_one(mongodb, &schemas, &filter, &document, error))
        return false;
    struct schema schema = {0};
    if (!read_count(&document, "version", &schema.version, error) ||
        !read_count(&document, "reader_least", &schema.reader_least, error))
        return error_prefix(error, "schema of the records");
    if (schema.reader_least > SCHEMA_VERSION)
        return error_set(error, ERROR_CONFLICT,
                         "the record store needs a newer version of this program: its schema "
                         "admits version %" PRId64 " and later, this is %d",
                         schema.reader_least, SCHEMA_VERSION);
    *out_schema = schema;
    return true;
}

static bool store_check(struct record_store *store, struct error *error)
{
    struct mongodb_store *mongodb_store = mongodb_store_of(store);
    struct schema schema = {0};
    if (!read_schema(mongodb_store->mongodb, &schema, error))
        return false;
    if (schema.version < SCHEMA_VERSION)
        return error_set(error, ERROR_UNAVAILABLE,
                         "the record store has %s; run `tapedeck migrate`",
                         schema.version == 0 ? "no schema yet" : "an older schema");
    mongodb_store->has_schema = true;
    return true;
}

static bool store_check_indexes(struct record_store *store, struct error *error)
{
    return mongodb_check_indexes(mongodb_store_of(store)->mongodb, &conversions, indexes,
                                 ARRAY_COUNT(indexes), error);
}

static bool make_ready(struct record_store *store, struct mongodb **out_mongodb,
                       struct error *error)
{
    struct mongodb_store *mongodb_store = mongodb_store_of(store);
    if (!mongodb_store->has_schema && !store_check(store, error))
        return false;
    *out_mongodb = mongodb_store->mongodb;
    return true;
}

/* Never back: a newer version may have been here. */
static bool write_schema(struct mongodb *mongodb, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t stored = BSON_INITIALIZER;
    bson_t most;
    bson_append_utf8(&filter, "_id", -1, SCHEMA_ID, -1);
    bson_append_document_begin(&update, "$max", -1, &most);
    bson_append_int64(&most, "version", -1, SCHEMA_VERSION);
    bson_append_int64(&most, "reader_least", -1, SCHEMA_READER_LEAST);
    bson_append_document_end(&update, &most);
    return mongodb_modify_or_insert(mongodb, &schemas, &filter, &update, &stored, error);
}

static bool store_migrate(const struct config *config, struct error *error)
{
    CLEANUP(mongodb_closep) struct mongodb *mongodb = NULL;
    struct schema schema = {0};
    if (!mongodb_open(config, &mongodb, error) || !read_schema(mongodb, &schema, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(indexes); i++) {
        if (!mongodb_create_index(mongodb, &conversions, &indexes[i], error))
            return false;
    }
    return write_schema(mongodb, error);
}

static bool store_backup(const struct config *config, const char *folder, struct error *error)
{
    (void)config;
    (void)folder;
    return error_set(error, ERROR_BAD_INPUT,
                     "the records are in MongoDB: copy them with its own tools (mongodump)");
}

static bool store_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    return mongodb_now(mongodb_store_of(store)->mongodb, out_now_ms, error);
}

/* ---- Reads ---- */

static bool read_record(const bson_t *document, struct conversion *out_record, struct error *error)
{
    return mongodb_record_read(document, out_record, error) || error_prefix(error, "stored record");
}

static bool read_only(struct record_store *store, const bson_t *filter, const char *what,
                      struct conversion *out_record, struct error *error)
{
    struct mongodb *mongodb = NULL;
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    if (!make_ready(store, &mongodb, error) ||
        !mongodb_find_one(mongodb, &conversions, filter, &document, error))
        return false;
    if (bson_empty(&document))
        return error_set(error, ERROR_NOT_FOUND, "no record with %s", what);
    return read_record(&document, out_record, error);
}

static bool store_get(struct record_store *store, const struct id *id,
                      struct conversion *out_record, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    mongodb_record_append_id(&filter, "_id", id);
    return read_only(store, &filter, "this id", out_record, error);
}

static bool store_get_by_mp3(struct record_store *store, const struct id *mp3_id,
                             struct conversion *out_record, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    mongodb_record_append_id(&filter, "mp3.id", mp3_id);
    return read_only(store, &filter, "this MP3", out_record, error);
}

static bool store_get_by_key(struct record_store *store, const struct id *owner_id,
                             const char *request_key, struct conversion *out_record,
                             struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    mongodb_record_append_id(&filter, "owner.id", owner_id);
    bson_append_utf8(&filter, "request_key", -1, request_key, -1);
    return read_only(store, &filter, "this request key", out_record, error);
}

static void log_skipped(const bson_t *document, const struct error *reason)
{
    bson_iter_t id;
    char text[25] = "";
    if (bson_iter_init_find(&id, document, "_id") && BSON_ITER_HOLDS_OID(&id))
        bson_oid_to_string(bson_iter_oid(&id), text);
    log_error("record skipped", FIELD_TEXT("conversion", text), FIELD_TEXT("reason", reason->text));
}

/* One of a newer version, or a damaged one, must not hide those around it. */
static bool read_cursor(struct mongodb_cursor *cursor, size_t limit, struct conversion *out_records,
                        size_t *out_count, struct error *error)
{
    size_t count = 0;
    while (count < limit) {
        const bson_t *document = NULL;
        struct error unreadable = {0};
        if (!mongodb_cursor_next(cursor, &document, error))
            return false;
        if (document == NULL)
            break;
        if (read_record(document, &out_records[count], &unreadable))
            count++;
        else
            log_skipped(document, &unreadable);
    }
    *out_count = count;
    return true;
}

struct page {
    const bson_t *filter;
    const char *sort; /* NULL: any order */
    int direction;
    size_t limit;
};

static bool read_page(struct record_store *store, const struct page *page,
                      struct conversion *out_records, size_t *out_count, struct error *error)
{
    struct mongodb *mongodb = NULL;
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    CLEANUP(bson_destroy) bson_t options = BSON_INITIALIZER;
    bson_t sort;
    if (page->limit == 0) {
        *out_count = 0;
        return true;
    }
    if (page->sort != NULL) {
        bson_append_document_begin(&options, "sort", -1, &sort);
        bson_append_int32(&sort, page->sort, -1, page->direction);
        bson_append_document_end(&options, &sort);
    }
    bson_append_int64(&options, "batchSize", -1, (int64_t)page->limit);
    return make_ready(store, &mongodb, error) &&
           mongodb_find(mongodb, &conversions, page->filter, &options, &cursor, error) &&
           read_cursor(cursor, page->limit, out_records, out_count, error);
}

static bool store_get_many(struct record_store *store, const struct id *ids, size_t count,
                           struct conversion *out_records, size_t *out_count, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    bson_t member;
    bson_t list;
    bson_append_document_begin(&filter, "_id", -1, &member);
    bson_append_array_begin(&member, "$in", -1, &list);
    for (size_t i = 0; i < count; i++) {
        char buffer[16];
        const char *key = NULL;
        bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof buffer);
        mongodb_record_append_id(&list, key, &ids[i]);
    }
    bson_append_array_end(&member, &list);
    bson_append_document_end(&filter, &member);
    const struct page page = {.filter = &filter, .limit = count};
    return read_page(store, &page, out_records, out_count, error);
}

static void append_time_condition(bson_t *filter, const char *member, const char *comparison,
                                  int64_t time_ms)
{
    bson_t condition;
    bson_append_document_begin(filter, member, -1, &condition);
    bson_append_date_time(&condition, comparison, -1,
                          time_ms < TIME_MOST_MS ? time_ms : TIME_MOST_MS);
    bson_append_document_end(filter, &condition);
}

static void append_id_condition(bson_t *filter, const char *comparison, const struct id *id)
{
    bson_t condition;
    bson_append_document_begin(filter, "_id", -1, &condition);
    mongodb_record_append_id(&condition, comparison, id);
    bson_append_document_end(filter, &condition);
}

static bool store_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                      size_t limit, struct conversion *out_records, size_t *out_count,
                      struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    bson_append_utf8(&filter, "due_for", -1, conversion_role_name(role), -1);
    append_time_condition(&filter, "due_at", "$lte", now_ms);
    const struct page page = {&filter, "due_at", 1, limit};
    return read_page(store, &page, out_records, out_count, error);
}

/* Owner and state, as list and count are asked for. */
static void append_record_filter(bson_t *filter, const struct record_filter *asked)
{
    bson_t condition;
    if (!id_is_none(&asked->owner_id))
        mongodb_record_append_id(filter, "owner.id", &asked->owner_id);
    if (asked->has_state) {
        bson_append_utf8(filter, "state", -1, conversion_state_name(asked->state), -1);
        return;
    }
    bson_append_document_begin(filter, "state", -1, &condition);
    bson_append_utf8(&condition, "$ne", -1, conversion_state_name(CONVERSION_DELETING), -1);
    bson_append_document_end(filter, &condition);
}

static bool store_list(struct record_store *store, const struct record_filter *filter, size_t limit,
                       struct conversion *out_records, size_t *out_count, struct error *error)
{
    CLEANUP(bson_destroy) bson_t query = BSON_INITIALIZER;
    append_record_filter(&query, filter);
    if (!id_is_none(&filter->before_id))
        append_id_condition(&query, "$lt", &filter->before_id);
    const struct page page = {&query, "_id", -1, limit};
    return read_page(store, &page, out_records, out_count, error);
}

static bool store_count(struct record_store *store, const struct record_filter *filter,
                        int64_t most, int64_t *out_count, struct error *error)
{
    struct mongodb *mongodb = NULL;
    CLEANUP(bson_destroy) bson_t query = BSON_INITIALIZER;
    append_record_filter(&query, filter);
    if (filter->since_ms > 0)
        append_time_condition(&query, "created_at", "$gte", filter->since_ms);
    return make_ready(store, &mongodb, error) &&
           mongodb_count(mongodb, &conversions, &query, most, out_count, error);
}

/* A size that was declared counts from the start, so that uploads side by side cannot together pass
 * a limit that each alone keeps. $sum passes over what is no number, where $add would refuse all.
 */
static const char stored_bytes_stage[] =
    "{\"$group\": {\"_id\": null,"
    "  \"mp3s\": {\"$sum\": \"$mp3.size\"},"
    "  \"videos\": {\"$sum\": {\"$cond\": [\"$video.removed\", 0,"
    "    {\"$cond\": [{\"$gt\": [\"$video.size\", \"$received\"]}, \"$video.size\", \"$received\"]}"
    "  ]}}"
    "}}";

static bool append_stored_bytes(bson_t *pipeline, const struct id *owner_id, struct error *error)
{
    bson_t stage;
    bson_t match;
    bson_t group;
    bson_error_t cause = {0};
    bson_append_document_begin(pipeline, "0", -1, &stage);
    bson_append_document_begin(&stage, "$match", -1, &match);
    mongodb_record_append_id(&match, "owner.id", owner_id);
    bson_append_int64(&match, "sweeps", -1, 0); /* after the first, its bytes are gone */
    bson_append_document_end(&stage, &match);
    bson_append_document_end(pipeline, &stage);
    if (!bson_init_from_json(&group, stored_bytes_stage, -1, &cause))
        return error_set(error, ERROR_INTERNAL, "stored bytes: %s", cause.message);
    bson_append_document(pipeline, "1", -1, &group);
    bson_destroy(&group);
    return true;
}

static bool store_stored_bytes(struct record_store *store, const struct id *owner_id, int64_t most,
                               int64_t *out_bytes, struct error *error)
{
    (void)most; /* the server adds all of them faster than it could be stopped */
    struct mongodb *mongodb = NULL;
    CLEANUP(bson_destroy) bson_t pipeline = BSON_INITIALIZER;
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    const bson_t *sums = NULL;
    int64_t mp3s = 0;
    int64_t videos = 0;
    if (!append_stored_bytes(&pipeline, owner_id, error) || !make_ready(store, &mongodb, error) ||
        !mongodb_aggregate(mongodb, &conversions, &pipeline, &cursor, error) ||
        !mongodb_cursor_next(cursor, &sums, error))
        return false;
    if (sums != NULL &&
        (!read_count(sums, "mp3s", &mp3s, error) || !read_count(sums, "videos", &videos, error)))
        return error_prefix(error, "stored bytes of %s", owner_id->text);
    *out_bytes = mp3s > INT64_MAX - videos ? INT64_MAX : mp3s + videos;
    return true;
}

static bool store_scan(struct record_store *store, const struct id *after_id, size_t limit,
                       struct conversion *out_records, size_t *out_count, struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    if (!id_is_none(after_id))
        append_id_condition(&filter, "$gt", after_id);
    const struct page page = {&filter, "_id", 1, limit};
    return read_page(store, &page, out_records, out_count, error);
}

/* ---- Writes ---- */

static bool store_insert(struct record_store *store, const struct conversion *record,
                         struct error *error)
{
    struct mongodb *mongodb = NULL;
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    mongodb_record_append(&document, record);
    if (!make_ready(store, &mongodb, error))
        return false;
    return mongodb_insert(mongodb, &conversions, &document, error) ||
           error_prefix(error, "insert conversion %s", record->id.text);
}

static bool fail_version(const struct id *id, int64_t version, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "conversion %s is gone, or not at version %" PRId64,
                     id->text, version);
}

static void append_version_filter(bson_t *filter, const struct id *id, int64_t version)
{
    mongodb_record_append_id(filter, "_id", id);
    bson_append_int64(filter, "version", -1, version);
}

static bool store_update(struct record_store *store, const struct conversion *record,
                         struct error *error)
{
    struct mongodb *mongodb = NULL;
    struct conversion next = *record;
    next.version++;
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t stored = BSON_INITIALIZER;
    append_version_filter(&filter, &record->id, record->version);
    mongodb_record_append_update(&update, &next);
    if (!make_ready(store, &mongodb, error) ||
        !mongodb_modify(mongodb, &conversions, &filter, &update, &stored, error))
        return false;
    return !bson_empty(&stored) || fail_version(&record->id, record->version, error);
}

static bool store_remove(struct record_store *store, const struct id *id, int64_t version,
                         struct error *error)
{
    struct mongodb *mongodb = NULL;
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    int64_t deleted = 0;
    append_version_filter(&filter, id, version);
    if (!make_ready(store, &mongodb, error) ||
        !mongodb_delete_one(mongodb, &conversions, &filter, &deleted, error))
        return false;
    return deleted == 1 || fail_version(id, version, error);
}

const struct record_store_backend record_store_mongodb = {
    .name = "mongodb",
    .open = store_open,
    .close = store_close,
    .check = store_check,
    .check_indexes = store_check_indexes,
    .migrate = store_migrate,
    .backup = store_backup,
    .now = store_now,
    .insert = store_insert,
    .get = store_get,
    .get_by_mp3 = store_get_by_mp3,
    .get_by_key = store_get_by_key,
    .get_many = store_get_many,
    .update = store_update,
    .remove = store_remove,
    .due = store_due,
    .list = store_list,
    .count = store_count,
    .stored_bytes = store_stored_bytes,
    .scan = store_scan,
};
