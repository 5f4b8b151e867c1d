#pragma once

/* For those who implement a blob store; everybody else includes blob_store.h, which says what each
 * function promises. blob_store.c checks ids before it calls these, so that an id can be part of a
 * path. */

#include "stores/blob_store/blob_store.h"

struct blob_store_backend {
    const char *name; /* value of stores.blobs */
    bool (*open)(const struct config *config, struct blob_store **out_store, struct error *error);
    void (*close)(struct blob_store *store); /* also frees it; never given NULL */
    bool (*check)(struct blob_store *store, struct error *error);
    bool (*check_indexes)(struct blob_store *store, struct error *error);
    bool (*migrate)(struct blob_store *store, struct error *error);
    bool (*writer_open)(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        int64_t generation, struct blob_writer **out_writer, struct error *error);
    bool (*writer_write)(struct blob_writer *writer, uint64_t offset, const void *bytes,
                         size_t size, struct error *error);
    bool (*writer_flush)(struct blob_writer *writer, struct error *error);
    bool (*writer_finish)(struct blob_writer *writer, uint64_t size,
                          const struct blob_metadata *metadata, struct error *error);
    void (*writer_close)(struct blob_writer *writer); /* also frees it; never given NULL */
    bool (*reader_open)(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        struct blob_reader **out_reader, uint64_t *out_size,
                        struct blob_metadata *out_metadata, struct error *error);
    bool (*reader_read)(struct blob_reader *reader, uint64_t offset, void *out_bytes, size_t size,
                        size_t *out_size, struct error *error);
    void (*reader_close)(struct blob_reader *reader); /* also frees it; never given NULL */
    bool (*remove)(struct blob_store *store, enum blob_kind kind, const struct id *id,
                   struct error *error);
    bool (*space)(struct blob_store *store, bool *out_is_known, uint64_t *out_bytes,
                  struct error *error);
    bool (*scan)(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
                 size_t limit, struct id *out_ids, size_t *out_count, struct error *error);
    bool (*backup)(struct blob_store *store, enum blob_kind kind, const struct id *id,
                   const char *folder, struct error *error);
};

/* First members of every backend's own structs. */
struct blob_store {
    const struct blob_store_backend *backend;
};
struct blob_writer {
    const struct blob_store_backend *backend;
};
struct blob_reader {
    const struct blob_store_backend *backend;
};

extern const struct blob_store_backend blob_store_files;
extern const struct blob_store_backend blob_store_gridfs;
