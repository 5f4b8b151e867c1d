#pragma once

/* Where uploaded videos and finished MP3s live, each under an id that its record gives it.
 *
 * Services include only this file. Which backend answers (files, GridFS) is decided once, by the
 * option stores.blobs, in blob_store_open(). A blob has its final name from its first byte: that it
 * may be read is said by its record, never by its being there.
 *
 * Every write can be repeated without harm. Unless said otherwise functions block on a disk or a
 * peer for at most the backend's time-out and fail with ERROR_UNAVAILABLE where the outcome is
 * unknown, ERROR_TOO_LARGE (FAILURE_DISK_FULL) where there is no room, ERROR_INTERNAL where stored
 * data makes no sense.
 *
 * A store handle belongs to one thread. A writer or reader may be handed from thread to thread and
 * does not touch its store's handle after it was opened, but the store must outlive it. */

#include "base/error.h"
#include "base/id.h"
#include "config/config.h"
#include <stddef.h>
#include <stdint.h>

enum blob_kind { BLOB_VIDEO, BLOB_MP3 };

struct blob_store;
struct blob_writer;
struct blob_reader;

/* Kept beside the bytes, so that a store can be made sense of without the records. */
struct blob_metadata {
    struct id conversion_id;
    struct id owner_id; /* none: a foreign blob names nobody */
};

extern const struct config_option blob_store_options[]; /* stores.blobs */

MUST_CHECK bool blob_store_open(const struct config *config, struct blob_store **out_store,
                                struct error *error);
void blob_store_close(struct blob_store *store); /* NULL is fine */
void blob_store_closep(struct blob_store **store);
/* Reachable and writable? For /readyz and doctor; at most a few seconds. */
MUST_CHECK bool blob_store_check(struct blob_store *store, struct error *error);
/* Has it each index that it needs? ERROR_UNAVAILABLE names those that are missing. For doctor:
 * /readyz does not ask. */
MUST_CHECK bool blob_store_check_indexes(struct blob_store *store, struct error *error);
/* Makes those that are missing; repeatable. */
MUST_CHECK bool blob_store_migrate(const struct config *config, struct error *error);

/* Creates the blob or goes on with it; nothing of it can be read yet. A blob that was finished is
 * unfinished again. ERROR_CONFLICT: another writer has it open (files), or one of a newer
 * generation has written. */
MUST_CHECK bool blob_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                                 int64_t generation, struct blob_writer **out_writer,
                                 struct error *error);
/* Anywhere, but with no gap: offset is at most the end so far (ERROR_BAD_INPUT). ERROR_CONFLICT: a
 * newer generation wrote there; stop. */
MUST_CHECK bool blob_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes,
                                  size_t size, struct error *error);
/* All that was written survives a power loss. Where some of it is gone for good, this and all that
 * follows fails: only another writer, given it again, can finish the blob. */
MUST_CHECK bool blob_writer_flush(struct blob_writer *writer, struct error *error);
/* Exactly size bytes, durable, readable by any driver of the store. Can be repeated. */
MUST_CHECK bool blob_writer_finish(struct blob_writer *writer, uint64_t size,
                                   const struct blob_metadata *metadata, struct error *error);
/* Keeps what was flushed, never finishes; NULL is fine. */
void blob_writer_close(struct blob_writer *writer);
void blob_writer_closep(struct blob_writer **writer);

/* ERROR_NOT_FOUND: absent or unfinished. metadata: "none" in both ids where it has none. */
MUST_CHECK bool blob_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                                 struct blob_reader **out_reader, uint64_t *out_size,
                                 struct blob_metadata *out_metadata, struct error *error);
/* Short only at the end. After a removal ERROR_NOT_FOUND, or still the right bytes. */
MUST_CHECK bool blob_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes,
                                 size_t size, size_t *out_size, struct error *error);
void blob_reader_close(struct blob_reader *reader); /* NULL is fine */
void blob_reader_closep(struct blob_reader **reader);

/* Half-written ones too; one that is not there is removed. */
MUST_CHECK bool blob_store_remove(struct blob_store *store, enum blob_kind kind,
                                  const struct id *id, struct error *error);
/* *out_is_known is false where the store cannot say. */
MUST_CHECK bool blob_store_space(struct blob_store *store, bool *out_is_known, uint64_t *out_bytes,
                                 struct error *error);
/* Ids after *after_id (none: from the start), ascending, finished or not. For doctor and backup
 * only: nothing ever deletes by it. */
MUST_CHECK bool blob_store_scan(struct blob_store *store, enum blob_kind kind,
                                const struct id *after_id, size_t limit, struct id *out_ids,
                                size_t *out_count, struct error *error);
/* Puts a copy of one blob of an embedded store below the folder, unfinished ones too, so that the
 * folder is a data.dir. Call it for what the records of a copy made before name: a blob that is
 * gone by then is ERROR_NOT_FOUND. On the same disk a finished blob is linked, not copied.
 * ERROR_BAD_INPUT: a store that is a server of its own is copied by that server's tools. */
MUST_CHECK bool blob_store_backup(struct blob_store *store, enum blob_kind kind,
                                  const struct id *id, const char *folder, struct error *error);
