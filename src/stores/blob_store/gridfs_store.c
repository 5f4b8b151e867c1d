#include "stores/blob_store/gridfs.h"

#include <assert.h>

const struct mongodb_collection gridfs_files[2] = {
    [BLOB_VIDEO] = {MONGODB_VIDEOS, "fs.files"},
    [BLOB_MP3] = {MONGODB_MP3S, "fs.files"},
};
const struct mongodb_collection gridfs_chunks[2] = {
    [BLOB_VIDEO] = {MONGODB_VIDEOS, "fs.chunks"},
    [BLOB_MP3] = {MONGODB_MP3S, "fs.chunks"},
};
const struct mongodb_collection gridfs_writers[2] = {
    [BLOB_VIDEO] = {MONGODB_VIDEOS, "fs.writers"},
    [BLOB_MP3] = {MONGODB_MP3S, "fs.writers"},
};

struct gridfs_store *gridfs_store_of(struct blob_store *store)
{
    assert(store->backend == &blob_store_gridfs);
    return (struct gridfs_store *)store;
}

/* ---- Connections ---- */

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

/* ---- Indexes ---- */

/* The specification's, under the names that every driver gives them. */
static const struct mongodb_index by_chunk = {
    .name = "files_id_1_n_1",
    .keys = (const char *const[]){"files_id", "n", NULL},
    .is_unique = true,
};
static const struct mongodb_index by_name = {
    .name = "filename_1_uploadDate_1",
    .keys = (const char *const[]){"filename", "uploadDate", NULL},
};

bool gridfs_create_indexes(struct gridfs_store *store, struct mongodb *mongodb, enum blob_kind kind,
                           struct error *error)
{
    if (!store->has_indexes[kind] &&
        (!mongodb_create_index(mongodb, &gridfs_chunks[kind], &by_chunk, error) ||
         !mongodb_create_index(mongodb, &gridfs_files[kind], &by_name, error)))
        return false;
    store->has_indexes[kind] = true;
    return true;
}

bool gridfs_find_indexes(struct mongodb *mongodb, enum blob_kind kind, struct error *error)
{
    return mongodb_check_indexes(mongodb, &gridfs_chunks[kind], &by_chunk, 1, error) &&
           mongodb_check_indexes(mongodb, &gridfs_files[kind], &by_name, 1, error);
}

/* ---- Blobs and their documents ---- */

struct gridfs_blob gridfs_blob_of(struct gridfs_store *store, enum blob_kind kind,
                                  const struct id *id)
{
    struct gridfs_blob blob = {.store = store, .kind = kind, .id = *id};
    bson_oid_init_from_string(&blob.oid, id->text);
    return blob;
}

bson_t *gridfs_filter_of(const struct gridfs_blob *blob)
{
    return BCON_NEW("_id", BCON_OID(&blob->oid));
}

void gridfs_bson_destroyp(bson_t **document)
{
    if (*document != NULL)
        bson_destroy(*document);
}

struct id gridfs_id_at(const bson_t *document, const char *path)
{
    struct id id = {""};
    bson_iter_t start;
    bson_iter_t found;
    if (bson_iter_init(&start, document) && bson_iter_find_descendant(&start, path, &found) &&
        BSON_ITER_HOLDS_OID(&found))
        bson_oid_to_string(bson_iter_oid(&found), id.text);
    return id;
}
