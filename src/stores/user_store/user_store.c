#include "stores/user_store/user_store.h"

#include "stores/user_store/backend.h"
#include <assert.h>
#include <string.h>

static const struct user_store_backend *const backends[] = {
    &user_store_sqlite,
    &user_store_mysql,
};

static const char *const backend_names[] = {"sqlite", "mysql", NULL};

struct user_store_settings {
    const char *backend;
};

const struct config_option user_store_options[] = {
    {
        .name = "stores.users",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct user_store_settings, backend, const char *),
        .standard = "sqlite",
        .choices = backend_names,
        .help = "Where accounts live. sqlite: a file below data.dir, for one host. mysql: a MySQL "
                "or MariaDB server.",
    },
    {0},
};

static bool choose_backend(const struct config *config,
                           const struct user_store_backend **out_backend, struct error *error)
{
    struct user_store_settings settings = {0};
    if (!config_load(config, user_store_options, &settings, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        if (strcmp(backends[i]->name, settings.backend) == 0) {
            *out_backend = backends[i];
            return true;
        }
    }
    return error_set(error, ERROR_BAD_INPUT, "stores.users: no \"%s\" in this build",
                     settings.backend);
}

bool user_store_open(const struct config *config, struct user_store **out_store,
                     struct error *error)
{
    const struct user_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->open(config, out_store, error);
}

void user_store_close(struct user_store *store)
{
    if (store != NULL)
        store->backend->close(store);
}

void user_store_closep(struct user_store **store)
{
    user_store_close(*store);
    *store = NULL;
}

bool user_store_check(struct user_store *store, struct error *error)
{
    return store->backend->check(store, error);
}

bool user_store_migrate(const struct config *config, struct error *error)
{
    const struct user_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->migrate(config, error);
}

bool user_store_backup(const struct config *config, const char *folder, struct error *error)
{
    const struct user_store_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->backup(config, folder, error);
}

bool user_store_now(struct user_store *store, int64_t *out_now_ms, struct error *error)
{
    return store->backend->now(store, out_now_ms, error);
}

/* Accounts are told apart without regard to case; beyond ASCII, case is no letter's property in an
 * address (RFC 6531 leaves it to the mail server). False where it does not fit. */
static bool fold_email(const char *email, char out_email[CLAIMS_EMAIL_SIZE])
{
    size_t length = strnlen(email, CLAIMS_EMAIL_SIZE);
    if (length == CLAIMS_EMAIL_SIZE)
        return false;
    for (size_t i = 0; i <= length; i++) {
        bool is_capital = email[i] >= 'A' && email[i] <= 'Z';
        out_email[i] = is_capital ? (char)(email[i] - 'A' + 'a') : email[i];
    }
    return true;
}

bool user_store_find_by_email(struct user_store *store, const char *email, struct user *out_user,
                              struct error *error)
{
    char folded[CLAIMS_EMAIL_SIZE];
    /* No account's address is that long. */
    if (!fold_email(email, folded))
        return error_set(error, ERROR_NOT_FOUND, "no such account");
    return store->backend->find_by_email(store, folded, out_user, error);
}

bool user_store_find_by_id(struct user_store *store, const struct id *id, struct user *out_user,
                           struct error *error)
{
    return store->backend->find_by_id(store, id, out_user, error);
}

bool user_store_insert(struct user_store *store, const struct user *user, struct error *error)
{
    assert(!id_is_none(&user->id));
    struct user folded = *user;
    if (!fold_email(user->email, folded.email) || folded.email[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "an account needs an email");
    return store->backend->insert(store, &folded, error);
}

bool user_store_update(struct user_store *store, struct user *user, struct error *error)
{
    if (!fold_email(user->email, user->email) || user->email[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "an account needs an email");
    if (!store->backend->update(store, user, error))
        return false;
    user->version++;
    return true;
}

bool user_store_remove(struct user_store *store, const struct id *id, int64_t version,
                       struct error *error)
{
    return store->backend->remove(store, id, version, error);
}

bool user_store_list(struct user_store *store, const char *after_email, size_t limit,
                     struct user *out_users, size_t *out_count, struct error *error)
{
    assert(limit <= USER_STORE_LIMIT_MAX);
    char folded[CLAIMS_EMAIL_SIZE];
    if (!fold_email(after_email, folded))
        return error_set(error, ERROR_BAD_INPUT, "no account has so long an email");
    return store->backend->list(store, folded, limit, out_users, out_count, error);
}

bool user_store_revoked(struct user_store *store, int64_t since_ms, const struct id *after_id,
                        size_t limit, struct user *out_users, size_t *out_count,
                        struct error *error)
{
    assert(limit <= USER_STORE_LIMIT_MAX);
    return store->backend->revoked(store, since_ms, after_id, limit, out_users, out_count, error);
}
