#pragma once

/* Accounts. Only the auth service and `tapedeck user` open this store: nobody else ever sees a
 * password hash.
 *
 * The option stores.users chooses the backend (sqlite, mysql). A handle belongs to one thread.
 * Functions block for at most the backend's time-out (seconds); ERROR_UNAVAILABLE leaves the
 * outcome of a write unknown, and every write can be repeated. */

#include "base/error.h"
#include "base/id.h"
#include "config/config.h"
#include "model/claims.h"
#include <stddef.h>
#include <stdint.h>

#define USER_PASSWORD_HASH_SIZE 256
#define USER_STORE_LIMIT_MAX 200

struct user_store;

struct user {
    struct id id;
    int64_t version;
    char email[CLAIMS_EMAIL_SIZE];               /* lower case: unique without regard to case */
    char password_hash[USER_PASSWORD_HASH_SIZE]; /* PHC string, argon2id; "": cannot log in */
    bool is_admin;
    bool is_disabled;
    int64_t epoch;       /* raised by all that must end the account's tokens */
    int64_t epoch_at_ms; /* when it last was; 0: never */
    int64_t created_at_ms;
    int64_t erased_at_ms; /* 0: not. The account is being erased */
};

extern const struct config_option user_store_options[]; /* stores.users */

MUST_CHECK bool user_store_open(const struct config *config, struct user_store **out_store,
                                struct error *error);
void user_store_close(struct user_store *store); /* NULL is fine */
void user_store_closep(struct user_store **store);
MUST_CHECK bool user_store_check(struct user_store *store, struct error *error);
MUST_CHECK bool user_store_migrate(const struct config *config, struct error *error);
/* A consistent copy into the folder, while others read and write. */
MUST_CHECK bool user_store_backup(const struct config *config, const char *folder,
                                  struct error *error);

MUST_CHECK bool user_store_now(struct user_store *store, int64_t *out_now_ms, struct error *error);

/* ERROR_NOT_FOUND. */
MUST_CHECK bool user_store_find_by_email(struct user_store *store, const char *email,
                                         struct user *out_user, struct error *error);
MUST_CHECK bool user_store_find_by_id(struct user_store *store, const struct id *id,
                                      struct user *out_user, struct error *error);
/* ERROR_CONFLICT: the email, or the id, is taken. */
MUST_CHECK bool user_store_insert(struct user_store *store, const struct user *user,
                                  struct error *error);
/* Compare-and-set, as record_store_update: ERROR_CONFLICT where the version is another. */
MUST_CHECK bool user_store_update(struct user_store *store, struct user *user, struct error *error);
MUST_CHECK bool user_store_remove(struct user_store *store, const struct id *id, int64_t version,
                                  struct error *error);
/* By ascending email, after the given one ("": from the start). Here and below, one that cannot be
 * read is skipped and logged. */
MUST_CHECK bool user_store_list(struct user_store *store, const char *after_email, size_t limit,
                                struct user *out_users, size_t *out_count, struct error *error);
/* Accounts whose epoch was raised at or after since_ms, and those that are being erased, by
 * ascending id after *after_id (none: from the start): what gateways refuse older tokens by. */
MUST_CHECK bool user_store_revoked(struct user_store *store, int64_t since_ms,
                                   const struct id *after_id, size_t limit, struct user *out_users,
                                   size_t *out_count, struct error *error);
