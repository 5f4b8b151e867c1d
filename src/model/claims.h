#pragma once

/* What a token says of its bearer. Pure; signing and verifying are net/token's. */

#include "base/error.h"
#include "base/id.h"
#include <jansson.h>
#include <stdint.h>

#define CLAIMS_EMAIL_SIZE 320 /* RFC 5321 §4.5.3.1: 64 + 1 + 255 */
#define CLAIMS_ISSUER "tapedeck"
#define CLAIMS_AUDIENCE "tapedeck"

struct claims {
    struct id user_id;                 /* `sub` */
    char email[CLAIMS_EMAIL_SIZE];     /* `username` */
    bool is_admin;                     /* `admin` */
    int64_t epoch;                     /* of the account when it was issued */
    int64_t issued_at_s, expires_at_s; /* `iat`, `exp`: seconds since 1970 */
    struct id token_id;                /* `jti` */
};

json_t *claims_to_json(const struct claims *claims); /* with `iss` and `aud` */
/* Checks issuer, audience, types and bounds, and with 60 s of leeway that now_s lies between `iat`
 * and `exp`. ERROR_DENIED with FAILURE_INVALID_TOKEN. */
MUST_CHECK bool claims_from_json(const json_t *json, int64_t now_s, struct claims *out_claims,
                                 struct error *error);
