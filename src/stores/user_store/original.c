#include "stores/user_store/original.h"

#include "stores/user_store/mysql.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NEXT, TAKE, GIVE, STATEMENT_COUNT };

static const char *const statements[STATEMENT_COUNT + 1] = {
    [NEXT] = "SELECT id, email, password FROM user_original WHERE id > ? ORDER BY id LIMIT 1",
    [TAKE] = "DELETE FROM user_original WHERE id = ?",
    [GIVE] = "INSERT INTO user (id, email, password_hash, admin, created_at, version, disabled,"
             " epoch, epoch_at, erased_at) VALUES (?, ?, ?, ?,"
             " CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), 1, FALSE, 0, 0, 0)",
};

struct original_accounts {
    struct sql_database database;
};

/* ---- Putting the table aside ---- */

bool original_put_aside(struct sql_database *database, struct error *error)
{
    enum { TABLES, ORIGINAL_COLUMNS, OUR_COLUMNS, TABLES_ASIDE, COUNTS };
    static const char look[] =
        "SELECT"
        " (SELECT count(*) FROM information_schema.tables"
        "  WHERE table_schema = DATABASE() AND table_name = 'user'),"
        " (SELECT count(*) FROM information_schema.columns"
        "  WHERE table_schema = DATABASE() AND table_name = 'user'"
        "  AND (column_name IN ('email', 'password')"
        "  OR (column_name = 'id' AND data_type IN ('smallint', 'mediumint', 'int', 'bigint')))),"
        " (SELECT count(*) FROM information_schema.columns"
        "  WHERE table_schema = DATABASE() AND table_name = 'user'"
        "  AND column_name = 'password_hash'),"
        " (SELECT count(*) FROM information_schema.tables"
        "  WHERE table_schema = DATABASE() AND table_name = 'user_original')";
    int64_t counts[COUNTS];
    if (!sql_read_counts(database, look, COUNTS, counts, error))
        return false;
    if (counts[TABLES] == 0 || counts[OUR_COLUMNS] != 0)
        return true;
    if (counts[ORIGINAL_COLUMNS] != 3)
        return error_set(error, ERROR_CONFLICT,
                         "the database has a table `user` that is neither Tapedeck's nor the "
                         "original's: use a database of its own");
    if (counts[TABLES_ASIDE] != 0)
        return error_set(error, ERROR_CONFLICT,
                         "the database has the original's table `user` and a `user_original` that "
                         "was put aside before: keep the one that is right, drop the other");
    return sql_execute(database, "RENAME TABLE user TO user_original", error);
}

/* ---- Moving its accounts ---- */

static bool has_table(struct original_accounts *accounts, bool *out_has_table, struct error *error)
{
    int64_t count = 0;
    if (!sql_database_check(&accounts->database, error) ||
        !sql_lock_migration(&accounts->database, error) ||
        !sql_read_counts(&accounts->database,
                         "SELECT count(*) FROM information_schema.tables"
                         " WHERE table_schema = DATABASE() AND table_name = 'user_original'",
                         1, &count, error))
        return false;
    *out_has_table = count != 0;
    return true;
}

bool original_accounts_open(const struct config *config, struct original_accounts **out_accounts,
                            struct error *error)
{
    bool is_there = false;
    if (!user_store_is_mysql(config, &is_there, error))
        return false;
    CLEANUP(original_accounts_closep) struct original_accounts *accounts = NULL;
    if (is_there) {
        accounts = calloc(1, sizeof *accounts);
        if (accounts == NULL)
            abort();
        if (!sql_database_init(&accounts->database, config, SQL_ACCOUNT_MIGRATION, NULL, statements,
                               error) ||
            !has_table(accounts, &is_there, error))
            return false;
    }
    *out_accounts = is_there ? accounts : NULL;
    if (is_there)
        accounts = NULL; /* the caller's now */
    return true;
}

void original_accounts_close(struct original_accounts *accounts)
{
    if (accounts == NULL)
        return;
    sql_database_finish(&accounts->database);
    explicit_bzero(accounts, sizeof *accounts); /* passwords were in it */
    free(accounts);
}

void original_accounts_closep(struct original_accounts **accounts)
{
    original_accounts_close(*accounts);
    *accounts = NULL;
}

bool original_accounts_next(struct original_accounts *accounts, int64_t after_key,
                            struct original_account *out_account, bool *out_has_one,
                            struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    sql_query_start(&query, &accounts->database, NEXT);
    sql_query_put_integer(&query, after_key);
    if (!sql_query_step(&query, out_has_one, error))
        return false;
    if (!*out_has_one)
        return true;
    out_account->key = sql_query_integer(&query, 0);
    if (!sql_query_copy_text(&query, 1, out_account->email, sizeof out_account->email))
        out_account->email[0] = '\0';
    if (!sql_query_copy_text(&query, 2, out_account->password, sizeof out_account->password))
        out_account->password[0] = '\0';
    return true;
}

static bool take(struct sql_database *database, int64_t key, struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    int64_t changes = 0;
    sql_query_start(&query, database, TAKE);
    sql_query_put_integer(&query, key);
    if (!sql_query_run(&query, &changes, error))
        return false;
    return changes == 1 || error_set(error, ERROR_NOT_FOUND,
                                     "account %" PRId64 " is in user_original no more", key);
}

static bool give(struct sql_database *database, const struct user *user, struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    sql_query_start(&query, database, GIVE);
    sql_query_put_text(&query, user->id.text);
    sql_query_put_text(&query, user->email);
    sql_query_put_text(&query, user->password_hash);
    sql_query_put_integer(&query, user->is_admin);
    return sql_query_run(&query, NULL, error);
}

bool original_accounts_move(struct original_accounts *accounts, int64_t key,
                            const struct user *user, struct error *error)
{
    struct sql_database *database = &accounts->database;
    if (!sql_transaction_begin(database, error))
        return false;
    CLEANUP(sql_transaction_endp) struct sql_database *transaction = database;
    return take(database, key, error) && give(database, user, error) &&
           sql_transaction_commit(transaction, error);
}

bool original_accounts_drop(struct original_accounts *accounts, struct error *error)
{
    int64_t count = 0;
    struct sql_database *database = &accounts->database;
    if (!sql_database_check(database, error) ||
        !sql_read_counts(database, "SELECT count(*) FROM user_original", 1, &count, error))
        return false;
    if (count != 0)
        return error_set(error, ERROR_CONFLICT, "%" PRId64 " accounts are left in user_original",
                         count);
    return sql_execute(database, "DROP TABLE user_original", error);
}
