/* Accounts in data.dir/users.db, a file of their own: no service but auth ever opens the password
 * hashes. */

#include "stores/user_store/backend.h"

#include "base/clock.h"
#include "base/log.h"
#include "stores/shared/sqlite.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const schema_steps[] = {
    "CREATE TABLE user ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  version INTEGER NOT NULL,"
    "  email TEXT NOT NULL UNIQUE,"
    "  password_hash TEXT NOT NULL,"
    "  admin INTEGER NOT NULL,"
    "  disabled INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  epoch_at INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  erased_at INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX user_by_epoch ON user (epoch_at);",
    "CREATE INDEX user_by_erasure ON user (erased_at);",
    NULL,
};

static const struct sqlite_schema schema = {
    .file = "users.db",
    .purpose = "user store",
    .steps = schema_steps,
    .reader_least = 1,
};

enum {
    FIND_BY_EMAIL,
    FIND_BY_ID,
    INSERT,
    UPDATE,
    REMOVE,
    LIST,
    REVOKED,
    STATEMENT_COUNT,
};

#define COLUMNS                                                                                    \
    "id, version, email, password_hash, admin, disabled, epoch, epoch_at, created_at, erased_at"

static const char *const statements[STATEMENT_COUNT + 1] = {
    [FIND_BY_EMAIL] = "SELECT " COLUMNS " FROM user WHERE email = ?1",
    [FIND_BY_ID] = "SELECT " COLUMNS " FROM user WHERE id = ?1",
    [INSERT] = "INSERT INTO user (email, password_hash, admin, disabled, epoch, epoch_at,"
               " created_at, erased_at, id, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
               " ?10)",
    [UPDATE] = "UPDATE user SET email = ?1, password_hash = ?2, admin = ?3, disabled = ?4,"
               " epoch = ?5, epoch_at = ?6, created_at = ?7, erased_at = ?8, version = version + 1"
               " WHERE id = ?9 AND version = ?10",
    [REMOVE] = "DELETE FROM user WHERE id = ?1 AND version = ?2",
    [LIST] = "SELECT " COLUMNS " FROM user WHERE email > ?1 ORDER BY email",
    [REVOKED] = "SELECT " COLUMNS " FROM user WHERE (epoch_at >= ?1 OR erased_at > 0) AND id > ?2"
                " ORDER BY id",
};
_Static_assert(STATEMENT_COUNT <= SQLITE_STATEMENTS_MAX, "room for every statement");

struct sqlite_store {
    struct user_store base;
    struct sqlite_database database;
};

static struct sqlite_database *database_of(struct user_store *store)
{
    assert(store->backend == &user_store_sqlite);
    return &((struct sqlite_store *)store)->database;
}

static void sqlite_close(struct user_store *store)
{
    sqlite_database_finish(database_of(store));
    free(store);
}

static bool sqlite_open(const struct config *config, struct user_store **out_store,
                        struct error *error)
{
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->base.backend = &user_store_sqlite;
    CLEANUP(user_store_closep) struct user_store *owned = &store->base;
    if (!sqlite_database_init(&store->database, config, &schema, statements, error))
        return false;
    *out_store = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static bool sqlite_check(struct user_store *store, struct error *error)
{
    return sqlite_database_check(database_of(store), error);
}

static bool sqlite_migrate(const struct config *config, struct error *error)
{
    return sqlite_database_migrate(config, &schema, error);
}

static bool sqlite_backup(const struct config *config, const char *folder, struct error *error)
{
    return sqlite_database_backup(config, &schema, folder, error);
}

static bool sqlite_now(struct user_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)store;
    (void)error;
    *out_now_ms = clock_wall_ms();
    return true;
}

static bool read_user(struct sqlite_query *query, struct user *out_user, struct error *error)
{
    struct user user = {
        .version = sqlite_query_integer(query, 1),
        .is_admin = sqlite_query_integer(query, 4) != 0,
        .is_disabled = sqlite_query_integer(query, 5) != 0,
        .epoch = sqlite_query_integer(query, 6),
        .epoch_at_ms = sqlite_query_integer(query, 7),
        .created_at_ms = sqlite_query_integer(query, 8),
        .erased_at_ms = sqlite_query_integer(query, 9),
    };
    if (!id_parse(sqlite_query_text(query, 0), &user.id, error) ||
        !sqlite_query_copy_text(query, 2, user.email, sizeof user.email) ||
        !sqlite_query_copy_text(query, 3, user.password_hash, sizeof user.password_hash))
        return error_set(error, ERROR_INTERNAL, "an account that cannot be read: id \"%.40s\"",
                         sqlite_query_text(query, 0));
    *out_user = user;
    return true;
}

static bool find(struct user_store *store, size_t number, const char *key, struct user *out_user,
                 struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    bool has_row = false;
    if (!sqlite_query_start(&query, database_of(store), number, error))
        return false;
    sqlite_query_put_text(&query, key);
    if (!sqlite_query_step(&query, &has_row, error))
        return false;
    if (!has_row)
        return error_set(error, ERROR_NOT_FOUND, "no such account");
    return read_user(&query, out_user, error);
}

static bool sqlite_find_by_email(struct user_store *store, const char *email, struct user *out_user,
                                 struct error *error)
{
    return find(store, FIND_BY_EMAIL, email, out_user, error);
}

static bool sqlite_find_by_id(struct user_store *store, const struct id *id, struct user *out_user,
                              struct error *error)
{
    return find(store, FIND_BY_ID, id->text, out_user, error);
}

/* The parameters of INSERT and UPDATE, which take them in the same order. */
static bool write_user(struct user_store *store, size_t number, const struct user *user,
                       int64_t *out_changes, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), number, error))
        return false;
    sqlite_query_put_text(&query, user->email);
    sqlite_query_put_text(&query, user->password_hash);
    sqlite_query_put_integer(&query, user->is_admin);
    sqlite_query_put_integer(&query, user->is_disabled);
    sqlite_query_put_integer(&query, user->epoch);
    sqlite_query_put_integer(&query, user->epoch_at_ms);
    sqlite_query_put_integer(&query, user->created_at_ms);
    sqlite_query_put_integer(&query, user->erased_at_ms);
    sqlite_query_put_text(&query, user->id.text);
    sqlite_query_put_integer(&query, user->version);
    return sqlite_query_run(&query, out_changes, error);
}

static bool sqlite_insert(struct user_store *store, const struct user *user, struct error *error)
{
    return write_user(store, INSERT, user, NULL, error);
}

static bool sqlite_update(struct user_store *store, const struct user *user, struct error *error)
{
    int64_t changes = 0;
    if (!write_user(store, UPDATE, user, &changes, error))
        return false;
    return changes == 1 || error_set(error, ERROR_CONFLICT, "account %s is not at version %" PRId64,
                                     user->id.text, user->version);
}

static bool sqlite_remove(struct user_store *store, const struct id *id, int64_t version,
                          struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    int64_t changes = 0;
    if (!sqlite_query_start(&query, database_of(store), REMOVE, error))
        return false;
    sqlite_query_put_text(&query, id->text);
    sqlite_query_put_integer(&query, version);
    if (!sqlite_query_run(&query, &changes, error))
        return false;
    return changes == 1 || error_set(error, ERROR_CONFLICT, "account %s is not at version %" PRId64,
                                     id->text, version);
}

/* One that cannot be read must not hide the others: gateways would hear of no revocation. */
static bool read_users(struct sqlite_query *query, size_t limit, struct user *out_users,
                       size_t *out_count, struct error *error)
{
    size_t count = 0;
    while (count < limit) {
        bool has_row = false;
        struct error unreadable = {0};
        if (!sqlite_query_step(query, &has_row, error))
            return false;
        if (!has_row)
            break;
        if (read_user(query, &out_users[count], &unreadable))
            count++;
        else
            log_error("account skipped", FIELD_TEXT("reason", unreadable.text));
    }
    *out_count = count;
    return true;
}

static bool sqlite_list(struct user_store *store, const char *after_email, size_t limit,
                        struct user *out_users, size_t *out_count, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), LIST, error))
        return false;
    sqlite_query_put_text(&query, after_email);
    return read_users(&query, limit, out_users, out_count, error);
}

static bool sqlite_revoked(struct user_store *store, int64_t since_ms, const struct id *after_id,
                           size_t limit, struct user *out_users, size_t *out_count,
                           struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, database_of(store), REVOKED, error))
        return false;
    sqlite_query_put_integer(&query, since_ms);
    sqlite_query_put_text(&query, after_id->text);
    return read_users(&query, limit, out_users, out_count, error);
}

const struct user_store_backend user_store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .check = sqlite_check,
    .migrate = sqlite_migrate,
    .backup = sqlite_backup,
    .now = sqlite_now,
    .find_by_email = sqlite_find_by_email,
    .find_by_id = sqlite_find_by_id,
    .insert = sqlite_insert,
    .update = sqlite_update,
    .remove = sqlite_remove,
    .list = sqlite_list,
    .revoked = sqlite_revoked,
};
