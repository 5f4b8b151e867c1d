#pragma once

/* The options rabbitmq.*: where the broker is, and how it is known to be the right one. */

#include "base/error.h"
#include "config/config.h"
#include "stores/shared/server_uri.h"

struct rabbitmq_settings {
    struct server_uri uri; /* user, password, host and port are set */
    char vhost[SERVER_URI_PART_SIZE];
    bool has_tls;
    const char *ca_file; /* borrowed from the config; "": the system's authorities */
};

extern const struct config_option rabbitmq_options[];

/* ERROR_BAD_INPUT names the option that is wrong, and never says what is in the URI. */
MUST_CHECK bool rabbitmq_settings_load(const struct config *config,
                                       struct rabbitmq_settings *out_settings, struct error *error);
