#include "stores/blob_store/blob_store.h"

#include "stores/blob_store/backend.h"
#include <string.h>

static const struct blob_store_backend *const backends[] = {
    &blob_store_files,
    &blob_store_gridfs,
};

static const char *const backend_names[] = {"files", "mongodb", NULL};

struct blob_store_settings {
    const char *backend;
};

const struct config_option blob_store_options[] = {
    {
        .name = "stores.blobs",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct blob_store_settings, backend, const char *),
        .standard = "files",
        .choices = backend_names,
        .help = "Where videos and MP3s live. files: below data.dir/blobs, for one host. mongodb: "
                "GridFS, which any of its drivers reads.",
    },
    {0},
};

bool blob_store_open(const struct config *config, struct blob_store **out_store,
                     struct error *error)
{
    struct blob_store_settings settings = {0};
    if (!config_load(config, blob_store_options, &settings, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++)
        if (strcmp(backends[i]->name, settings.backend) == 0)
            return backends[i]->open(config, out_store, error) ||
                   error_prefix(error, "open blobs (%s)", settings.backend);
    return error_set(error, ERROR_BAD_INPUT, "stores.blobs: no \"%s\" in this build",
                     settings.backend);
}

void blob_store_close(struct blob_store *store)
{
    if (store != NULL)
        store->backend->close(store);
}

void blob_store_closep(struct blob_store **store)
{
    blob_store_close(*store);
    *store = NULL;
}

bool blob_store_check(struct blob_store *store, struct error *error)
{
    return store->backend->check(store, error);
}

bool blob_store_check_indexes(struct blob_store *store, struct error *error)
{
    return store->backend->check_indexes(store, error);
}

bool blob_store_migrate(const struct config *config, struct error *error)
{
    CLEANUP(blob_store_closep) struct blob_store *store = NULL;
    return blob_store_open(config, &store, error) && store->backend->migrate(store, error);
}

/* Whatever else an id could be made to say becomes a path, or a query, in a backend. */
static bool is_id(const struct id *id)
{
    return strnlen(id->text, sizeof id->text) == sizeof id->text - 1 &&
           strspn(id->text, "0123456789abcdef") == sizeof id->text - 1;
}

static bool check_id(const struct id *id, struct error *error)
{
    return is_id(id) || error_set(error, ERROR_BAD_INPUT, "not a blob's id: 24 hex digits wanted");
}

bool blob_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                      int64_t generation, struct blob_writer **out_writer, struct error *error)
{
    return check_id(id, error) &&
           store->backend->writer_open(store, kind, id, generation, out_writer, error);
}

bool blob_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes, size_t size,
                       struct error *error)
{
    return writer->backend->writer_write(writer, offset, bytes, size, error);
}

bool blob_writer_flush(struct blob_writer *writer, struct error *error)
{
    return writer->backend->writer_flush(writer, error);
}

bool blob_writer_finish(struct blob_writer *writer, uint64_t size,
                        const struct blob_metadata *metadata, struct error *error)
{
    return writer->backend->writer_finish(writer, size, metadata, error);
}

void blob_writer_close(struct blob_writer *writer)
{
    if (writer != NULL)
        writer->backend->writer_close(writer);
}

void blob_writer_closep(struct blob_writer **writer)
{
    blob_writer_close(*writer);
    *writer = NULL;
}

bool blob_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                      struct blob_reader **out_reader, uint64_t *out_size,
                      struct blob_metadata *out_metadata, struct error *error)
{
    /* What cannot be an id names no blob. */
    if (!is_id(id))
        return error_set(error, ERROR_NOT_FOUND, "no blob has this id");
    return store->backend->reader_open(store, kind, id, out_reader, out_size, out_metadata, error);
}

bool blob_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes, size_t size,
                      size_t *out_size, struct error *error)
{
    return reader->backend->reader_read(reader, offset, out_bytes, size, out_size, error);
}

void blob_reader_close(struct blob_reader *reader)
{
    if (reader != NULL)
        reader->backend->reader_close(reader);
}

void blob_reader_closep(struct blob_reader **reader)
{
    blob_reader_close(*reader);
    *reader = NULL;
}

bool blob_store_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                       struct error *error)
{
    return check_id(id, error) && store->backend->remove(store, kind, id, error);
}

bool blob_store_space(struct blob_store *store, bool *out_is_known, uint64_t *out_bytes,
                      struct error *error)
{
    return store->backend->space(store, out_is_known, out_bytes, error);
}

bool blob_store_scan(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
                     size_t limit, struct id *out_ids, size_t *out_count, struct error *error)
{
    return store->backend->scan(store, kind, after_id, limit, out_ids, out_count, error);
}

bool blob_store_backup(struct blob_store *store, enum blob_kind kind, const struct id *id,
                       const char *folder, struct error *error)
{
    return check_id(id, error) && store->backend->backup(store, kind, id, folder, error);
}
