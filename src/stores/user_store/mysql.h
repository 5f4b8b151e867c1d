#pragma once

/* For commands that have more to do where accounts are in MySQL: the original's table, and a look
 * at how the server is set up. */

#include "base/error.h"
#include "config/config.h"

/* Whether stores.users says so. */
MUST_CHECK bool user_store_is_mysql(const struct config *config, bool *out_is_mysql,
                                    struct error *error);
