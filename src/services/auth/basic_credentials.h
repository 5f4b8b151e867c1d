#pragma once

/* The Authorization header of a login: Basic, RFC 7617 with charset UTF-8. Pure. */

#include "base/error.h"
#include "model/claims.h"
#include "services/auth/accounts.h"

struct basic_credentials {
    char email[CLAIMS_EMAIL_SIZE]; /* as given */
    char password[ACCOUNTS_PASSWORD_SIZE_MAX + 1];
};

/* ERROR_BAD_INPUT where it is not of that form: another scheme, not base64, no colon, not UTF-8,
 * control characters, or longer than any account's; *out is then empty. */
MUST_CHECK bool basic_credentials_parse(const char *header, struct basic_credentials *out,
                                        struct error *error);
/* Leaves nothing of them in memory. For CLEANUP. */
void basic_credentials_wipe(struct basic_credentials *credentials);
