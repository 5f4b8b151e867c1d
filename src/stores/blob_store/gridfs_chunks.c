#include "stores/blob_store/gridfs.h"

#include <string.h>

/* How often a chunk is looked at again that was not as a write had just found it. */
#define STORE_TRIES_MAX 5
/* Removed at once: 256 MiB, so that no removal lasts as long as the time-out. */
#define REMOVE_STEP UINT64_C(1024)

/* ---- Looking ---- */

static bson_t *chunk_filter_of(const struct gridfs_blob *blob, uint64_t index)
{
    return BCON_NEW("files_id", BCON_OID(&blob->oid), "n", BCON_INT32((int32_t)index));
}

/* Without its bytes; empty: not there. */
static bool find_marks(struct mongodb *mongodb, const struct gridfs_blob *blob, uint64_t index,
                       bool *out_is_there, struct gridfs_mark *out_mark, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = chunk_filter_of(blob, index);
    CLEANUP(gridfs_bson_destroyp)
    bson_t *options = BCON_NEW("projection", "{", "g", BCON_INT32(1), "w", BCON_INT32(1), "}",
                               "limit", BCON_INT64(1), "batchSize", BCON_INT32(1));
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    const bson_t *document = NULL;
    if (!mongodb_find(mongodb, &gridfs_chunks[blob->kind], filter, options, &cursor, error) ||
        !mongodb_cursor_next(cursor, &document, error))
        return false;
    *out_is_there = document != NULL;
    if (document != NULL)
        *out_mark = gridfs_mark_of(document, "g", "w");
    return true;
}

bool gridfs_has_chunk(struct mongodb *mongodb, const struct gridfs_blob *blob, uint64_t index,
                      bool *out_is_there, struct error *error)
{
    struct gridfs_mark mark;
    return find_marks(mongodb, blob, index, out_is_there, &mark, error);
}

/* By doubling, then by halving: a writer stores its chunks in order, and an equality is what every
 * server finds by the index. */
bool gridfs_count_run(struct mongodb *mongodb, const struct gridfs_blob *blob, uint64_t *out_count,
                      struct error *error)
{
    uint64_t low = 0; /* so many are there */
    uint64_t high = 1;
    bool is_there = true;
    while (is_there) {
        if (!gridfs_has_chunk(mongodb, blob, high - 1, &is_there, error))
            return false;
        if (is_there) {
            low = high;
            high *= 2;
        }
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (!gridfs_has_chunk(mongodb, blob, middle - 1, &is_there, error))
            return false;
        if (is_there)
            low = middle;
        else
            high = middle;
    }
    *out_count = low;
    return true;
}

bool gridfs_count_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                         uint64_t *out_count, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = BCON_NEW("files_id", BCON_OID(&blob->oid));
    int64_t count = 0;
    if (!mongodb_count(mongodb, &gridfs_chunks[blob->kind], filter, 0, &count, error))
        return false;
    *out_count = (uint64_t)count;
    return true;
}

/* ---- Reading ---- */

static bool fail_damaged(const struct gridfs_blob *blob, uint64_t index, struct error *error)
{
    return error_set(error, ERROR_INTERNAL, "chunk %llu of blob %s is damaged",
                     (unsigned long long)index, blob->id.text);
}

static bool fail_gone(const struct gridfs_blob *blob, uint64_t index, struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "chunk %llu of blob %s is gone",
                     (unsigned long long)index, blob->id.text);
}

static bool find_bytes(const bson_t *document, const uint8_t **out_bytes, uint32_t *out_size)
{
    bson_iter_t iterator;
    bson_subtype_t subtype;
    if (!bson_iter_init_find(&iterator, document, "data") || !BSON_ITER_HOLDS_BINARY(&iterator))
        return false;
    bson_iter_binary(&iterator, &subtype, out_size, out_bytes);
    return true;
}

static bool open_window(struct mongodb *mongodb, const struct gridfs_blob *blob,
                        const struct gridfs_window *window, struct mongodb_cursor **out_cursor,
                        struct error *error)
{
    int32_t count = (int32_t)window->count;
    int32_t first = (int32_t)window->index;
    CLEANUP(gridfs_bson_destroyp)
    bson_t *filter = count == 1
                         ? chunk_filter_of(blob, window->index)
                         : BCON_NEW("files_id", BCON_OID(&blob->oid), "n", "{", "$gte",
                                    BCON_INT32(first), "$lt", BCON_INT32(first + count), "}");
    CLEANUP(gridfs_bson_destroyp)
    bson_t *options = BCON_NEW("sort", "{", "n", BCON_INT32(1), "}", "limit", BCON_INT64(count),
                               "batchSize", BCON_INT32(count), "projection", "{", "n",
                               BCON_INT32(1), "data", BCON_INT32(1), "}");
    return mongodb_find(mongodb, &gridfs_chunks[blob->kind], filter, options, out_cursor, error);
}

bool gridfs_read_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                        const struct gridfs_window *window, unsigned char *out_bytes,
                        struct error *error)
{
    CLEANUP(mongodb_cursor_closep) struct mongodb_cursor *cursor = NULL;
    if (!open_window(mongodb, blob, window, &cursor, error))
        return false;
    for (size_t i = 0; i < window->count; i++) {
        const bson_t *document = NULL;
        const uint8_t *bytes = NULL;
        uint32_t size = 0;
        size_t wanted = i + 1 == window->count ? window->last_size : window->chunk_size;
        if (!mongodb_cursor_next(cursor, &document, error))
            return false;
        if (document == NULL)
            return fail_gone(blob, window->index + i, error);
        bson_iter_t number;
        bool is_next = bson_iter_init_find(&number, document, "n") &&
                       bson_iter_as_int64(&number) == (int64_t)(window->index + i);
        if (!is_next || !find_bytes(document, &bytes, &size) || size != wanted)
            return fail_damaged(blob, window->index + i, error);
        memcpy(out_bytes + i * window->chunk_size, bytes, size);
    }
    return true;
}

bool gridfs_read_chunk(struct mongodb *mongodb, const struct gridfs_blob *blob, uint64_t index,
                       unsigned char *out_bytes, size_t *out_size, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = chunk_filter_of(blob, index);
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    const uint8_t *bytes = NULL;
    uint32_t size = 0;
    if (!mongodb_find_one(mongodb, &gridfs_chunks[blob->kind], filter, &document, error))
        return false;
    if (bson_empty(&document))
        return fail_gone(blob, index, error);
    if (!find_bytes(&document, &bytes, &size) || size == 0 || size > GRIDFS_CHUNK_SIZE)
        return fail_damaged(blob, index, error);
    memcpy(out_bytes, bytes, size);
    *out_size = size;
    return true;
}

/* ---- Storing ---- */

struct piece {
    uint64_t index;
    const unsigned char *bytes;
    size_t size;
};

static struct piece piece_of(const struct gridfs_window *window, size_t i,
                             const unsigned char *bytes)
{
    return (struct piece){
        .index = window->index + i,
        .bytes = bytes + i * window->chunk_size,
        .size = i + 1 == window->count ? window->last_size : window->chunk_size,
    };
}

static bson_t *document_of(const struct gridfs_blob *blob, const struct gridfs_mark *mark,
                           const struct piece *piece)
{
    bson_oid_t own;
    bson_oid_init(&own, NULL);
    bson_t *document = bson_sized_new(piece->size + 128);
    BSON_APPEND_OID(document, "_id", &own);
    BSON_APPEND_OID(document, "files_id", &blob->oid);
    BSON_APPEND_INT32(document, "n", (int32_t)piece->index);
    BSON_APPEND_BINARY(document, "data", BSON_SUBTYPE_BINARY, piece->bytes, (uint32_t)piece->size);
    BSON_APPEND_INT64(document, "g", mark->g);
    BSON_APPEND_INT64(document, "w", mark->w);
    return document;
}

/* Up to the first that is there already. */
static bool insert_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                          const struct gridfs_mark *mark, const struct piece *pieces, size_t count,
                          size_t *out_inserted, struct error *error)
{
    bson_t *owned[GRIDFS_CHUNKS_MAX];
    const bson_t *documents[GRIDFS_CHUNKS_MAX];
    for (size_t i = 0; i < count; i++)
        documents[i] = owned[i] = document_of(blob, mark, &pieces[i]);
    bool is_done = mongodb_insert_many(mongodb, &gridfs_chunks[blob->kind], documents, count,
                                       out_inserted, error);
    for (size_t i = 0; i < count; i++)
        bson_destroy(owned[i]);
    return is_done;
}

/* What is older than the mark; a chunk of another driver has none, and is not. */
static void append_older(bson_t *filter, const struct gridfs_mark *mark)
{
    BCON_APPEND(filter, "$or", "[", "{", "g", "{", "$lt", BCON_INT64(mark->g), "}", "}", "{", "g",
                BCON_INT64(mark->g), "w", "{", "$lt", BCON_INT64(mark->w), "}", "}", "]");
}

static bool replace_older(struct mongodb *mongodb, const struct gridfs_blob *blob,
                          const struct gridfs_mark *mark, const struct piece *piece,
                          int64_t *out_matched, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = chunk_filter_of(blob, piece->index);
    append_older(filter, mark);
    CLEANUP(gridfs_bson_destroyp)
    bson_t *update = BCON_NEW("$set", "{", "data",
                              BCON_BIN(BSON_SUBTYPE_BINARY, piece->bytes, (uint32_t)piece->size),
                              "g", BCON_INT64(mark->g), "w", BCON_INT64(mark->w), "}");
    return mongodb_update(mongodb, &gridfs_chunks[blob->kind], filter, update, out_matched, error);
}

/* One that is probably there already. */
static bool store_over(struct mongodb *mongodb, const struct gridfs_blob *blob,
                       const struct gridfs_mark *mark, const struct piece *piece,
                       struct error *error)
{
    for (int i = 0; i < STORE_TRIES_MAX; i++) {
        int64_t matched = 0;
        bool is_there = false;
        struct gridfs_mark found;
        size_t inserted = 0;
        if (!replace_older(mongodb, blob, mark, piece, &matched, error))
            return false;
        if (matched != 0)
            return true;
        if (!find_marks(mongodb, blob, piece->index, &is_there, &found, error))
            return false;
        if (is_there) {
            int order = found.g < 0 ? 1 : gridfs_mark_compare(&found, mark);
            if (order == 0)
                return true;
            if (order > 0)
                break;
        } else if (!insert_chunks(mongodb, blob, mark, piece, 1, &inserted, error)) {
            return false;
        } else if (inserted == 1) {
            return true;
        }
    }
    return gridfs_fail_newer(blob, error);
}

bool gridfs_store_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                         const struct gridfs_mark *mark, const struct gridfs_window *window,
                         uint64_t new_from, const unsigned char *bytes, struct error *error)
{
    struct piece pieces[GRIDFS_CHUNKS_MAX];
    size_t known = 0; /* so many are to be replaced */
    for (size_t i = 0; i < window->count; i++) {
        pieces[i] = piece_of(window, i, bytes);
        known += pieces[i].index < new_from;
    }
    for (size_t i = 0; i < known; i++) {
        if (!store_over(mongodb, blob, mark, &pieces[i], error))
            return false;
    }
    size_t inserted = 0;
    if (known < window->count && !insert_chunks(mongodb, blob, mark, pieces + known,
                                                window->count - known, &inserted, error))
        return false;
    /* They are there: an earlier try of ours had landed, or another writer's. */
    for (size_t i = known + inserted; i < window->count; i++) {
        if (!store_over(mongodb, blob, mark, &pieces[i], error))
            return false;
    }
    return true;
}

/* ---- Removing ---- */

static bool remove_from(struct mongodb *mongodb, const struct gridfs_blob *blob,
                        const struct gridfs_mark *mark, uint64_t index, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp)
    bson_t *filter = BCON_NEW("files_id", BCON_OID(&blob->oid), "n", "{", "$gte",
                              BCON_INT32((int32_t)index), "}");
    if (mark != NULL)
        append_older(filter, &(struct gridfs_mark){mark->g, mark->w + 1});
    return mongodb_delete_all(mongodb, &gridfs_chunks[blob->kind], filter, NULL, error);
}

bool gridfs_cut_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                       const struct gridfs_mark *mark, uint64_t index, struct error *error)
{
    return remove_from(mongodb, blob, mark, index, error);
}

/* From the end, a step at a time, so that what a failure leaves has no gap. */
bool gridfs_remove_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                          struct error *error)
{
    uint64_t count = 0;
    bool is_large = false;
    if (!gridfs_has_chunk(mongodb, blob, REMOVE_STEP, &is_large, error) ||
        (is_large && !gridfs_count_run(mongodb, blob, &count, error)))
        return false;
    for (; count > REMOVE_STEP; count -= REMOVE_STEP) {
        if (!remove_from(mongodb, blob, NULL, count - REMOVE_STEP, error))
            return false;
    }
    CLEANUP(gridfs_bson_destroyp) bson_t *all = BCON_NEW("files_id", BCON_OID(&blob->oid));
    return mongodb_delete_all(mongodb, &gridfs_chunks[blob->kind], all, NULL, error);
}
