#pragma once

/* The gateway's own options. */

#include "config/config.h"
#include <stdint.h>

struct gateway_settings {
    const char *listen;
    const char *auth_url;
    const char *auth_ca_file; /* "": the system's authorities */
    int64_t auth_interval_ms;
    uint64_t threads;
    uint64_t connections_max;
    bool trusts_forwarded_for;
};

extern const struct config_option gateway_options[];
