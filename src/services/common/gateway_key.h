#pragma once

/* The secret that gateways show to auth, so that auth tells them what it tells nobody else: which
 * tokens are revoked; and so that auth believes them who a client is.
 *
 * It lies in a file, auth.gateway_key_file, and is read anew each time: replacing the file is all
 * it takes to change it. */

#include "base/error.h"
#include "config/config.h"

#define GATEWAY_KEY_SIZE 257 /* 16 to 256 visible ASCII characters, and the NUL */
#define GATEWAY_KEY_HEADER "X-Tapedeck-Gateway-Key"
#define GATEWAY_CLIENT_HEADER "X-Tapedeck-Client-Address"
#define GATEWAY_KEY_REFUSED                                                                        \
    "auth does not know this gateway's secret: auth.gateway_key_file is to hold the same for both"

extern const struct config_option gateway_key_options[]; /* auth.gateway_key_file */

/* Where no file is named, one is made in data.dir if it is not there: one machine needs no setting
 * up. ERROR_NOT_FOUND: the named file is not there. */
MUST_CHECK bool gateway_key_load(const struct config *config, char out_key[GATEWAY_KEY_SIZE],
                                 struct error *error);
/* As gateway_key_load(), but makes nothing: ERROR_NOT_FOUND. */
MUST_CHECK bool gateway_key_read(const struct config *config, char out_key[GATEWAY_KEY_SIZE],
                                 struct error *error);
/* As gateway_key_read(), but the file must be closed to others. True where it would be made. */
MUST_CHECK bool gateway_key_check(const struct config *config, struct error *error);
/* In the same time wherever they differ. False for NULL. */
bool gateway_key_is_equal(const char *a, const char *b);
