#include "services/gateway/settings.h"

#include "base/clock.h"
#include "net/http_address.h"
#include "net/http_client.h"

#define CONNECTIONS_MAX 100000

const struct config_option gateway_options[] = {
    {
        .name = "gateway.listen",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct gateway_settings, listen, const char *),
        .standard = "127.0.0.1:8080",
        .check = http_address_check,
        .help = "Where clients are served: address:port, [v6]:port or unix:/path. Port 0 picks "
                "one; the log line `listening` names it.",
    },
    {
        .name = "gateway.auth_url",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct gateway_settings, auth_url, const char *),
        .standard = "http://127.0.0.1:5000",
        .check = http_client_check_url,
        .help = "Where auth is: http://host:port, https://host:port or unix:/path.",
    },
    {
        .name = "gateway.auth_ca_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct gateway_settings, auth_ca_file, const char *),
        .standard = "",
        .help = "PEM file of the authorities that may have signed the certificate behind an "
                "https:// gateway.auth_url. Empty: those of the system.",
    },
    {
        .name = "gateway.auth_interval",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct gateway_settings, auth_interval_ms, int64_t),
        .standard = "10s",
        .least = 50,
        .most = 25 * (uint64_t)CLOCK_SECOND_MS, /* ended within 30 s, an answer's time included */
        .help = "How often auth is asked whose tokens have been ended, and how soon again for its "
                "keys when one is unknown.",
    },
    {
        .name = "gateway.threads",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct gateway_settings, threads, uint64_t),
        .standard = "16",
        .least = 4,
        .most = 256,
        .help = "Threads that wait for stores and disks on behalf of requests.",
    },
    {
        .name = "gateway.connections_max",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct gateway_settings, connections_max, uint64_t),
        .standard = "2000",
        .least = 1,
        .most = CONNECTIONS_MAX,
        .help =
            "Connections open at once. Near it, those that have asked for nothing for the longest "
            "time are closed for new ones; where there are none of these, clients wait.",
    },
    {
        .name = "gateway.trust_forwarded_for",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct gateway_settings, trusts_forwarded_for, bool),
        .standard = "off",
        .help = "Take a client's address from the last entry of X-Forwarded-For. Only where a "
                "proxy in front sets it and nobody else can reach the gateway.",
    },
    {0},
};
