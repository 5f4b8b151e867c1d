#pragma once

/* `tapedeck auth`: logins, tokens, public keys and revocations. The only service that opens the
 * store of users and the only one that can sign. */

#include "config/config.h"
#include "services/common/service.h"

extern const struct service auth_service;
extern const struct config_option auth_options[];
