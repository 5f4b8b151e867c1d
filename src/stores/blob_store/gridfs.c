#include "stores/blob_store/gridfs.h"

#include <assert.h>
#include <stdlib.h>

struct gridfs_store *gridfs_store_of(struct blob_store *store)
{
    assert(store->backend == &blob_store_gridfs);
    return (struct gridfs_store *)store;
}

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

bool gridfs_borrow(struct gridfs_store *store, struct gridfs_loan *out_loan, struct error *error)
{
    struct mongodb *mongodb = NULL;
    pthread_mutex_lock(&store->lock);
    if (store->idle_count > 0)
        mongodb = store->idle[--store->idle_count];
    pthread_mutex_unlock(&store->lock);
    if (mongodb == NULL && !mongodb_open(store->config, &mongodb, error))
        return false;
    *out_loan = (struct gridfs_loan){.store = store, .mongodb = mongodb};
    return true;
}

void gridfs_give_back(struct gridfs_loan *loan)
{
    struct gridfs_store *store = loan->store;
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->lock);
    bool is_kept = store->idle_count < GRIDFS_IDLE_MAX;
    if (is_kept)
        store->idle[store->idle_count++] = loan->mongodb;
    pthread_mutex_unlock(&store->lock);
    if (!is_kept)
        mongodb_close(loan->mongodb);
    *loan = (struct gridfs_loan){0};
}

struct gridfs_blob gridfs_blob_of(struct gridfs_store *store, enum blob_kind kind,
                                  const struct id *id)
{
    struct gridfs_blob blob = {.store = store, .kind = kind, .id = *id};
    bson_oid_init_from_string(&blob.oid, id->text);
    return blob;
}

void gridfs_bson_destroyp(bson_t **document)
{
    if (*document != NULL)
        bson_destroy(*document);
}

static bool gridfs_check(struct blob_store *store, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    return gridfs_borrow(gridfs_store_of(store), &loan, error) &&
           mongodb_check(loan.mongodb, error);
}

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
