#pragma once

/* What GET /revocations of auth says: which accounts' older tokens are refused. Pure. */

#include "base/error.h"
#include "model/claims.h"
#include <stddef.h>
#include <stdint.h>

#define REVOCATIONS_MAX 100000

struct revocation {
    struct id user_id;
    int64_t epoch;  /* tokens of a smaller one are refused */
    bool is_erased; /* and all that is the account's is to be deleted */
};

struct revocations {
    struct revocation *entries; /* owned; by ascending id */
    size_t count;
};

/* ERROR_BAD_INPUT: no list of revocations; ERROR_TOO_LARGE: more than REVOCATIONS_MAX. */
MUST_CHECK bool revocations_parse(const void *json, size_t size, struct revocations *out,
                                  struct error *error);
bool revocations_refuse(const struct revocations *revocations, const struct claims *claims);
void revocations_finish(struct revocations *revocations);
