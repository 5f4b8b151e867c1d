/* Accounts in MySQL or MariaDB: one server for all replicas of auth.
 *
 * The services' account may read and write rows of `user` and read `schema_version`, nothing more;
 * tables are made by another, which `tapedeck migrate` alone has. */

#include "stores/user_store/backend.h"
#include "stores/user_store/mysql.h"

#include "base/log.h"
#include "base/text.h"
#include "stores/shared/sql.h"
#include "stores/user_store/original.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Compared byte by byte, trailing blanks too, as SQLite does; each server has its own name for
 * that, and reads only its own comment. */
#define EXACT_TEXT                                                                                 \
    "CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */ NOT "    \
    "NULL"

static const char *const schema_steps[] = {
    "CREATE TABLE IF NOT EXISTS user ("
    "  id CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,"
    "  version BIGINT NOT NULL,"
    "  email VARCHAR(319) " EXACT_TEXT ","
    "  password_hash VARCHAR(255) " EXACT_TEXT ","
    "  admin BOOLEAN NOT NULL,"
    "  disabled BOOLEAN NOT NULL,"
    "  epoch BIGINT NOT NULL,"
    "  epoch_at BIGINT NOT NULL,"
    "  created_at BIGINT NOT NULL,"
    "  erased_at BIGINT NOT NULL,"
    "  UNIQUE KEY user_by_email (email),"
    "  KEY user_by_epoch (epoch_at),"
    "  KEY user_by_erasure (erased_at)"
    ") ENGINE=InnoDB",
    NULL,
};

static const struct sql_schema schema = {
    .purpose = "user store",
    .steps = schema_steps,
    .reader_least = 1,
};

enum {
    NOW,
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
    [NOW] = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
    [FIND_BY_EMAIL] = "SELECT " COLUMNS " FROM user WHERE email = ?",
    [FIND_BY_ID] = "SELECT " COLUMNS " FROM user WHERE id = ?",
    [INSERT] = "INSERT INTO user (email, password_hash, admin, disabled, epoch, epoch_at,"
               " created_at, erased_at, id, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [UPDATE] = "UPDATE user SET email = ?, password_hash = ?, admin = ?, disabled = ?, epoch = ?,"
               " epoch_at = ?, created_at = ?, erased_at = ?, version = version + 1"
               " WHERE id = ? AND version = ?",
    [REMOVE] = "DELETE FROM user WHERE id = ? AND version = ?",
    [LIST] = "SELECT " COLUMNS " FROM user WHERE email > ? ORDER BY email LIMIT ?",
    [REVOKED] = "SELECT " COLUMNS " FROM user WHERE (epoch_at >= ? OR erased_at > 0) AND id > ?"
                " ORDER BY id LIMIT ?",
};
_Static_assert(STATEMENT_COUNT <= SQL_STATEMENTS_MAX, "room for every statement");

struct mysql_store {
    struct user_store base;
    struct sql_database database;
};

static struct sql_database *database_of(struct user_store *store)
{
    assert(store->backend == &user_store_mysql);
    return &((struct mysql_store *)store)->database;
}

static void mysql_store_close(struct user_store *store)
{
    sql_database_finish(database_of(store));
    free(store);
}

static bool mysql_store_open(const struct config *config, struct user_store **out_store,
                             struct error *error)
{
    struct mysql_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->base.backend = &user_store_mysql;
    CLEANUP(user_store_closep) struct user_store *owned = &store->base;
    if (!sql_database_init(&store->database, config, SQL_ACCOUNT_SERVICE, &schema, statements,
                           error))
        return false;
    *out_store = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static bool mysql_check(struct user_store *store, struct error *error)
{
    return sql_database_check(database_of(store), error);
}

static bool mysql_migrate(const struct config *config, struct error *error)
{
    struct error cause = {0};
    if (sql_database_migrate(config, &schema, original_put_aside, &cause))
        return true;
    if (error != NULL)
        *error = cause;
    if (cause.kind == ERROR_DENIED)
        return error_prefix(error, "mysql.migrate_uri must name an account that may make tables");
    return false;
}

static bool mysql_backup(const struct config *config, const char *folder, struct error *error)
{
    (void)config;
    (void)folder;
    return error_set(error, ERROR_BAD_INPUT,
                     "accounts are in a MySQL server: deploy/mysql/backup copies them");
}

static bool mysql_now(struct user_store *store, int64_t *out_now_ms, struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    bool has_row = false;
    sql_query_start(&query, database_of(store), NOW);
    if (!sql_query_step(&query, &has_row, error))
        return false;
    *out_now_ms = sql_query_integer(&query, 0);
    return true;
}

static bool read_user(struct sql_query *query, struct user *out_user, struct error *error)
{
    struct user user = {
        .version = sql_query_integer(query, 1),
        .is_admin = sql_query_integer(query, 4) != 0,
        .is_disabled = sql_query_integer(query, 5) != 0,
        .epoch = sql_query_integer(query, 6),
        .epoch_at_ms = sql_query_integer(query, 7),
        .created_at_ms = sql_query_integer(query, 8),
        .erased_at_ms = sql_query_integer(query, 9),
    };
    if (!id_parse(sql_query_text(query, 0), &user.id, error) ||
        !sql_query_copy_text(query, 2, user.email, sizeof user.email) ||
        !sql_query_copy_text(query, 3, user.password_hash, sizeof user.password_hash))
        return error_set(error, ERROR_INTERNAL, "an account that cannot be read: id \"%.40s\"",
                         sql_query_text(query, 0));
    *out_user = user;
    return true;
}

static bool find(struct user_store *store, size_t number, const char *key, struct user *out_user,
                 struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    bool has_row = false;
    /* The server refuses to compare what is no text; no account has it. */
    if (!text_is_utf8(key, strlen(key)))
        return error_set(error, ERROR_NOT_FOUND, "no such account");
    sql_query_start(&query, database_of(store), number);
    sql_query_put_text(&query, key);
    if (!sql_query_step(&query, &has_row, error))
        return false;
    if (!has_row)
        return error_set(error, ERROR_NOT_FOUND, "no such account");
    return read_user(&query, out_user, error);
}

static bool mysql_find_by_email(struct user_store *store, const char *email, struct user *out_user,
                                struct error *error)
{
    return find(store, FIND_BY_EMAIL, email, out_user, error);
}

static bool mysql_find_by_id(struct user_store *store, const struct id *id, struct user *out_user,
                             struct error *error)
{
    return find(store, FIND_BY_ID, id->text, out_user, error);
}

/* The parameters of INSERT and UPDATE, which take them in the same order. */
static bool write_user(struct user_store *store, size_t number, const struct user *user,
                       int64_t *out_changes, struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    sql_query_start(&query, database_of(store), number);
    sql_query_put_text(&query, user->email);
    sql_query_put_text(&query, user->password_hash);
    sql_query_put_integer(&query, user->is_admin);
    sql_query_put_integer(&query, user->is_disabled);
    sql_query_put_integer(&query, user->epoch);
    sql_query_put_integer(&query, user->epoch_at_ms);
    sql_query_put_integer(&query, user->created_at_ms);
    sql_query_put_integer(&query, user->erased_at_ms);
    sql_query_put_text(&query, user->id.text);
    sql_query_put_integer(&query, user->version);
    return sql_query_run(&query, out_changes, error);
}

static bool mysql_insert(struct user_store *store, const struct user *user, struct error *error)
{
    return write_user(store, INSERT, user, NULL, error);
}

static bool fail_version(const struct id *id, int64_t version, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "account %s is not at version %" PRId64, id->text,
                     version);
}

static bool mysql_update(struct user_store *store, const struct user *user, struct error *error)
{
    int64_t changes = 0;
    if (!write_user(store, UPDATE, user, &changes, error))
        return false;
    return changes == 1 || fail_version(&user->id, user->version, error);
}

static bool mysql_remove(struct user_store *store, const struct id *id, int64_t version,
                         struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    int64_t changes = 0;
    sql_query_start(&query, database_of(store), REMOVE);
    sql_query_put_text(&query, id->text);
    sql_query_put_integer(&query, version);
    if (!sql_query_run(&query, &changes, error))
        return false;
    return changes == 1 || fail_version(id, version, error);
}

/* A list in the order of a column, which is read on from where a page ended. */
struct listing {
    size_t number; /* of the statement */
    bool has_time;
    int64_t since_ms;
    unsigned key_column;
    char key[SQL_TEXT_SIZE];
    struct user *users;
    size_t limit, count;
};

/* One that cannot be read must not hide the others: gateways would hear of no revocation. */
static bool read_page(struct user_store *store, struct listing *listing, bool *out_is_last,
                      struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    size_t wanted = listing->limit - listing->count;
    size_t row_count = 0;
    bool has_row = true;
    sql_query_start(&query, database_of(store), listing->number);
    if (listing->has_time)
        sql_query_put_integer(&query, listing->since_ms);
    sql_query_put_text(&query, listing->key);
    sql_query_put_integer(&query, (int64_t)wanted);
    while (sql_query_step(&query, &has_row, error)) {
        struct error unreadable = {0};
        if (!has_row) {
            *out_is_last = row_count < wanted;
            return true;
        }
        row_count++;
        if (read_user(&query, &listing->users[listing->count], &unreadable))
            listing->count++;
        else
            log_error("account skipped", FIELD_TEXT("reason", unreadable.text));
        sql_query_copy_text(&query, listing->key_column, listing->key, sizeof listing->key);
    }
    return false;
}

static bool read_users(struct user_store *store, struct listing *listing, size_t *out_count,
                       struct error *error)
{
    bool is_last = false;
    while (!is_last && listing->count < listing->limit) {
        if (!read_page(store, listing, &is_last, error))
            return false;
    }
    *out_count = listing->count;
    return true;
}

static bool mysql_list(struct user_store *store, const char *after_email, size_t limit,
                       struct user *out_users, size_t *out_count, struct error *error)
{
    struct listing listing = {.number = LIST, .key_column = 2, .users = out_users, .limit = limit};
    text_copy(listing.key, sizeof listing.key, after_email);
    return read_users(store, &listing, out_count, error);
}

static bool mysql_revoked(struct user_store *store, int64_t since_ms, const struct id *after_id,
                          size_t limit, struct user *out_users, size_t *out_count,
                          struct error *error)
{
    struct listing listing = {
        .number = REVOKED,
        .has_time = true,
        .since_ms = since_ms,
        .users = out_users,
        .limit = limit,
    };
    text_copy(listing.key, sizeof listing.key, after_id->text);
    return read_users(store, &listing, out_count, error);
}

bool user_store_is_mysql(const struct config *config, bool *out_is_mysql, struct error *error)
{
    struct settings {
        const char *backend;
    } settings = {0};
    static const struct config_option options[] = {
        {
            .name = "stores.users",
            .type = CONFIG_TEXT,
            .field = CONFIG_FIELD(struct settings, backend, const char *),
        },
        {0},
    };
    if (!config_load(config, options, &settings, error))
        return false;
    *out_is_mysql = strcmp(settings.backend, user_store_mysql.name) == 0;
    return true;
}

const struct user_store_backend user_store_mysql = {
    .name = "mysql",
    .open = mysql_store_open,
    .close = mysql_store_close,
    .check = mysql_check,
    .migrate = mysql_migrate,
    .backup = mysql_backup,
    .now = mysql_now,
    .find_by_email = mysql_find_by_email,
    .find_by_id = mysql_find_by_id,
    .insert = mysql_insert,
    .update = mysql_update,
    .remove = mysql_remove,
    .list = mysql_list,
    .revoked = mysql_revoked,
};
