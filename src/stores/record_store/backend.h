#pragma once

/* For those who implement a record store; everybody else includes record_store.h, which says what
 * each function promises. record_store.c checks arguments before it calls these. */

#include "stores/record_store/record_store.h"

struct record_store_backend {
    const char *name; /* value of stores.records */
    bool (*open)(const struct config *config, struct record_store **out_store, struct error *error);
    void (*close)(struct record_store *store); /* also frees it; never given NULL */
    bool (*check)(struct record_store *store, struct error *error);
    bool (*check_indexes)(struct record_store *store, struct error *error);
    bool (*migrate)(const struct config *config, struct error *error);
    bool (*backup)(const struct config *config, const char *folder, struct error *error);
    bool (*now)(struct record_store *store, int64_t *out_now_ms, struct error *error);
    bool (*insert)(struct record_store *store, const struct conversion *record,
                   struct error *error);
    bool (*get)(struct record_store *store, const struct id *id, struct conversion *out_record,
                struct error *error);
    bool (*get_by_mp3)(struct record_store *store, const struct id *mp3_id,
                       struct conversion *out_record, struct error *error);
    bool (*get_by_key)(struct record_store *store, const struct id *owner_id,
                       const char *request_key, struct conversion *out_record, struct error *error);
    bool (*get_many)(struct record_store *store, const struct id *ids, size_t count,
                     struct conversion *out_records, size_t *out_count, struct error *error);
    /* Leaves record->version as it is: record_store.c raises it. */
    bool (*update)(struct record_store *store, const struct conversion *record,
                   struct error *error);
    bool (*remove)(struct record_store *store, const struct id *id, int64_t version,
                   struct error *error);
    bool (*due)(struct record_store *store, enum conversion_role role, int64_t now_ms, size_t limit,
                struct conversion *out_records, size_t *out_count, struct error *error);
    bool (*list)(struct record_store *store, const struct record_filter *filter, size_t limit,
                 struct conversion *out_records, size_t *out_count, struct error *error);
    bool (*count)(struct record_store *store, const struct record_filter *filter, int64_t most,
                  int64_t *out_count, struct error *error);
    bool (*stored_bytes)(struct record_store *store, const struct id *owner_id, int64_t most,
                         int64_t *out_bytes, struct error *error);
    bool (*scan)(struct record_store *store, const struct id *after_id, size_t limit,
                 struct conversion *out_records, size_t *out_count, struct error *error);
};

/* First member of every backend's own struct. */
struct record_store {
    const struct record_store_backend *backend;
};

extern const struct record_store_backend record_store_sqlite, record_store_mongodb;
