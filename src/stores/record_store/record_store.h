#pragma once

/* Where the records of conversions live: the one truth (model/conversion.h).
 *
 * Services include only this file; the option stores.records chooses the backend (sqlite, mongodb).
 * Only what one document's compare-and-set can promise is promised. Every write can be repeated
 * without harm: ERROR_UNAVAILABLE says that its outcome is unknown, and it may still land later.
 * Reads see every write that was acknowledged before, but for `due`, which may be stale.
 *
 * A handle belongs to one thread. Functions block for at most the backend's time-out (seconds). */

#include "base/error.h"
#include "config/config.h"
#include "model/conversion.h"
#include <stddef.h>
#include <stdint.h>

#define RECORD_STORE_LIMIT_MAX 200 /* records one call returns at most */

struct record_store;

extern const struct config_option record_store_options[]; /* stores.records */

MUST_CHECK bool record_store_open(const struct config *config, struct record_store **out_store,
                                  struct error *error);
void record_store_close(struct record_store *store); /* NULL is fine */
void record_store_closep(struct record_store **store);
/* Reachable, of a schema that this version can work with? */
MUST_CHECK bool record_store_check(struct record_store *store, struct error *error);
/* Has it each index that it needs? ERROR_UNAVAILABLE names those that are missing, as after a
 * restore without them; record_store_migrate() makes them. For doctor: /readyz does not ask. */
MUST_CHECK bool record_store_check_indexes(struct record_store *store, struct error *error);
/* Brings the store to this version's schema; repeatable. ERROR_CONFLICT: its minimum reader is
 * newer than we are. */
MUST_CHECK bool record_store_migrate(const struct config *config, struct error *error);
/* A consistent copy of an embedded store into the folder, while others use it; the copy is opened
 * with data.dir set to the folder. ERROR_CONFLICT: the folder holds one already. ERROR_BAD_INPUT: a
 * store that is a server of its own is copied by that server's tools. */
MUST_CHECK bool record_store_backup(const struct config *config, const char *folder,
                                    struct error *error);

/* The time that all records are dated by. */
MUST_CHECK bool record_store_now(struct record_store *store, int64_t *out_now_ms,
                                 struct error *error);

/* ERROR_CONFLICT: the id, or the pair {owner, request_key}, is taken. */
MUST_CHECK bool record_store_insert(struct record_store *store, const struct conversion *record,
                                    struct error *error);
/* ERROR_NOT_FOUND. */
MUST_CHECK bool record_store_get(struct record_store *store, const struct id *id,
                                 struct conversion *out_record, struct error *error);
MUST_CHECK bool record_store_get_by_mp3(struct record_store *store, const struct id *mp3_id,
                                        struct conversion *out_record, struct error *error);
MUST_CHECK bool record_store_get_by_key(struct record_store *store, const struct id *owner_id,
                                        const char *request_key, struct conversion *out_record,
                                        struct error *error);
/* Those of the ids that exist, in any order. */
MUST_CHECK bool record_store_get_many(struct record_store *store, const struct id *ids,
                                      size_t count, struct conversion *out_records,
                                      size_t *out_count, struct error *error);

/* Compare-and-set: written, and record->version raised by one, where the stored version equals the
 * record's; otherwise ERROR_CONFLICT (another version, or gone). */
MUST_CHECK bool record_store_update(struct record_store *store, struct conversion *record,
                                    struct error *error);
MUST_CHECK bool record_store_remove(struct record_store *store, const struct id *id,
                                    int64_t version, struct error *error);

/* Records whose due_for is the role and whose due_at has come by now_ms, oldest first. One that
 * cannot be read is skipped and logged. */
MUST_CHECK bool record_store_due(struct record_store *store, enum conversion_role role,
                                 int64_t now_ms, size_t limit, struct conversion *out_records,
                                 size_t *out_count, struct error *error);

/* Newest first, never one that is deleting. */
struct record_filter {
    struct id owner_id; /* none: everybody's (count only) */
    bool has_state;
    enum conversion_state state;
    struct id before_id; /* list: older than this; none: from the newest */
    int64_t since_ms;    /* count: created at or after; 0: ever */
};
MUST_CHECK bool record_store_list(struct record_store *store, const struct record_filter *filter,
                                  size_t limit, struct conversion *out_records, size_t *out_count,
                                  struct error *error);
/* Stops counting at most: enough to know whether a limit is reached. */
MUST_CHECK bool record_store_count(struct record_store *store, const struct record_filter *filter,
                                   int64_t most, int64_t *out_count, struct error *error);
/* Bytes of the owner's videos and MP3s that are still stored; may stop once past most. */
MUST_CHECK bool record_store_stored_bytes(struct record_store *store, const struct id *owner_id,
                                          int64_t most, int64_t *out_bytes, struct error *error);
/* All records by ascending id, deleting ones too: for doctor and backup. */
MUST_CHECK bool record_store_scan(struct record_store *store, const struct id *after_id,
                                  size_t limit, struct conversion *out_records, size_t *out_count,
                                  struct error *error);
