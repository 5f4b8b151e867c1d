#include "stores/shared/mongodb.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "stores/shared/mongodb_connection.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Both clocks run; only a change of the server's, or of who is primary, is noticed by asking. */
#define CLOCK_FRESH_MS CLOCK_MINUTE_MS

#define INDEXES_MAX 16

struct mongodb_cursor {
    struct mongodb *mongodb;         /* borrowed */
    mongoc_collection_t *collection; /* owned */
    mongoc_cursor_t *cursor;         /* owned */
};

bool mongodb_open(const struct config *config, struct mongodb **out_mongodb, struct error *error)
{
    CLEANUP(mongodb_closep) struct mongodb *mongodb = calloc(1, sizeof *mongodb);
    if (mongodb == NULL)
        abort();
    if (!mongodb_connection_init(mongodb, config, error))
        return false;
    *out_mongodb = mongodb;
    mongodb = NULL;
    return true;
}

void mongodb_close(struct mongodb *mongodb)
{
    if (mongodb == NULL)
        return;
    mongodb_client_finish(&mongodb->client);
    free(mongodb);
}

void mongodb_closep(struct mongodb **mongodb)
{
    mongodb_close(*mongodb);
    *mongodb = NULL;
}

static void collection_destroyp(mongoc_collection_t **collection)
{
    if (*collection != NULL)
        mongoc_collection_destroy(*collection);
}

static mongoc_collection_t *collection_of(struct mongodb *mongodb,
                                          const struct mongodb_collection *collection)
{
    return mongoc_client_get_collection(mongodb_client_get(&mongodb->client),
                                        mongodb->databases[collection->database], collection->name);
}

/* ---- The server itself ---- */

static bool ask_hello(struct mongodb *mongodb, bson_t *out_reply, struct error *error)
{
    CLEANUP(bson_destroy) bson_t hello = BSON_INITIALIZER;
    bson_error_t cause = {0};
    bson_append_int32(&hello, "hello", -1, 1);
    return mongoc_client_command_simple(mongodb_client_get(&mongodb->client), "admin", &hello, NULL,
                                        out_reply, &cause) ||
           mongodb_fail(mongodb, &cause, error);
}

static bool note_clock(struct mongodb *mongodb, const bson_t *reply, int64_t asked_at_boot_ms,
                       struct error *error)
{
    bson_iter_t time;
    if (!bson_iter_init_find(&time, reply, "localTime") || !BSON_ITER_HOLDS_DATE_TIME(&time))
        return error_set(error, ERROR_INTERNAL, "MongoDB at %s does not say its time",
                         mongodb->server);
    int64_t now_boot_ms = clock_boot_ms();
    int64_t asked_ms = asked_at_boot_ms + (now_boot_ms - asked_at_boot_ms) / 2;
    mongodb->clock_offset_ms = bson_iter_date_time(&time) - asked_ms;
    mongodb->clock_read_at_boot_ms = now_boot_ms;
    return true;
}

bool mongodb_check(struct mongodb *mongodb, struct error *error)
{
    int64_t asked_at_boot_ms = clock_boot_ms();
    CLEANUP(bson_destroy) bson_t reply = BSON_INITIALIZER;
    return ask_hello(mongodb, &reply, error) &&
           note_clock(mongodb, &reply, asked_at_boot_ms, error);
}

bool mongodb_now(struct mongodb *mongodb, int64_t *out_now_ms, struct error *error)
{
    bool is_known = mongodb->clock_read_at_boot_ms != 0;
    if (!is_known || clock_boot_ms() - mongodb->clock_read_at_boot_ms > CLOCK_FRESH_MS) {
        struct error cause = {0};
        /* A clock that was read once goes on without the server. */
        if (!mongodb_check(mongodb, &cause) && !is_known)
            return error_set(error, cause.kind, "%s", cause.text);
    }
    *out_now_ms = clock_boot_ms() + mongodb->clock_offset_ms;
    return true;
}

/* ---- Writes ---- */

/* That a majority has it not yet is a failure to the driver too, and here ERROR_UNAVAILABLE. */

static int64_t count_in(const bson_t *reply, const char *member)
{
    bson_iter_t count;
    return bson_iter_init_find(&count, reply, member) ? bson_iter_as_int64(&count) : 0;
}

bool mongodb_insert(struct mongodb *mongodb, const struct mongodb_collection *collection,
                    const bson_t *document, struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    bson_error_t cause = {0};
    return mongoc_collection_insert_one(handle, document, NULL, NULL, &cause) ||
           mongodb_fail(mongodb, &cause, error);
}

static bool is_duplicate(const bson_error_t *cause)
{
    return cause->code == MONGOC_ERROR_DUPLICATE_KEY &&
           (cause->domain == MONGOC_ERROR_SERVER || cause->domain == MONGOC_ERROR_COLLECTION);
}

bool mongodb_insert_many(struct mongodb *mongodb, const struct mongodb_collection *collection,
                         const bson_t **documents, size_t count, size_t *out_inserted,
                         struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    CLEANUP(bson_destroy) bson_t reply = BSON_INITIALIZER;
    bson_error_t cause = {0};
    bool succeeded =
        mongoc_collection_insert_many(handle, documents, count, NULL, &reply, &cause) ||
        is_duplicate(&cause);
    if (!succeeded)
        return mongodb_fail(mongodb, &cause, error);
    /* Of two things that are wrong the driver tells one. */
    if (bson_has_field(&reply, "writeConcernErrors"))
        return error_set(error, ERROR_UNAVAILABLE, "MongoDB at %s: not written by a majority",
                         mongodb->server);
    *out_inserted = (size_t)count_in(&reply, "insertedCount");
    return true;
}

bool mongodb_update(struct mongodb *mongodb, const struct mongodb_collection *collection,
                    const bson_t *filter, const bson_t *update, int64_t *out_matched,
                    struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    CLEANUP(bson_destroy) bson_t reply = BSON_INITIALIZER;
    bson_error_t cause = {0};
    if (!mongoc_collection_update_one(handle, filter, update, NULL, &reply, &cause))
        return mongodb_fail(mongodb, &cause, error);
    if (out_matched != NULL)
        *out_matched = count_in(&reply, "matchedCount");
    return true;
}

static void modify_options_destroyp(mongoc_find_and_modify_opts_t **options)
{
    mongoc_find_and_modify_opts_destroy(*options);
}

static bool find_and_modify(struct mongodb *mongodb, const struct mongodb_collection *collection,
                            const bson_t *filter, const bson_t *update,
                            mongoc_find_and_modify_flags_t flags, bson_t *out_document,
                            struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    CLEANUP(modify_options_destroyp)
    mongoc_find_and_modify_opts_t *options = mongoc_find_and_modify_opts_new();
    CLEANUP(bson_destroy) bson_t reply = BSON_INITIALIZER;
    bson_error_t cause = {0};
    mongoc_find_and_modify_opts_set_update(options, update);
    mongoc_find_and_modify_opts_set_flags(options, MONGOC_FIND_AND_MODIFY_RETURN_NEW | flags);
    if (!mongoc_collection_find_and_modify_with_opts(handle, filter, options, &reply, &cause))
        return mongodb_fail(mongodb, &cause, error);
    bson_iter_t value;
    if (bson_iter_init_find(&value, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&value)) {
        uint32_t size = 0;
        const uint8_t *bytes = NULL;
        bson_t document;
        bson_iter_document(&value, &size, &bytes);
        if (bson_init_static(&document, bytes, size))
            bson_concat(out_document, &document);
    }
    return true;
}

bool mongodb_modify(struct mongodb *mongodb, const struct mongodb_collection *collection,
                    const bson_t *filter, const bson_t *update, bson_t *out_document,
                    struct error *error)
{
    return find_and_modify(mongodb, collection, filter, update, MONGOC_FIND_AND_MODIFY_NONE,
                           out_document, error);
}

bool mongodb_modify_or_insert(struct mongodb *mongodb, const struct mongodb_collection *collection,
                              const bson_t *filter, const bson_t *update, bson_t *out_document,
                              struct error *error)
{
    return find_and_modify(mongodb, collection, filter, update, MONGOC_FIND_AND_MODIFY_UPSERT,
                           out_document, error);
}

typedef bool delete_function(mongoc_collection_t *collection, const bson_t *selector,
                             const bson_t *options, bson_t *reply, bson_error_t *error);

static bool delete_by(delete_function *function, struct mongodb *mongodb,
                      const struct mongodb_collection *collection, const bson_t *filter,
                      int64_t *out_deleted, struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    CLEANUP(bson_destroy) bson_t reply = BSON_INITIALIZER;
    bson_error_t cause = {0};
    if (!function(handle, filter, NULL, &reply, &cause))
        return mongodb_fail(mongodb, &cause, error);
    if (out_deleted != NULL)
        *out_deleted = count_in(&reply, "deletedCount");
    return true;
}

bool mongodb_delete_one(struct mongodb *mongodb, const struct mongodb_collection *collection,
                        const bson_t *filter, int64_t *out_deleted, struct error *error)
{
    return delete_by(mongoc_collection_delete_one, mongodb, collection, filter, out_deleted, error);
}

bool mongodb_delete_all(struct mongodb *mongodb, const struct mongodb_collection *collection,
                        const bson_t *filter, int64_t *out_deleted, struct error *error)
{
    return delete_by(mongoc_collection_delete_many, mongodb, collection, filter, out_deleted,
                     error);
}

/* ---- Reads ---- */

static struct mongodb_cursor *cursor_create(struct mongodb *mongodb,
                                            const struct mongodb_collection *collection)
{
    struct mongodb_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        abort();
    cursor->mongodb = mongodb;
    cursor->collection = collection_of(mongodb, collection);
    mongodb->client.open_cursors++;
    return cursor;
}

/* What is wrong with the question is known now; what the server answers, at the first document. */
static bool give_cursor(struct mongodb_cursor *cursor, struct mongodb_cursor **out_cursor,
                        struct error *error)
{
    bson_error_t cause = {0};
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *owned = cursor;
    if (mongoc_cursor_error(cursor->cursor, &cause))
        return mongodb_fail(cursor->mongodb, &cause, error);
    *out_cursor = owned;
    owned = NULL;
    return true;
}

bool mongodb_find(struct mongodb *mongodb, const struct mongodb_collection *collection,
                  const bson_t *filter, const bson_t *options, struct mongodb_cursor **out_cursor,
                  struct error *error)
{
    struct mongodb_cursor *cursor = cursor_create(mongodb, collection);
    cursor->cursor = mongoc_collection_find_with_opts(cursor->collection, filter, options, NULL);
    return give_cursor(cursor, out_cursor, error);
}

bool mongodb_aggregate(struct mongodb *mongodb, const struct mongodb_collection *collection,
                       const bson_t *pipeline, struct mongodb_cursor **out_cursor,
                       struct error *error)
{
    struct mongodb_cursor *cursor = cursor_create(mongodb, collection);
    cursor->cursor =
        mongoc_collection_aggregate(cursor->collection, MONGOC_QUERY_NONE, pipeline, NULL, NULL);
    return give_cursor(cursor, out_cursor, error);
}

bool mongodb_cursor_next(struct mongodb_cursor *cursor, const bson_t **out_document,
                         struct error *error)
{
    const bson_t *document = NULL;
    bson_error_t cause = {0};
    if (!mongoc_cursor_next(cursor->cursor, &document)) {
        if (mongoc_cursor_error(cursor->cursor, &cause))
            return mongodb_fail(cursor->mongodb, &cause, error);
        document = NULL;
    }
    *out_document = document;
    return true;
}

void mongodb_cursor_closep(struct mongodb_cursor **cursor)
{
    if (*cursor == NULL)
        return;
    mongoc_cursor_destroy((*cursor)->cursor);
    mongoc_collection_destroy((*cursor)->collection);
    (*cursor)->mongodb->client.open_cursors--;
    free(*cursor);
    *cursor = NULL;
}

bool mongodb_find_one(struct mongodb *mongodb, const struct mongodb_collection *collection,
                      const bson_t *filter, bson_t *out_document, struct error *error)
{
    CLEANUP(bson_destroy) bson_t options = BSON_INITIALIZER;
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    const bson_t *document = NULL;
    bson_append_int64(&options, "limit", -1, 1);
    bson_append_bool(&options, "singleBatch", -1, true);
    if (!mongodb_find(mongodb, collection, filter, &options, &cursor, error) ||
        !mongodb_cursor_next(cursor, &document, error))
        return false;
    if (document != NULL)
        bson_concat(out_document, document);
    return true;
}

bool mongodb_count(struct mongodb *mongodb, const struct mongodb_collection *collection,
                   const bson_t *filter, int64_t most, int64_t *out_count, struct error *error)
{
    CLEANUP(collection_destroyp)
    mongoc_collection_t *handle = collection_of(mongodb, collection);
    CLEANUP(bson_destroy) bson_t options = BSON_INITIALIZER;
    bson_error_t cause = {0};
    if (most != 0)
        bson_append_int64(&options, "limit", -1, most);
    int64_t count = mongoc_collection_count_documents(handle, filter, &options, NULL, NULL, &cause);
    if (count < 0)
        return mongodb_fail(mongodb, &cause, error);
    *out_count = count;
    return true;
}

/* What every double counts to exactly. */
#define WHOLE_DOUBLE_MOST 0x1p53

bool mongodb_whole_number(const bson_iter_t *value, int64_t least, int64_t most,
                          int64_t *out_number)
{
    if (BSON_ITER_HOLDS_DOUBLE(value)) {
        double real = bson_iter_double(value);
        if (!(real >= -WHOLE_DOUBLE_MOST && real <= WHOLE_DOUBLE_MOST) ||
            real != (double)(int64_t)real)
            return false;
    } else if (!BSON_ITER_HOLDS_INT(value)) {
        return false;
    }
    int64_t number = bson_iter_as_int64(value);
    if (number < least || number > most)
        return false;
    *out_number = number;
    return true;
}

/* ---- Indexes ---- */

static void append_index(bson_t *command, const struct mongodb_index *index)
{
    bson_t indexes;
    bson_t one;
    bson_t keys;
    bson_append_array_begin(command, "indexes", -1, &indexes);
    bson_append_document_begin(&indexes, "0", -1, &one);
    bson_append_utf8(&one, "name", -1, index->name, -1);
    bson_append_document_begin(&one, "key", -1, &keys);
    for (const char *const *key = index->keys; *key != NULL; key++) {
        bool is_descending = **key == '-';
        bson_append_int32(&keys, is_descending ? *key + 1 : *key, -1, is_descending ? -1 : 1);
    }
    bson_append_document_end(&one, &keys);
    if (index->is_unique)
        bson_append_bool(&one, "unique", -1, true);
    bson_append_document_end(&indexes, &one);
    bson_append_array_end(command, &indexes);
}

bool mongodb_create_index(struct mongodb *mongodb, const struct mongodb_collection *collection,
                          const struct mongodb_index *index, struct error *error)
{
    CLEANUP(bson_destroy) bson_t command = BSON_INITIALIZER;
    const char *database = mongodb->databases[collection->database];
    bson_error_t cause = {0};
    bson_append_utf8(&command, "createIndexes", -1, collection->name, -1);
    append_index(&command, index);
    if (mongoc_client_write_command_with_opts(mongodb_client_get(&mongodb->client), database,
                                              &command, NULL, NULL, &cause))
        return true;
    if (is_duplicate(&cause))
        return error_set(error, ERROR_INTERNAL,
                         "MongoDB at %s: %s.%s holds documents that the index %s does not allow: "
                         "remove those that should not be there: %s",
                         mongodb->server, database, collection->name, index->name, cause.message);
    return mongodb_fail(mongodb, &cause, error) ||
           error_prefix(error, "index %s of %s", index->name, collection->name);
}

static void note_index(const bson_t *stored, const struct mongodb_index *indexes, size_t count,
                       bool *are_there)
{
    bson_iter_t name;
    bson_iter_t unique;
    if (!bson_iter_init_find(&name, stored, "name") || !BSON_ITER_HOLDS_UTF8(&name))
        return;
    bool is_unique = bson_iter_init_find(&unique, stored, "unique") && bson_iter_as_bool(&unique);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(bson_iter_utf8(&name, NULL), indexes[i].name) == 0)
            are_there[i] = is_unique || !indexes[i].is_unique;
    }
}

bool mongodb_check_indexes(struct mongodb *mongodb, const struct mongodb_collection *collection,
                           const struct mongodb_index *indexes, size_t count, struct error *error)
{
    bool are_there[INDEXES_MAX] = {false};
    const bson_t *stored = NULL;
    CLEANUP(buffer_finish) struct buffer missing = BUFFER_WITH_MAX(ERROR_TEXT_SIZE);
    struct mongodb_cursor *indexes_of = cursor_create(mongodb, collection);
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    assert(count <= INDEXES_MAX);
    indexes_of->cursor = mongoc_collection_find_indexes_with_opts(indexes_of->collection, NULL);
    if (!give_cursor(indexes_of, &cursor, error))
        return false;
    do {
        if (!mongodb_cursor_next(cursor, &stored, error))
            return false;
        if (stored != NULL)
            note_index(stored, indexes, count, are_there);
    } while (stored != NULL);
    for (size_t i = 0; i < count; i++) {
        if (!are_there[i])
            ignore_failure(buffer_append_format(&missing, NULL, missing.size == 0 ? "%s" : ", %s",
                                                indexes[i].name));
    }
    return missing.size == 0 ||
           error_set(error, ERROR_UNAVAILABLE,
                     "MongoDB at %s: indexes of %s.%s are missing: %s; run `tapedeck migrate`",
                     mongodb->server, mongodb->databases[collection->database], collection->name,
                     buffer_text(&missing));
}
