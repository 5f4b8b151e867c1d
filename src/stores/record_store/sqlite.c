#include "stores/record_store/backend.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "model/conversion_document.h"
#include "stores/shared/sqlite.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Several times what a record of this version can grow to: room for members of newer ones. */
#define BODY_SIZE_MAX ((size_t)256 * 1024)
#define AFTER_EVERY_ID "g" /* sorts behind all hexadecimal digits */

/* The document is the record; the other columns repeat what is searched by. */
static const char *const schema_steps[] = {
    "CREATE TABLE conversions ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  version INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"
    "  owner_id TEXT NOT NULL,"
    "  request_key TEXT NOT NULL,"
    "  due_for TEXT NOT NULL,"
    "  due_at INTEGER NOT NULL,"
    "  mp3_id TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  stored_bytes INTEGER NOT NULL,"
    "  body TEXT NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX by_request_key ON conversions (owner_id, request_key);"
    "CREATE INDEX by_due ON conversions (due_for, due_at);"
    "CREATE INDEX by_mp3 ON conversions (mp3_id) WHERE mp3_id <> '';"
    /* A page of a list costs the same however many have been deleted. */
    "CREATE INDEX by_owner ON conversions (owner_id, id, stored_bytes) WHERE state <> 'deleting';"
    "CREATE INDEX by_owner_time ON conversions (owner_id, created_at) WHERE state <> 'deleting';"
    "CREATE INDEX by_owner_state ON conversions (owner_id, state, id, created_at);"
    "CREATE INDEX by_state ON conversions (state, created_at);",
    NULL,
};

static const struct sqlite_schema schema = {
    .file = "records.db",
    .purpose = "record store",
    .steps = schema_steps,
    .reader_least = 1,
};

enum {
    INSERT,
    GET,
    GET_BY_MP3,
    GET_BY_KEY,
    GET_STORED,
    UPDATE,
    UPDATE_DUE,
    REMOVE,
    DUE,
    LIST,
    LIST_STATE,
    COUNT,
    COUNT_STATE,
    COUNT_OWNER,
    COUNT_OWNER_STATE,
    STORED_BYTES,
    STORED_BYTES_DELETING,
    SCAN,
    STATEMENT_COUNT,
};

/* Statements that return records return (id, body). */
static const char *const statements[STATEMENT_COUNT + 1] = {
    [INSERT] = "INSERT INTO conversions (state, owner_id, request_key, mp3_id, created_at,"
               " stored_bytes, due_for, due_at, version, body, id)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [GET] = "SELECT id, body FROM conversions WHERE id = ?1",
    [GET_BY_MP3] = "SELECT id, body FROM conversions WHERE mp3_id = ?1 AND mp3_id <> ''",
    [GET_BY_KEY] = "SELECT id, body FROM conversions WHERE owner_id = ?1 AND request_key = ?2",
    [GET_STORED] = "SELECT version, body, state, owner_id, request_key, mp3_id, created_at,"
                   " stored_bytes FROM conversions WHERE id = ?1",
    [UPDATE] = "UPDATE conversions SET state = ?1, owner_id = ?2, request_key = ?3, mp3_id = ?4,"
               " created_at = ?5, stored_bytes = ?6, due_for = ?7, due_at = ?8, version = ?9,"
               " body = ?10 WHERE id = ?11",
    [UPDATE_DUE] = "UPDATE conversions SET due_for = ?1, due_at = ?2, version = ?3, body = ?4"
                   " WHERE id = ?5",
    [REMOVE] = "DELETE FROM conversions WHERE id = ?1 AND version = ?2",
    [DUE] = "SELECT id, body FROM conversions WHERE due_for = ?1 AND due_at <= ?2 ORDER BY due_at",
    [LIST] = "SELECT id, body FROM conversions WHERE owner_id = ?1 AND state <> 'deleting'"
             " AND id < ?2 ORDER BY id DESC",
    [LIST_STATE] = "SELECT id, body FROM conversions WHERE owner_id = ?1 AND state = ?2"
                   " AND id < ?3 ORDER BY id DESC",
    [COUNT] = "SELECT count(*) FROM (SELECT 1 FROM conversions WHERE state IN ('uploading',"
              " 'queued', 'converting', 'done', 'failed', 'cancelled') AND created_at >= ?1"
              " LIMIT ?2)",
    [COUNT_STATE] = "SELECT count(*) FROM (SELECT 1 FROM conversions WHERE state = ?1"
                    " AND created_at >= ?2 LIMIT ?3)",
    [COUNT_OWNER] = "SELECT count(*) FROM (SELECT 1 FROM conversions WHERE owner_id = ?1"
                    " AND state <> 'deleting' AND created_at >= ?2 LIMIT ?3)",
    [COUNT_OWNER_STATE] = "SELECT count(*) FROM (SELECT 1 FROM conversions WHERE owner_id = ?1"
                          " AND state = ?2 AND created_at >= ?3 LIMIT ?4)",
    [STORED_BYTES] = "SELECT stored_bytes FROM conversions WHERE owner_id = ?1"
                     " AND state <> 'deleting'",
    [STORED_BYTES_DELETING] = "SELECT stored_bytes FROM conversions WHERE owner_id = ?1"
                              " AND state = 'deleting'",
    [SCAN] = "SELECT id, body FROM conversions WHERE id > ?1 ORDER BY id",
};
_Static_assert(STATEMENT_COUNT <= SQLITE_STATEMENTS_MAX, "room for every statement");

struct sqlite_store {
    struct record_store base;
    struct sqlite_database database;
};

static struct sqlite_store *sqlite_store_of(struct record_store *store)
{
    assert(store->backend == &record_store_sqlite);
    return (struct sqlite_store *)store;
}

static struct sqlite_database *database_of(struct record_store *store)
{
    return &sqlite_store_of(store)->database;
}

static bool sqlite_open(const struct config *config, struct record_store **out_store,
                        struct error *error)
{
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->base.backend = &record_store_sqlite;
    CLEANUP(record_store_closep) struct record_store *owned = &store->base;
    if (!sqlite_database_init(&store->database, config, &schema, statements, error))
        return false;
    *out_store = owned;
    owned = NULL;
    return true;
}

static void sqlite_close(struct record_store *store)
{
    sqlite_database_finish(database_of(store));
    free(sqlite_store_of(store));
}

static bool sqlite_check(struct record_store *store, struct error *error)
{
    return sqlite_database_check(database_of(store), error);
}

/* They are in the file with the tables. */
static bool sqlite_check_indexes(struct record_store *store, struct error *error)
{
    (void)store;
    (void)error;
    return true;
}

static bool sqlite_migrate(const struct config *config, struct error *error)
{
    return sqlite_database_migrate(config, &schema, error);
}

static bool sqlite_backup(const struct config *config, const char *folder, struct error *error)
{
    return sqlite_database_backup(config, &schema, folder, error);
}

/* The host's clock: every process that has the file open runs on one host. */
static bool sqlite_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)store;
    (void)error;
    *out_now_ms = clock_wall_ms();
    return true;
}

/* What the record holds of its owner's storage. A size that was declared counts from the start, so
 * that uploads side by side cannot together pass a limit that each alone keeps. */
static int64_t stored_bytes_of(const struct conversion *record)
{
    if (record->state == CONVERSION_DELETING && record->sweeps > 0)
        return 0;
    int64_t bytes = record->mp3.size_bytes;
    if (!record->video.is_removed)
        bytes += record->video.size_bytes > record->received_bytes ? record->video.size_bytes
                                                                   : record->received_bytes;
    return bytes;
}

static bool read_body(const char *body, size_t size, struct conversion *out_record,
                      struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = NULL;
    struct error cause = {0};
    if (!json_parse(body, size, &json, &cause))
        return error_set(error, ERROR_INTERNAL, "%s", cause.text);
    return conversion_from_json(json, out_record, error);
}

static bool read_row(struct sqlite_query *query, struct conversion *out_record, struct error *error)
{
    size_t size = 0;
    const char *body = sqlite_query_bytes(query, 1, &size);
    return read_body(body, size, out_record, error) ||
           error_prefix(error, "stored record %s", sqlite_query_text(query, 0));
}

/* A record of a newer version, or a damaged one, must not hide those around it. */
static bool read_rows(struct sqlite_query *query, size_t limit, struct conversion *out_records,
                      size_t *out_count, struct error *error)
{
    size_t count = 0;
    while (count < limit) {
        bool has_row = false;
        struct error unreadable = {0};
        if (!sqlite_query_step(query, &has_row, error))
            return false;
        if (!has_row)
            break;
        if (read_row(query, &out_records[count], &unreadable))
            count++;
        else
            log_error("record skipped", FIELD_TEXT("conversion", sqlite_query_text(query, 0)),
                      FIELD_TEXT("reason", unreadable.text));
    }
    *out_count = count;
    return true;
}

static bool read_only_row(struct sqlite_query *query, const char *what,
                          struct conversion *out_record, struct error *error)
{
    bool has_row = false;
    if (!sqlite_query_step(query, &has_row, error))
        return false;
    if (!has_row)
        return error_set(error, ERROR_NOT_FOUND, "no record with %s", what);
    return read_row(query, out_record, error);
}

static bool format_body(const json_t *json, struct buffer *out_body, struct error *error)
{
    struct error cause = {0};
    if (json_format(json, out_body, &cause))
        return true;
    return error_set(error, ERROR_INTERNAL, "record cannot be stored: %s", cause.text);
}

static void put_searched(struct sqlite_query *query, const struct conversion *record)
{
    sqlite_query_put_text(query, conversion_state_name(record->state));
    sqlite_query_put_text(query, record->owner.id.text);
    sqlite_query_put_text(query, record->request_key);
    sqlite_query_put_text(query, record->mp3.id.text);
    sqlite_query_put_integer(query, record->created_at_ms);
    sqlite_query_put_integer(query, stored_bytes_of(record));
}

static void put_changing(struct sqlite_query *query, const struct conversion *record,
                         const struct buffer *body)
{
    sqlite_query_put_text(query, conversion_role_name(record->due_for));
    sqlite_query_put_integer(query, record->due_at_ms);
    sqlite_query_put_integer(query, record->version);
    sqlite_query_put_text(query, buffer_text(body));
    sqlite_query_put_text(query, record->id.text);
}

static bool sqlite_insert(struct record_store *store, const struct conversion *record,
                          struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = conversion_to_json(record);
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(BODY_SIZE_MAX);
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!format_body(json, &body, error) ||
        !sqlite_query_start(&query, database_of(store), INSERT, error))
        return false;
    put_searched(&query, record);
    put_changing(&query, record, &body);
    return sqlite_query_run(&query, NULL, error) ||
           error_prefix(error, "insert conversion %s", record->id.text);
}

static bool sqlite_get(struct record_store *store, const struct id *id,
                       struct conversion *out_record, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), GET, error))
        return false;
    sqlite_query_put_text(&query, id->text);
    return read_only_row(&query, "this id", out_record, error);
}

static bool sqlite_get_by_mp3(struct record_store *store, const struct id *mp3_id,
                              struct conversion *out_record, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), GET_BY_MP3, error))
        return false;
    sqlite_query_put_text(&query, mp3_id->text);
    return read_only_row(&query, "this MP3", out_record, error);
}

static bool sqlite_get_by_key(struct record_store *store, const struct id *owner_id,
                              const char *request_key, struct conversion *out_record,
                              struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), GET_BY_KEY, error))
        return false;
    sqlite_query_put_text(&query, owner_id->text);
    sqlite_query_put_text(&query, request_key);
    return read_only_row(&query, "this request key", out_record, error);
}

static bool sqlite_get_many(struct record_store *store, const struct id *ids, size_t count,
                            struct conversion *out_records, size_t *out_count, struct error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
        size_t here = 0;
        if (!sqlite_query_start(&query, database_of(store), GET, error))
            return false;
        sqlite_query_put_text(&query, ids[i].text);
        if (!read_rows(&query, 1, &out_records[found], &here, error))
            return false;
        found += here;
    }
    *out_count = found;
    return true;
}

/* Members that this version does not know stay as they are. Options are known one by one: of those
 * that are not given there is no member. Of what is being deleted no option stays, known or not: it
 * may name a person. */
static bool is_kept(const char *outer, const char *member, const struct conversion *record)
{
    return strcmp(outer, "options") != 0 ||
           (record->state != CONVERSION_DELETING && !conversion_options_is_name(member));
}

static void keep_unknown_members(json_t *new, json_t *old, const char *outer,
                                 const struct conversion *record)
{
    const char *member = NULL;
    json_t *value = NULL;
    json_object_foreach(old, member, value)
    {
        if (json_object_get(new, member) == NULL && is_kept(outer, member, record))
            json_set_take(new, member, json_incref(value));
    }
}

static void keep_unknown(json_t *json, const json_t *stored, const struct conversion *record)
{
    const char *outer = NULL;
    json_t *old = NULL;
    json_object_foreach((json_t *)(uintptr_t)stored, outer, old)
    {
        json_t *new = json_object_get(json, outer);
        if (new == NULL) {
            json_set_take(json, outer, json_incref(old));
            continue;
        }
        if (json_is_object(new) && json_is_object(old))
            keep_unknown_members(new, old, outer, record);
    }
}

/* Most updates only renew a lease or note progress: then one index of seven changes. */
static bool is_searched_alike(struct sqlite_query *stored, const struct conversion *record)
{
    return strcmp(sqlite_query_text(stored, 2), conversion_state_name(record->state)) == 0 &&
           strcmp(sqlite_query_text(stored, 3), record->owner.id.text) == 0 &&
           strcmp(sqlite_query_text(stored, 4), record->request_key) == 0 &&
           strcmp(sqlite_query_text(stored, 5), record->mp3.id.text) == 0 &&
           sqlite_query_integer(stored, 6) == record->created_at_ms &&
           sqlite_query_integer(stored, 7) == stored_bytes_of(record);
}

/* next: the record with its version raised. Fails unless the stored version is the one before;
 * *out_body is what to store. */
static bool prepare_update(struct sqlite_database *database, const struct conversion *next,
                           struct buffer *out_body, bool *out_is_alike, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query stored = {0};
    bool has_row = false;
    if (!sqlite_query_start(&stored, database, GET_STORED, error))
        return false;
    sqlite_query_put_text(&stored, next->id.text);
    if (!sqlite_query_step(&stored, &has_row, error))
        return false;
    if (!has_row)
        return error_set(error, ERROR_CONFLICT, "conversion %s is gone", next->id.text);
    int64_t version = sqlite_query_integer(&stored, 0);
    if (version != next->version - 1)
        return error_set(error, ERROR_CONFLICT,
                         "conversion %s is at version %" PRId64 ", not %" PRId64, next->id.text,
                         version, next->version - 1);
    size_t size = 0;
    const char *body = sqlite_query_bytes(&stored, 1, &size);
    CLEANUP(json_decrefp) json_t *old = NULL;
    CLEANUP(json_decrefp) json_t *json = conversion_to_json(next);
    struct error cause = {0};
    if (!json_parse(body, size, &old, &cause))
        return error_set(error, ERROR_INTERNAL, "stored record %s: %s", next->id.text, cause.text);
    keep_unknown(json, old, next);
    *out_is_alike = is_searched_alike(&stored, next);
    return format_body(json, out_body, error);
}

static bool sqlite_update(struct record_store *store, const struct conversion *record,
                          struct error *error)
{
    struct sqlite_database *database = database_of(store);
    struct conversion next = *record;
    next.version++;
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(BODY_SIZE_MAX);
    bool is_alike = false;
    if (!sqlite_transaction_begin(database, error))
        return false;
    CLEANUP(sqlite_transaction_endp) struct sqlite_database *transaction = database;
    if (!prepare_update(database, &next, &body, &is_alike, error))
        return false;
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database, is_alike ? UPDATE_DUE : UPDATE, error))
        return false;
    if (!is_alike)
        put_searched(&query, &next);
    put_changing(&query, &next, &body);
    return sqlite_query_run(&query, NULL, error) && sqlite_transaction_commit(transaction, error);
}

static bool sqlite_remove(struct record_store *store, const struct id *id, int64_t version,
                          struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    int64_t changes = 0;
    if (!sqlite_query_start(&query, database_of(store), REMOVE, error))
        return false;
    sqlite_query_put_text(&query, id->text);
    sqlite_query_put_integer(&query, version);
    if (!sqlite_query_run(&query, &changes, error))
        return false;
    return changes == 1 ||
           error_set(error, ERROR_CONFLICT, "conversion %s is gone, or not at version %" PRId64,
                     id->text, version);
}

static bool sqlite_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                       size_t limit, struct conversion *out_records, size_t *out_count,
                       struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), DUE, error))
        return false;
    sqlite_query_put_text(&query, conversion_role_name(role));
    sqlite_query_put_integer(&query, now_ms);
    return read_rows(&query, limit, out_records, out_count, error);
}

static bool sqlite_list(struct record_store *store, const struct record_filter *filter,
                        size_t limit, struct conversion *out_records, size_t *out_count,
                        struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    size_t statement = filter->has_state ? LIST_STATE : LIST;
    if (!sqlite_query_start(&query, database_of(store), statement, error))
        return false;
    sqlite_query_put_text(&query, filter->owner_id.text);
    if (filter->has_state)
        sqlite_query_put_text(&query, conversion_state_name(filter->state));
    sqlite_query_put_text(&query,
                          id_is_none(&filter->before_id) ? AFTER_EVERY_ID : filter->before_id.text);
    return read_rows(&query, limit, out_records, out_count, error);
}

static bool sqlite_count(struct record_store *store, const struct record_filter *filter,
                         int64_t most, int64_t *out_count, struct error *error)
{
    bool has_owner = !id_is_none(&filter->owner_id);
    size_t statement = has_owner && filter->has_state ? COUNT_OWNER_STATE
                       : has_owner                    ? COUNT_OWNER
                       : filter->has_state            ? COUNT_STATE
                                                      : COUNT;
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), statement, error))
        return false;
    if (has_owner)
        sqlite_query_put_text(&query, filter->owner_id.text);
    if (filter->has_state)
        sqlite_query_put_text(&query, conversion_state_name(filter->state));
    sqlite_query_put_integer(&query, filter->since_ms);
    sqlite_query_put_integer(&query, most);
    bool has_row = false;
    if (!sqlite_query_step(&query, &has_row, error))
        return false;
    *out_count = sqlite_query_integer(&query, 0);
    return true;
}

static bool add_stored_bytes(struct sqlite_database *database, size_t statement,
                             const struct id *owner_id, int64_t most, int64_t *bytes,
                             struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database, statement, error))
        return false;
    sqlite_query_put_text(&query, owner_id->text);
    while (*bytes <= most) {
        bool has_row = false;
        if (!sqlite_query_step(&query, &has_row, error))
            return false;
        if (!has_row)
            break;
        *bytes += sqlite_query_integer(&query, 0);
    }
    return true;
}

static bool sqlite_stored_bytes(struct record_store *store, const struct id *owner_id, int64_t most,
                                int64_t *out_bytes, struct error *error)
{
    struct sqlite_database *database = database_of(store);
    int64_t bytes = 0;
    if (!add_stored_bytes(database, STORED_BYTES, owner_id, most, &bytes, error) ||
        !add_stored_bytes(database, STORED_BYTES_DELETING, owner_id, most, &bytes, error))
        return false;
    *out_bytes = bytes;
    return true;
}

static bool sqlite_scan(struct record_store *store, const struct id *after_id, size_t limit,
                        struct conversion *out_records, size_t *out_count, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), SCAN, error))
        return false;
    sqlite_query_put_text(&query, after_id->text);
    return read_rows(&query, limit, out_records, out_count, error);
}

const struct record_store_backend record_store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .check = sqlite_check,
    .check_indexes = sqlite_check_indexes,
    .migrate = sqlite_migrate,
    .backup = sqlite_backup,
    .now = sqlite_now,
    .insert = sqlite_insert,
    .get = sqlite_get,
    .get_by_mp3 = sqlite_get_by_mp3,
    .get_by_key = sqlite_get_by_key,
    .get_many = sqlite_get_many,
    .update = sqlite_update,
    .remove = sqlite_remove,
    .due = sqlite_due,
    .list = sqlite_list,
    .count = sqlite_count,
    .stored_bytes = sqlite_stored_bytes,
    .scan = sqlite_scan,
};
