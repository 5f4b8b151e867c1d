#pragma once

/* The accounts of the original system, as `tapedeck migrate` finds them in the database that
 * mysql.uri names: a table `user` of id, email and password, where passwords stand as they were
 * typed.
 *
 * Making our schema puts that table aside, under the name user_original, in one step. Then each of
 * its accounts is moved, by one transaction each: its hash comes into `user`, its row goes. The
 * table goes with its last row. Killed anywhere, the next migration goes on from there. */

#include "base/error.h"
#include "config/config.h"
#include "model/claims.h"
#include "stores/shared/sql.h"
#include "stores/user_store/user_store.h"
#include <stdint.h>

#define ORIGINAL_PASSWORD_SIZE SQL_TEXT_SIZE

struct original_accounts;

struct original_account {
    int64_t key;
    /* As they stand there; "": none, or one that is too long for ours, or holds a NUL. */
    char email[CLAIMS_EMAIL_SIZE];
    char password[ORIGINAL_PASSWORD_SIZE];
};

/* For sql_database_migrate(). ERROR_CONFLICT: a `user` that is neither ours nor the original's,
 * or one of the original's beside accounts that were put aside before. */
MUST_CHECK bool original_put_aside(struct sql_database *database, struct error *error);

/* After user_store_migrate(). *out_accounts is NULL where there are none to move. */
MUST_CHECK bool original_accounts_open(const struct config *config,
                                       struct original_accounts **out_accounts,
                                       struct error *error);
void original_accounts_close(struct original_accounts *accounts); /* NULL is fine */
void original_accounts_closep(struct original_accounts **accounts);

/* By ascending key, after the given one (INT64_MIN: from the start). *out_has_one is false after
 * the last. */
MUST_CHECK bool original_accounts_next(struct original_accounts *accounts, int64_t after_key,
                                       struct original_account *out_account, bool *out_has_one,
                                       struct error *error);
/* user->id, email, password_hash and is_admin are those of the new account. ERROR_CONFLICT: its
 * email is taken; ERROR_NOT_FOUND: another migration has moved it. Nothing is changed by either. */
MUST_CHECK bool original_accounts_move(struct original_accounts *accounts, int64_t key,
                                       const struct user *user, struct error *error);
/* Drops the table, once nobody is left in it. */
MUST_CHECK bool original_accounts_drop(struct original_accounts *accounts, struct error *error);
