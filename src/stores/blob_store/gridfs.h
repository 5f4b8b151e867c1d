#pragma once

/* How the gridfs backend lays a blob out; shared by gridfs*.c alone.
 *
 *   fs.files    {_id, length, chunkSize, uploadDate, filename, metadata}   finished blobs alone
 *   fs.chunks   {_id, files_id, n, data, g, w}                             unique {files_id, n}
 *   fs.writers  {_id, g, turn}                                             from open to removal
 *
 * in the database videos or mp3s. The first two are GridFS as its specification has it, so that
 * any driver reads them; g and w of a chunk, and of a file in its metadata, are ours. What other
 * drivers wrote has neither: it is read, never changed.
 *
 * A write can time out and land much later, so every one names what it may replace. (g, w) is a
 * mark that only grows: g is the writer's generation; w begins with the writer's turn, drawn from
 * fs.writers as it is opened, and counts its stores. A chunk or a file gives way to a greater mark
 * alone. */

#include "stores/blob_store/backend.h"

#include "stores/shared/mongodb.h"
#include <pthread.h>

#define GRIDFS_CHUNK_SIZE 261120 /* what other drivers choose */
/* How many chunks a writer holds, and sends at once. */
#define GRIDFS_CHUNKS_MAX 8
#define GRIDFS_IDLE_MAX 4 /* connections that are kept for who comes next */

struct gridfs_store {
    struct blob_store base;
    const struct config *config;

    /* Of the store's own thread. */
    bool has_indexes[2]; /* by kind */

    /* Of any reader. */
    _Atomic int64_t single_until_boot_ms; /* chunks are asked for one by one */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct mongodb *idle[GRIDFS_IDLE_MAX]; /* owned */
    size_t idle_count;
};

/* A connection while it is used: readers and writers of one store may be at work at once. */
struct gridfs_loan {
    struct gridfs_store *store;
    struct mongodb *mongodb;
};

struct gridfs_blob {
    struct gridfs_store *store;
    enum blob_kind kind;
    struct id id;
    bson_oid_t oid;
};

struct gridfs_mark {
    int64_t g;
    int64_t w; /* -1, as g: not one of ours */
};

struct gridfs_file {
    uint64_t size_bytes;
    size_t chunk_size;
    struct gridfs_mark mark;
    struct blob_metadata metadata;
};

/* ---- gridfs_store.c: what all others need ---- */

/* By kind. */
extern const struct mongodb_collection gridfs_files[2], gridfs_chunks[2], gridfs_writers[2];

struct gridfs_store *gridfs_store_of(struct blob_store *store);
MUST_CHECK bool gridfs_borrow(struct gridfs_store *store, struct gridfs_loan *out_loan,
                              struct error *error);
void gridfs_give_back(struct gridfs_loan *loan); /* for CLEANUP; a zeroed one is fine */
struct gridfs_blob gridfs_blob_of(struct gridfs_store *store, enum blob_kind kind,
                                  const struct id *id);
bson_t *gridfs_filter_of(const struct gridfs_blob *blob); /* in fs.files and fs.writers */
void gridfs_bson_destroyp(bson_t **document);
/* Of the member at `path`; none where that is no ObjectId. */
struct id gridfs_id_at(const bson_t *document, const char *path);
/* Once for each store: the unique one too, without which none of this holds. */
MUST_CHECK bool gridfs_create_indexes(struct gridfs_store *store, struct mongodb *mongodb,
                                      enum blob_kind kind, struct error *error);

/* ERROR_UNAVAILABLE names those that are missing. */
MUST_CHECK bool gridfs_find_indexes(struct mongodb *mongodb, enum blob_kind kind,
                                    struct error *error);

/* ---- gridfs_marks.c ---- */

/* Below zero where a is older than b, 0 where they are the same. */
int gridfs_mark_compare(const struct gridfs_mark *a, const struct gridfs_mark *b);
/* Of a document, or of a member of one. */
struct gridfs_mark gridfs_mark_of(const bson_t *document, const char *g, const char *w);
bool gridfs_fail_newer(const struct gridfs_blob *blob, struct error *error);
/* A turn at writing the blob, that nobody else has or had; 1: the first. ERROR_CONFLICT: a newer
 * generation had one. */
MUST_CHECK bool gridfs_take_turn(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                 int64_t generation, int64_t *out_turn, struct error *error);
/* ERROR_CONFLICT: a newer generation had a turn, or the blob was removed. */
MUST_CHECK bool gridfs_check_turn(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                  int64_t generation, struct error *error);

/* ---- gridfs_chunks.c ---- */

MUST_CHECK bool gridfs_has_chunk(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                 uint64_t index, bool *out_is_there, struct error *error);
/* How many there are from the first on without a gap. */
MUST_CHECK bool gridfs_count_run(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                 uint64_t *out_count, struct error *error);
/* `count` chunks from `index` on, each exactly `chunk_size` bytes but the last of them, which has
 * `last_size`. ERROR_NOT_FOUND: not all are there. ERROR_INTERNAL: not of that size. */
struct gridfs_window {
    uint64_t index;
    size_t count;
    size_t chunk_size;
    size_t last_size;
};
MUST_CHECK bool gridfs_read_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                   const struct gridfs_window *window, unsigned char *out_bytes,
                                   struct error *error);
/* One of ours, of any size. */
MUST_CHECK bool gridfs_read_chunk(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                  uint64_t index, unsigned char *out_bytes, size_t *out_size,
                                  struct error *error);
/* Whatever of them is there is replaced, unless its mark is greater: ERROR_CONFLICT. `new_from` is
 * the index from which on none is thought to be there. */
MUST_CHECK bool gridfs_store_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                    const struct gridfs_mark *mark,
                                    const struct gridfs_window *window, uint64_t new_from,
                                    const unsigned char *bytes, struct error *error);
/* From that index on, but what a later mark wrote. */
MUST_CHECK bool gridfs_cut_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                  const struct gridfs_mark *mark, uint64_t index,
                                  struct error *error);
MUST_CHECK bool gridfs_count_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                    uint64_t *out_count, struct error *error);
MUST_CHECK bool gridfs_remove_chunks(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                     struct error *error);

/* ---- gridfs_files.c ---- */

/* ERROR_NOT_FOUND: none. ERROR_INTERNAL: not as the specification has it. */
MUST_CHECK bool gridfs_read_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                 struct gridfs_file *out_file, struct error *error);
/* In the place of an older one. ERROR_CONFLICT: that is not older, or another driver's. */
MUST_CHECK bool gridfs_store_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                  const struct gridfs_file *file, struct error *error);
/* The blob is unfinished again. ERROR_CONFLICT: it is another driver's. */
MUST_CHECK bool gridfs_unfinish(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                struct error *error);
/* What was stored under exactly this mark. */
MUST_CHECK bool gridfs_take_file_back(struct mongodb *mongodb, const struct gridfs_blob *blob,
                                      const struct gridfs_mark *mark, struct error *error);

/* ---- gridfs_writer.c ---- */

bool gridfs_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        int64_t generation, struct blob_writer **out_writer, struct error *error);
bool gridfs_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes,
                         size_t size, struct error *error);
bool gridfs_writer_flush(struct blob_writer *writer, struct error *error);
bool gridfs_writer_finish(struct blob_writer *writer, uint64_t size,
                          const struct blob_metadata *metadata, struct error *error);
void gridfs_writer_close(struct blob_writer *writer);

/* ---- gridfs_reader.c ---- */

bool gridfs_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        struct blob_reader **out_reader, uint64_t *out_size,
                        struct blob_metadata *out_metadata, struct error *error);
bool gridfs_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes, size_t size,
                        size_t *out_size, struct error *error);
void gridfs_reader_close(struct blob_reader *reader);
