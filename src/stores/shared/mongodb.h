#pragma once

/* The one door to libmongoc: a connection of one thread, and the few operations that stores need.
 * Documents are libbson's; who includes this builds and reads them.
 *
 * Every write is acknowledged by a majority and durable there, every read is a majority's from the
 * primary. A connection is made by the first operation and made again after a failure. One
 * operation waits for at most mongodb.timeout for an answer, and half of it for a connection; of a
 * replica set the driver repeats it once, so that it ends within three times mongodb.timeout. Not
 * to be used across a fork.
 *
 * ERROR_UNAVAILABLE: not reachable, refused us, or did not answer in time. A write may still land:
 * it is repeated as it was, or left. ERROR_CONFLICT: a unique index says no. ERROR_TOO_LARGE
 * (FAILURE_DISK_FULL): the server has no room. ERROR_INTERNAL: our bug, or a server that is not
 * what we know. No text ever holds the URI or a password. */

#include "base/error.h"
#include "config/config.h"
#include <bson/bson.h>
#include <stddef.h>
#include <stdint.h>

struct mongodb;
struct mongodb_cursor;

enum mongodb_database { MONGODB_RECORDS, MONGODB_VIDEOS, MONGODB_MP3S };
#define MONGODB_DATABASE_COUNT 3

struct mongodb_collection {
    enum mongodb_database database;
    const char *name;
};

extern const struct config_option mongodb_options[]; /* mongodb.* */

/* Talks to nobody yet, but looks up the hosts of a mongodb+srv:// name. ERROR_BAD_INPUT: the
 * options make no sense, or would send data unencrypted over a network, or would not verify the
 * server. */
MUST_CHECK bool mongodb_open(const struct config *config, struct mongodb **out_mongodb,
                             struct error *error);
/* Would all that is said go to another host without TLS, as mongodb.tls=off allows? */
bool mongodb_is_plain(const struct config *config);
/* The first host that the options name, with its port, for people. Errors as of mongodb_open(). */
MUST_CHECK bool mongodb_server_name(const struct config *config, char *out_name, size_t size,
                                    struct error *error);
void mongodb_close(struct mongodb *mongodb); /* NULL is fine */
void mongodb_closep(struct mongodb **mongodb);
/* Reachable, logged in, and a server that takes writes? */
MUST_CHECK bool mongodb_check(struct mongodb *mongodb, struct error *error);
/* The server's clock (hello.localTime), asked for now and then, plus what has passed since. */
MUST_CHECK bool mongodb_now(struct mongodb *mongodb, int64_t *out_now_ms, struct error *error);

/* Where nothing matches, the count is 0 and that is no error. Counts may be NULL. */
MUST_CHECK bool mongodb_insert(struct mongodb *mongodb, const struct mongodb_collection *collection,
                               const bson_t *document, struct error *error);
/* In order, up to the first that a unique index says no to: *out_inserted are in, fewer than
 * `count` where there is one. */
MUST_CHECK bool mongodb_insert_many(struct mongodb *mongodb,
                                    const struct mongodb_collection *collection,
                                    const bson_t **documents, size_t count, size_t *out_inserted,
                                    struct error *error);
MUST_CHECK bool mongodb_update(struct mongodb *mongodb, const struct mongodb_collection *collection,
                               const bson_t *filter, const bson_t *update, int64_t *out_matched,
                               struct error *error);
/* findAndModify: one document is changed, and *out_document is what it became; empty where none
 * matched. It is initialised by the caller, and the caller's to destroy. That none matched is told
 * only once a majority has what was seen instead (MongoDB waits for the concern of a write that
 * changed nothing too), so that a read after it sees the same. */
MUST_CHECK bool mongodb_modify(struct mongodb *mongodb, const struct mongodb_collection *collection,
                               const bson_t *filter, const bson_t *update, bson_t *out_document,
                               struct error *error);
/* The same, but where none matched one is put in, as the filter and the update say. ERROR_CONFLICT:
 * one that does not match has its place, or another was put in at the same time. */
MUST_CHECK bool mongodb_modify_or_insert(struct mongodb *mongodb,
                                         const struct mongodb_collection *collection,
                                         const bson_t *filter, const bson_t *update,
                                         bson_t *out_document, struct error *error);
MUST_CHECK bool mongodb_delete_one(struct mongodb *mongodb,
                                   const struct mongodb_collection *collection,
                                   const bson_t *filter, int64_t *out_deleted, struct error *error);
MUST_CHECK bool mongodb_delete_all(struct mongodb *mongodb,
                                   const struct mongodb_collection *collection,
                                   const bson_t *filter, int64_t *out_deleted, struct error *error);

/* Options as of the command find: sort, projection, limit, batchSize (say one: some servers answer
 * with all in one message). An open cursor belongs to its connection. */
MUST_CHECK bool mongodb_find(struct mongodb *mongodb, const struct mongodb_collection *collection,
                             const bson_t *filter, const bson_t *options,
                             struct mongodb_cursor **out_cursor, struct error *error);
/* Only stages that 4.4 knows and that no other server refuses: $match, $group. */
MUST_CHECK bool mongodb_aggregate(struct mongodb *mongodb,
                                  const struct mongodb_collection *collection,
                                  const bson_t *pipeline, struct mongodb_cursor **out_cursor,
                                  struct error *error);
/* *out_document is valid until the next call, NULL after the last. */
MUST_CHECK bool mongodb_cursor_next(struct mongodb_cursor *cursor, const bson_t **out_document,
                                    struct error *error);
void mongodb_cursor_closep(struct mongodb_cursor **cursor);
/* The first document, appended to *out_document, which the caller initialised; empty: none. */
MUST_CHECK bool mongodb_find_one(struct mongodb *mongodb,
                                 const struct mongodb_collection *collection, const bson_t *filter,
                                 bson_t *out_document, struct error *error);
/* At most `most`, where it is not 0. */
MUST_CHECK bool mongodb_count(struct mongodb *mongodb, const struct mongodb_collection *collection,
                              const bson_t *filter, int64_t most, int64_t *out_count,
                              struct error *error);

/* A document's number of any type that a shell or another driver chose for it, doubles too. False
 * for what is none, has a fraction, or is out of bounds. */
MUST_CHECK bool mongodb_whole_number(const bson_iter_t *value, int64_t least, int64_t most,
                                     int64_t *out_number);

/* Where it is missing; one of the same name stays as it is. ERROR_INTERNAL too where what is stored
 * already is against it. */
struct mongodb_index {
    const char *name;
    const char *const *keys; /* NULL-terminated; "-" in front: descending */
    bool is_unique;
};
MUST_CHECK bool mongodb_create_index(struct mongodb *mongodb,
                                     const struct mongodb_collection *collection,
                                     const struct mongodb_index *index, struct error *error);
/* Are they all there, at most 16? ERROR_UNAVAILABLE names those that are not. */
MUST_CHECK bool mongodb_check_indexes(struct mongodb *mongodb,
                                      const struct mongodb_collection *collection,
                                      const struct mongodb_index *indexes, size_t count,
                                      struct error *error);
