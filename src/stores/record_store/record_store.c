#include "stores/record_store/record_store.h"

#include "model/conversion_document.h"
#include "stores/record_store/backend.h"
#include <assert.h>
#include <string.h>

static const struct record_store_backend *const backends[] = {
    &record_store_sqlite,
    &record_store_mongodb,
};

static const char *const backend_names[] = {"sqlite", "mongodb", NULL};

struct record_store_settings {
    const char *backend;
};

const struct config_option record_store_options[] = {
    {
        .name = "stores.records",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct record_store_settings, backend, const char *),
        .standard = "sqlite",
        .choices = backend_names,
        .help = "Where the records of conversions live. sqlite: a file below data.dir, for one "
                "host. mongodb: the server that mongodb.uri names.",
    },
    {0},
};

static bool choose_backend(const struct config *config,
                           const struct record_store_backend **out_backend, struct error *error)
{
    struct record_store_settings settings = {0};
    if (!config_load(config, record_store_options, &settings, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        if (strcmp(backends[i]->name, settings.backend) == 0) {
            *out_backend = backends[i];
            return true;
        }
    }
    return error_set(error, ERROR_BAD_INPUT, "stores.records: no \"%s\" in this build",
                     settings.backend);
}

bool record_store_open(const struct config *config, struct record_store **out_store,
                       struct error *error)
{
    const struct record_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->open(config, out_store, error);
}

void record_store_close(struct record_store *store)
{
    if (store != NULL)
        store->backend->close(store);
}

void record_store_closep(struct record_store **store)
{
    record_store_close(*store);
    *store = NULL;
}

bool record_store_check(struct record_store *store, struct error *error)
{
    return store->backend->check(store, error);
}

bool record_store_check_indexes(struct record_store *store, struct error *error)
{
    return store->backend->check_indexes(store, error);
}

bool record_store_migrate(const struct config *config, struct error *error)
{
    const struct record_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->migrate(config, error);
}

bool record_store_backup(const struct config *config, const char *folder, struct error *error)
{
    const struct record_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->backup(config, folder, error);
}

bool record_store_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    return store->backend->now(store, out_now_ms, error);
}

bool record_store_insert(struct record_store *store, const struct conversion *record,
                         struct error *error)
{
    /* What could not be read back is never stored. */
    return conversion_check(record, error) && store->backend->insert(store, record, error);
}

bool record_store_get(struct record_store *store, const struct id *id,
                      struct conversion *out_record, struct error *error)
{
    return store->backend->get(store, id, out_record, error);
}

bool record_store_get_by_mp3(struct record_store *store, const struct id *mp3_id,
                             struct conversion *out_record, struct error *error)
{
    if (id_is_none(mp3_id))
        return error_set(error, ERROR_NOT_FOUND, "no record has an MP3 without an id");
    return store->backend->get_by_mp3(store, mp3_id, out_record, error);
}

bool record_store_get_by_key(struct record_store *store, const struct id *owner_id,
                             const char *request_key, struct conversion *out_record,
                             struct error *error)
{
    return store->backend->get_by_key(store, owner_id, request_key, out_record, error);
}

bool record_store_get_many(struct record_store *store, const struct id *ids, size_t count,
                           struct conversion *out_records, size_t *out_count, struct error *error)
{
    assert(count <= RECORD_STORE_LIMIT_MAX);
    return store->backend->get_many(store, ids, count, out_records, out_count, error);
}

bool record_store_update(struct record_store *store, struct conversion *record, struct error *error)
{
    if (!conversion_check(record, error) || !store->backend->update(store, record, error))
        return false;
    record->version++;
    return true;
}

bool record_store_remove(struct record_store *store, const struct id *id, int64_t version,
                         struct error *error)
{
    return store->backend->remove(store, id, version, error);
}

bool record_store_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                      size_t limit, struct conversion *out_records, size_t *out_count,
                      struct error *error)
{
    assert(limit <= RECORD_STORE_LIMIT_MAX);
    return store->backend->due(store, role, now_ms, limit, out_records, out_count, error);
}

/* Nobody sees what is being deleted, by whichever way they ask. */
static bool matches_nothing(const struct record_filter *filter)
{
    return filter->has_state && filter->state == CONVERSION_DELETING;
}

bool record_store_list(struct record_store *store, const struct record_filter *filter, size_t limit,
                       struct conversion *out_records, size_t *out_count, struct error *error)
{
    assert(limit <= RECORD_STORE_LIMIT_MAX);
    if (id_is_none(&filter->owner_id))
        return error_set(error, ERROR_BAD_INPUT, "a list is always one owner's");
    if (matches_nothing(filter)) {
        *out_count = 0;
        return true;
    }
    return store->backend->list(store, filter, limit, out_records, out_count, error);
}

bool record_store_count(struct record_store *store, const struct record_filter *filter,
                        int64_t most, int64_t *out_count, struct error *error)
{
    if (most <= 0 || matches_nothing(filter)) {
        *out_count = 0;
        return true;
    }
    return store->backend->count(store, filter, most, out_count, error);
}

bool record_store_stored_bytes(struct record_store *store, const struct id *owner_id, int64_t most,
                               int64_t *out_bytes, struct error *error)
{
    return store->backend->stored_bytes(store, owner_id, most, out_bytes, error);
}

bool record_store_scan(struct record_store *store, const struct id *after_id, size_t limit,
                       struct conversion *out_records, size_t *out_count, struct error *error)
{
    assert(limit <= RECORD_STORE_LIMIT_MAX);
    return store->backend->scan(store, after_id, limit, out_records, out_count, error);
}
