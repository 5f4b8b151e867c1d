#pragma once

/* What can be done to an account, with the rules for emails and passwords: used by auth and by
 * `tapedeck user`.
 *
 * Whatever must end an account's tokens raises its epoch: a new password, disabling, a change of
 * admin, erasing. Emails are checked and lower-cased here, so that callers pass what a person
 * typed. Unless said otherwise: ERROR_BAD_INPUT with a text for that person, ERROR_NOT_FOUND where
 * no account has the email, ERROR_UNAVAILABLE from the store. All of these block on the store, and
 * those that take a password hash it (some 50 ms and 19 MiB). */

#include "base/error.h"
#include "stores/user_store/user_store.h"
#include <stddef.h>

#define ACCOUNTS_PASSWORD_SIZE_MIN 8 /* bytes */
#define ACCOUNTS_PASSWORD_SIZE_MAX 1024

/* Lower case; one '@', something on both sides, visible characters, UTF-8, at most 319 bytes. */
MUST_CHECK bool accounts_check_email(const char *email, char out_email[CLAIMS_EMAIL_SIZE],
                                     struct error *error);
MUST_CHECK bool accounts_check_password(const char *password, struct error *error);

/* ERROR_CONFLICT: the email is taken. */
MUST_CHECK bool accounts_create(struct user_store *store, const char *email, const char *password,
                                bool is_admin, struct user *out_user, struct error *error);
/* The same with a hash from elsewhere: a PHC string of Argon2 (argon2id or argon2i, v=19) that
 * costs at most 256 MiB and 16 passes to check. */
MUST_CHECK bool accounts_create_hashed(struct user_store *store, const char *email,
                                       const char *password_hash, bool is_admin,
                                       struct user *out_user, struct error *error);
bool accounts_is_hash(const char *text); /* begins as one; accounts_create_hashed() decides */

MUST_CHECK bool accounts_set_password(struct user_store *store, const char *email,
                                      const char *password, struct error *error);
MUST_CHECK bool accounts_set_disabled(struct user_store *store, const char *email, bool is_disabled,
                                      struct error *error);
MUST_CHECK bool accounts_set_admin(struct user_store *store, const char *email, bool is_admin,
                                   struct error *error);
/* Marks the account for erasure: nobody can log in, its tokens end, and gateways delete all that is
 * its owner's; when that is done the account is gone. */
MUST_CHECK bool accounts_erase(struct user_store *store, const char *email, struct error *error);
