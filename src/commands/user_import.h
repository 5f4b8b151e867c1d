#pragma once

/* Accounts from a CSV file of email and password, or email and Argon2 hash. */

#include "base/error.h"
#include "stores/user_store/user_store.h"
#include <stddef.h>

#define USER_IMPORT_SIZE_MAX (16 * 1024 * 1024)

struct user_import_counts {
    size_t added, existing, wrong;
};

/* `path` "-" is standard input. Says on standard error what is wrong with which line, and goes on;
 * an error is what keeps all lines from being read, or a store that fails: what was added until
 * then stays, and the same file can be imported again. */
MUST_CHECK bool user_import(struct user_store *users, const char *path,
                            struct user_import_counts *out_counts, struct error *error);
