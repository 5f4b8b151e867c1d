#pragma once

/* The options smtp.*: where the mail server is, and how it is known to be the right one. */

#include "base/error.h"
#include "config/config.h"
#include "stores/shared/server_uri.h"

enum smtp_tls {
    SMTP_TLS_FIRST,      /* smtps://: before anything is said */
    SMTP_TLS_NEXT,       /* STARTTLS, before anything of worth is said */
    SMTP_TLS_IF_OFFERED, /* the same, where the server offers it: on this machine */
    SMTP_TLS_NEVER,
};

struct smtp_settings {
    struct server_uri uri; /* host and port are set, nothing in it can break out of a command */
    enum smtp_tls tls;
    const char *ca_file; /* borrowed from the config; "": the system's authorities */
};

extern const struct config_option smtp_options[];

/* ERROR_BAD_INPUT names the option that is wrong, and never says what is in the URI. */
MUST_CHECK bool smtp_settings_load(const struct config *config, struct smtp_settings *out_settings,
                                   struct error *error);
