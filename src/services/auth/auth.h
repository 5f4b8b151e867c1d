#pragma once

/* `tapedeck auth`: logins, tokens, public keys and revocations. The only service that opens the
 * store of users and the only one that can sign. */

#include "config/config.h"
#include "services/common/service.h"

struct auth_settings {
    const char *listen;
    uint64_t hashes_at_once;
    uint64_t failed_logins_max;
};

extern const struct service auth_service;
extern const struct config_option auth_options[];
