#include "stores/blob_store/gridfs.h"

#include "base/clock.h"
#include <stdlib.h>
#include <string.h>

/* How often a document is looked at again that was not as a write had just found it. */
#define TRIES_MAX 5
/* The server's own bound for a document, which a chunk is. */
#define CHUNK_SIZE_MAX ((int64_t)16 * 1024 * 1024)

static const struct mongodb_collection files[2] = {
    [BLOB_VIDEO] = {MONGODB_VIDEOS, "fs.files"},
    [BLOB_MP3] = {MONGODB_MP3S, "fs.files"},
};
static const struct mongodb_collection writers[2] = {
    [BLOB_VIDEO] = {MONGODB_VIDEOS, "fs.writers"},
    [BLOB_MP3] = {MONGODB_MP3S, "fs.writers"},
};

static bson_t *filter_of(const struct gridfs_blob *blob)
{
    return BCON_NEW("_id", BCON_OID(&blob->oid));
}

/* ---- Turns ---- */

struct turn {
    int64_t g; /* -1: nobody had one */
    int64_t number;
};

static bool find_turn(struct mongodb *mongodb, const struct gridfs_blob *blob,
                      struct turn *out_turn, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of(blob);
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    if (!mongodb_find_one(mongodb, &writers[blob->kind], filter, &document, error))
        return false;
    struct gridfs_mark found = gridfs_mark_of(&document, "g", "turn");
    *out_turn = (struct turn){.g = found.g, .number = found.w};
    return true;
}

static bool fail_newer(const struct gridfs_blob *blob, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "a newer upload writes blob %s", blob->id.text);
}

static bool fail_removed(const struct gridfs_blob *blob, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "blob %s was removed meanwhile", blob->id.text);
}

/* One that lands late raises a number that nobody waits for: only a greater generation counts. */
bool gridfs_take_turn(struct mongodb *mongodb, const struct gridfs_blob *blob, int64_t generation,
                      int64_t *out_turn, bool *out_is_new, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp)
    bson_t *filter =
        BCON_NEW("_id", BCON_OID(&blob->oid), "g", "{", "$lte", BCON_INT64(generation), "}");
    CLEANUP(gridfs_bson_destroyp)
    bson_t *update = BCON_NEW("$set", "{", "g", BCON_INT64(generation), "}", "$inc", "{", "turn",
                              BCON_INT64(1), "}");
    for (int i = 0; i < TRIES_MAX; i++) {
        struct turn turn;
        struct error cause = {0};
        bool is_taken = mongodb_upsert(mongodb, &writers[blob->kind], filter, update, &cause);
        if (!is_taken && cause.kind != ERROR_CONFLICT) {
            *error = cause;
            return false;
        }
        if (!find_turn(mongodb, blob, &turn, error))
            return false;
        if (turn.g > generation)
            return fail_newer(blob, error);
        if (is_taken && turn.g == generation) {
            *out_turn = turn.number;
            *out_is_new = turn.number == 1;
            return true;
        }
    }
    return fail_removed(blob, error);
}

bool gridfs_check_turn(struct mongodb *mongodb, const struct gridfs_blob *blob, int64_t generation,
                       struct error *error)
{
    struct turn turn;
    if (!find_turn(mongodb, blob, &turn, error))
        return false;
    if (turn.g > generation)
        return fail_newer(blob, error);
    return turn.g == generation || fail_removed(blob, error);
}

/* ---- Files ---- */

/* Any driver's number: the original's lengths are 32 or 64 bits wide, some shells write doubles. */
static bool read_number(const bson_t *document, const char *member, int64_t least, int64_t most,
                        int64_t *out_number)
{
    bson_iter_t found;
    if (!bson_iter_init_find(&found, document, member))
        return false;
    if (BSON_ITER_HOLDS_DOUBLE(&found)) {
        double number = bson_iter_double(&found);
        if (!(number >= (double)least && number <= (double)most))
            return false;
        *out_number = (int64_t)number;
        return true;
    }
    *out_number = bson_iter_as_int64(&found);
    return BSON_ITER_HOLDS_INT(&found) && *out_number >= least && *out_number <= most;
}

static struct id read_id(const bson_t *document, const char *path)
{
    struct id id = {""};
    bson_iter_t start;
    bson_iter_t found;
    if (bson_iter_init(&start, document) && bson_iter_find_descendant(&start, path, &found) &&
        BSON_ITER_HOLDS_OID(&found))
        bson_oid_to_string(bson_iter_oid(&found), id.text);
    return id;
}

static bool parse_file(const bson_t *document, struct gridfs_file *out_file)
{
    int64_t size = 0;
    int64_t chunk_size = 0;
    if (!read_number(document, "length", 0, (int64_t)1 << 48, &size) ||
        !read_number(document, "chunkSize", 1, CHUNK_SIZE_MAX, &chunk_size))
        return false;
    *out_file = (struct gridfs_file){
        .size_bytes = (uint64_t)size,
        .chunk_size = (size_t)chunk_size,
        .mark = gridfs_mark_of(document, "metadata.g", "metadata.w"),
        .metadata.conversion_id = read_id(document, "metadata.conversion_id"),
        .metadata.owner_id = read_id(document, "metadata.owner_id"),
    };
    return (out_file->size_bytes + out_file->chunk_size - 1) / out_file->chunk_size <= INT32_MAX;
}

/* Empty: there is none. */
static bool find_file(struct mongodb *mongodb, const struct gridfs_blob *blob, bson_t *out_document,
                      struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of(blob);
    return mongodb_find_one(mongodb, &files[blob->kind], filter, out_document, error);
}

bool gridfs_read_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                      struct gridfs_file *out_file, struct error *error)
{
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    if (!find_file(mongodb, blob, &document, error))
        return false;
    if (bson_empty(&document))
        return error_set(error, ERROR_NOT_FOUND, "blob %s is not there, or not finished",
                         blob->id.text);
    return parse_file(&document, out_file) ||
           error_set(error, ERROR_INTERNAL, "the file document of blob %s makes no sense",
                     blob->id.text);
}

static void append_id(bson_t *document, const char *member, const struct id *id)
{
    bson_oid_t oid;
    if (id_is_none(id))
        return;
    bson_oid_init_from_string(&oid, id->text);
    BSON_APPEND_OID(document, member, &oid);
}

/* What a finished blob has besides its _id. A name is nothing that the specification asks for, but
 * some tools list files by it. */
static void append_file(bson_t *document, const struct gridfs_blob *blob,
                        const struct gridfs_file *file)
{
    bson_t metadata;
    BSON_APPEND_INT64(document, "length", (int64_t)file->size_bytes);
    BSON_APPEND_INT32(document, "chunkSize", (int32_t)file->chunk_size);
    BSON_APPEND_DATE_TIME(document, "uploadDate", clock_wall_ms());
    BSON_APPEND_UTF8(document, "filename", blob->id.text);
    BSON_APPEND_DOCUMENT_BEGIN(document, "metadata", &metadata);
    append_id(&metadata, "conversion_id", &file->metadata.conversion_id);
    append_id(&metadata, "owner_id", &file->metadata.owner_id);
    BSON_APPEND_INT64(&metadata, "g", file->mark.g);
    BSON_APPEND_INT64(&metadata, "w", file->mark.w);
    bson_append_document_end(document, &metadata);
}

static bson_t *filter_of_mark(const struct gridfs_blob *blob, const struct gridfs_mark *mark)
{
    return BCON_NEW("_id", BCON_OID(&blob->oid), "metadata.g", BCON_INT64(mark->g), "metadata.w",
                    BCON_INT64(mark->w));
}

/* In the place of exactly the one that was found. */
static bool replace_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                         const struct gridfs_mark *found, const struct gridfs_file *file,
                         int64_t *out_matched, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of_mark(blob, found);
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    bson_t set;
    BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &set);
    append_file(&set, blob, file);
    bson_append_document_end(&update, &set);
    return mongodb_update(mongodb, &files[blob->kind], filter, &update, out_matched, error);
}

bool gridfs_store_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                       const struct gridfs_file *file, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *document = filter_of(blob);
    append_file(document, blob, file);
    for (int i = 0; i < TRIES_MAX; i++) {
        struct error cause = {0};
        CLEANUP(bson_destroy) bson_t found = BSON_INITIALIZER;
        int64_t matched = 0;
        if (mongodb_insert(mongodb, &files[blob->kind], document, &cause))
            return true;
        if (cause.kind != ERROR_CONFLICT) {
            *error = cause;
            return false;
        }
        if (!find_file(mongodb, blob, &found, error))
            return false;
        if (bson_empty(&found))
            continue;
        struct gridfs_mark mark = gridfs_mark_of(&found, "metadata.g", "metadata.w");
        if (mark.g >= 0 && gridfs_mark_compare(&mark, &file->mark) == 0)
            return true;
        if (mark.g < 0 || gridfs_mark_compare(&mark, &file->mark) > 0)
            break;
        if (!replace_file(mongodb, blob, &mark, file, &matched, error))
            return false;
        if (matched != 0)
            return true;
    }
    return fail_newer(blob, error);
}

bool gridfs_take_file_back(struct mongodb *mongodb, const struct gridfs_blob *blob,
                           const struct gridfs_mark *mark, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of_mark(blob, mark);
    return mongodb_delete_one(mongodb, &files[blob->kind], filter, NULL, error);
}

/* Only the very document that was found: a removal that lands late must not meet the one that a
 * later turn finished with. */
bool gridfs_unfinish(struct mongodb *mongodb, const struct gridfs_blob *blob, struct error *error)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        CLEANUP(bson_destroy) bson_t found = BSON_INITIALIZER;
        if (!find_file(mongodb, blob, &found, error))
            return false;
        if (bson_empty(&found))
            return true;
        struct gridfs_mark mark = gridfs_mark_of(&found, "metadata.g", "metadata.w");
        if (mark.g < 0)
            return error_set(error, ERROR_CONFLICT, "blob %s is another program's", blob->id.text);
        if (!gridfs_take_file_back(mongodb, blob, &mark, error))
            return false;
    }
    return fail_newer(blob, error);
}

/* ---- Of the store ---- */

static bool delete_by_id(struct mongodb *mongodb, const struct mongodb_collection *collection,
                         const struct gridfs_blob *blob, int64_t *out_deleted, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of(blob);
    return mongodb_delete_one(mongodb, collection, filter, out_deleted, error);
}

/* The file once more at the end: a writer that found its turn just before this took it away has
 * either stored the file by then, or sees that its turn is gone and takes the file back. */
bool gridfs_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                   struct error *error)
{
    struct gridfs_blob blob = gridfs_blob_of(gridfs_store_of(store), kind, id);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    int64_t turns = 0;
    if (!gridfs_borrow(blob.store, &loan, error) ||
        !delete_by_id(loan.mongodb, &files[kind], &blob, NULL, error) ||
        !gridfs_remove_chunks(loan.mongodb, &blob, error) ||
        !delete_by_id(loan.mongodb, &writers[kind], &blob, &turns, error))
        return false;
    return turns == 0 || delete_by_id(loan.mongodb, &files[kind], &blob, NULL, error);
}

static bool scan_collection(struct mongodb *mongodb, const struct mongodb_collection *collection,
                            const struct id *after_id, size_t limit, struct id *out_ids,
                            size_t *out_count, struct error *error)
{
    bson_oid_t after;
    memset(&after, 0, sizeof after);
    if (!id_is_none(after_id))
        bson_oid_init_from_string(&after, after_id->text);
    int64_t most = limit < INT32_MAX ? (int64_t)limit : INT32_MAX;
    CLEANUP(gridfs_bson_destroyp)
    bson_t *filter = BCON_NEW("_id", "{", "$gt", BCON_OID(&after), "}");
    CLEANUP(gridfs_bson_destroyp)
    bson_t *options =
        BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "sort", "{", "_id", BCON_INT32(1),
                 "}", "limit", BCON_INT64(most), "batchSize", BCON_INT32(1000));
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    const bson_t *document = NULL;
    size_t count = 0;
    if (!mongodb_find(mongodb, collection, filter, options, &cursor, error))
        return false;
    do {
        if (!mongodb_cursor_next(cursor, &document, error))
            return false;
        if (document != NULL && count < limit) {
            out_ids[count] = read_id(document, "_id");
            count += !id_is_none(&out_ids[count]);
        }
    } while (document != NULL);
    *out_count = count;
    return true;
}

/* The smallest of both, each once. */
static size_t merge(const struct id *a, size_t a_count, const struct id *b, size_t b_count,
                    size_t limit, struct id *out_ids)
{
    size_t count = 0;
    while (count < limit && (a_count > 0 || b_count > 0)) {
        int order = a_count == 0 ? 1 : b_count == 0 ? -1 : strcmp(a->text, b->text);
        out_ids[count++] = order <= 0 ? *a : *b;
        if (order <= 0) {
            a++;
            a_count--;
        }
        if (order >= 0) {
            b++;
            b_count--;
        }
    }
    return count;
}

static void free_idsp(struct id **ids)
{
    free(*ids);
}

bool gridfs_scan(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
                 size_t limit, struct id *out_ids, size_t *out_count, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    CLEANUP(free_idsp) struct id *finished = calloc(limit + 1, sizeof *finished);
    CLEANUP(free_idsp) struct id *begun = calloc(limit + 1, sizeof *begun);
    size_t finished_count = 0;
    size_t begun_count = 0;
    if (finished == NULL || begun == NULL)
        abort();
    if (!gridfs_borrow(gridfs_store_of(store), &loan, error) ||
        !scan_collection(loan.mongodb, &files[kind], after_id, limit, finished, &finished_count,
                         error) ||
        !scan_collection(loan.mongodb, &writers[kind], after_id, limit, begun, &begun_count, error))
        return false;
    *out_count = merge(finished, finished_count, begun, begun_count, limit, out_ids);
    return true;
}
