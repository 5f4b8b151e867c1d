#pragma once

/* Passwords: Argon2id (RFC 9106) of 19 MiB, two passes, one lane, as PHC strings. */

#include "base/error.h"
#include "stores/user_store/user_store.h"

/* Blocks for some 50 ms and holds 19 MiB meanwhile. ERROR_UNAVAILABLE: no memory. */
MUST_CHECK bool password_hash(const char *password, char out_hash[USER_PASSWORD_HASH_SIZE],
                              struct error *error);
/* Costs what the hash says. False as well where the hash cannot be read. */
MUST_CHECK bool password_verify(const char *hash, const char *password);
/* Made with other parameters than ours: to be made again at the next login. */
bool password_is_outdated(const char *hash);
/* ERROR_BAD_INPUT: not a PHC string of Argon2, or one that is too costly to check. */
MUST_CHECK bool password_check_hash(const char *hash, struct error *error);

/* The hash of a password that nobody has: what a login of an unknown user is checked against, so
 * that it takes as long as any. */
MUST_CHECK bool password_hash_nobody(char out_hash[USER_PASSWORD_HASH_SIZE], struct error *error);
