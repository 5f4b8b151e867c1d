#include "stores/blob_store/gridfs.h"

#include <stdlib.h>
#include <string.h>

static void gridfs_close(struct blob_store *store)
{
    struct gridfs_store *gridfs = gridfs_store_of(store);
    for (size_t i = 0; i < gridfs->idle_count; i++)
        mongodb_close(gridfs->idle[i]);
    pthread_mutex_destroy(&gridfs->lock);
    free(gridfs);
}

/* Whether anybody answers is seen by what is done first: a service starts before its stores. */
static bool gridfs_open(const struct config *config, struct blob_store **out_store,
                        struct error *error)
{
    struct mongodb *mongodb = NULL;
    if (!mongodb_open(config, &mongodb, error))
        return false;
    struct gridfs_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    *store = (struct gridfs_store){
        .base.backend = &blob_store_gridfs,
        .config = config,
        .idle = {mongodb},
        .idle_count = 1,
    };
    if (pthread_mutex_init(&store->lock, NULL) != 0)
        abort();
    *out_store = &store->base;
    return true;
}

static bool gridfs_check(struct blob_store *store, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    return gridfs_borrow(gridfs_store_of(store), &loan, error) &&
           mongodb_check(loan.mongodb, error);
}

static bool gridfs_check_indexes(struct blob_store *store, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    return gridfs_borrow(gridfs_store_of(store), &loan, error) &&
           gridfs_find_indexes(loan.mongodb, BLOB_VIDEO, error) &&
           gridfs_find_indexes(loan.mongodb, BLOB_MP3, error);
}

static bool gridfs_migrate(struct blob_store *store, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    struct gridfs_store *gridfs = gridfs_store_of(store);
    return gridfs_borrow(gridfs, &loan, error) &&
           gridfs_create_indexes(gridfs, loan.mongodb, BLOB_VIDEO, error) &&
           gridfs_create_indexes(gridfs, loan.mongodb, BLOB_MP3, error);
}

/* ---- Removing ---- */

static bool delete_by_id(struct mongodb *mongodb, const struct mongodb_collection *collection,
                         const struct gridfs_blob *blob, int64_t *out_deleted, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = gridfs_filter_of(blob);
    return mongodb_delete_one(mongodb, collection, filter, out_deleted, error);
}

/* The file once more at the end: a writer that found its turn just before this took it away has
 * either stored the file by then, or sees that its turn is gone and takes the file back. */
static bool gridfs_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                          struct error *error)
{
    struct gridfs_blob blob = gridfs_blob_of(gridfs_store_of(store), kind, id);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    int64_t turns = 0;
    if (!gridfs_borrow(blob.store, &loan, error) ||
        !delete_by_id(loan.mongodb, &gridfs_files[kind], &blob, NULL, error) ||
        !gridfs_remove_chunks(loan.mongodb, &blob, error) ||
        !delete_by_id(loan.mongodb, &gridfs_writers[kind], &blob, &turns, error))
        return false;
    return turns == 0 || delete_by_id(loan.mongodb, &gridfs_files[kind], &blob, NULL, error);
}

/* ---- Scanning ---- */

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
            out_ids[count] = gridfs_id_at(document, "_id");
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

static bool gridfs_scan(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
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
        !scan_collection(loan.mongodb, &gridfs_files[kind], after_id, limit, finished,
                         &finished_count, error) ||
        !scan_collection(loan.mongodb, &gridfs_writers[kind], after_id, limit, begun, &begun_count,
                         error))
        return false;
    *out_count = merge(finished, finished_count, begun, begun_count, limit, out_ids);
    return true;
}

/* ---- What is the server's ---- */

/* Of a server, or many of them: its operators watch their disks. A full one is told by the write
 * that finds no room. */
static bool gridfs_space(struct blob_store *store, bool *out_is_known, uint64_t *out_bytes,
                         struct error *error)
{
    (void)store;
    (void)out_bytes;
    (void)error;
    *out_is_known = false;
    return true;
}

static bool gridfs_backup(struct blob_store *store, enum blob_kind kind, const struct id *id,
                          const char *folder, struct error *error)
{
    (void)store;
    (void)kind;
    (void)id;
    (void)folder;
    return error_set(error, ERROR_BAD_INPUT, "blobs in MongoDB are copied by mongodump");
}

const struct blob_store_backend blob_store_gridfs = {
    .name = "mongodb",
    .open = gridfs_open,
    .close = gridfs_close,
    .check = gridfs_check,
    .check_indexes = gridfs_check_indexes,
    .migrate = gridfs_migrate,
    .writer_open = gridfs_writer_open,
    .writer_write = gridfs_writer_write,
    .writer_flush = gridfs_writer_flush,
    .writer_finish = gridfs_writer_finish,
    .writer_close = gridfs_writer_close,
    .reader_open = gridfs_reader_open,
    .reader_read = gridfs_reader_read,
    .reader_close = gridfs_reader_close,
    .remove = gridfs_remove,
    .space = gridfs_space,
    .scan = gridfs_scan,
    .backup = gridfs_backup,
};
