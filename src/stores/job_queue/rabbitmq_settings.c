#include "stores/job_queue/rabbitmq_settings.h"

#include "base/text.h"
#include "stores/shared/tls_probe.h"
#include <string.h>

#define PORT 5672
#define PORT_TLS 5671

struct options {
    const char *uri;
    const char *ca_file;
    bool needs_tls;
};

const struct config_option rabbitmq_options[] = {
    {
        .name = "rabbitmq.uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct options, uri, const char *),
        .standard = "",
        .help = "Where RabbitMQ is: amqps://USER:PASSWORD@HOST:5671/VHOST, or amqp:// without "
                "TLS. A / in the name of the virtual host is %2F; none is the host /.",
    },
    {
        .name = "rabbitmq.ca_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct options, ca_file, const char *),
        .standard = "",
        .help = "PEM file of the authorities that may have signed RabbitMQ's certificate. Empty: "
                "those of the system.",
    },
    {
        .name = "rabbitmq.tls",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct options, needs_tls, bool),
        .standard = "on",
        .help = "off: an amqp:// address may name another host too. Messages and the password can "
                "then be read on the way.",
    },
    {0},
};

static bool parse(const char *text, struct rabbitmq_settings *settings, struct error *error)
{
    struct server_uri *uri = &settings->uri;
    if (text[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "not set: name the broker, as amqps://USER:PASSWORD@HOST/");
    if (!server_uri_parse(text, uri, error))
        return false;
    settings->has_tls = strcmp(uri->scheme, "amqps") == 0;
    if (!settings->has_tls && strcmp(uri->scheme, "amqp") != 0)
        return error_set(error, ERROR_BAD_INPUT, "does not begin with amqps:// or amqp://");
    if (uri->user[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "names no user: amqps://USER:PASSWORD@HOST/");
    if (uri->port == 0)
        uri->port = settings->has_tls ? PORT_TLS : PORT;
    text_copy(settings->vhost, sizeof settings->vhost, uri->path[0] == '\0' ? "/" : uri->path);
    return true;
}

bool rabbitmq_settings_load(const struct config *config, struct rabbitmq_settings *out_settings,
                            struct error *error)
{
    struct options options = {0};
    struct rabbitmq_settings settings = {0};
    if (!config_load(config, rabbitmq_options, &options, error))
        return false;
    if (!parse(options.uri, &settings, error))
        return error_prefix(error, "rabbitmq.uri");
    if (!settings.has_tls && options.needs_tls && !server_uri_is_loopback(&settings.uri))
        return error_set(error, ERROR_BAD_INPUT,
                         "rabbitmq.uri: %.80s is another host, and without TLS all can be read on "
                         "the way: use amqps://, or set rabbitmq.tls=off",
                         settings.uri.host);
    if (settings.has_tls && options.ca_file[0] != '\0' &&
        !tls_check_ca_file("rabbitmq.ca_file", options.ca_file, error))
        return false;
    settings.ca_file = options.ca_file;
    *out_settings = settings;
    return true;
}
