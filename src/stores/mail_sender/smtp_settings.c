#include "stores/mail_sender/smtp_settings.h"

#include "stores/shared/tls_probe.h"
#include <ctype.h>
#include <string.h>

#define PORT 587     /* RFC 6409 */
#define PORT_TLS 465 /* RFC 8314 */

struct options {
    const char *uri;
    const char *ca_file;
    bool needs_tls;
};

const struct config_option smtp_options[] = {
    {
        .name = "smtp.uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct options, uri, const char *),
        .standard = "",
        .help = "Where the mail server is: smtp://USER:PASSWORD@HOST:587/NAME with STARTTLS, or "
                "smtps:// with TLS from the first byte, port 465. NAME is what it is greeted with: "
                "this host's own name where none is given.",
    },
    {
        .name = "smtp.ca_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct options, ca_file, const char *),
        .standard = "",
        .help = "PEM file of the authorities that may have signed the mail server's certificate. "
                "Empty: those of the system.",
    },
    {
        .name = "smtp.tls",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct options, needs_tls, bool),
        .standard = "on",
        .help = "off: an smtp:// address is talked to without STARTTLS. Mails and the password can "
                "then be read on the way.",
    },
    {0},
};

/* Of what becomes part of a URL or of a command. */
static bool is_host_name(const char *text)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(".-_:", *text) == NULL)
            return false;
    }
    return true;
}

static bool parse(const char *text, struct smtp_settings *settings, struct error *error)
{
    struct server_uri *uri = &settings->uri;
    if (text[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "not set: name the mail server, as smtp://USER:PASSWORD@HOST:587");
    if (!server_uri_parse(text, uri, error))
        return false;
    bool is_smtps = strcmp(uri->scheme, "smtps") == 0;
    if (!is_smtps && strcmp(uri->scheme, "smtp") != 0)
        return error_set(error, ERROR_BAD_INPUT, "does not begin with smtps:// or smtp://");
    if (!is_host_name(uri->host) || !is_host_name(uri->path))
        return error_set(error, ERROR_BAD_INPUT,
                         "its host, or the name after it, holds what no name of a host does");
    if (uri->port == 0)
        uri->port = is_smtps ? PORT_TLS : PORT;
    settings->tls = is_smtps ? SMTP_TLS_FIRST : SMTP_TLS_NEXT;
    return true;
}

/* What travels on this machine alone nobody else can read, or take STARTTLS out of. */
static enum smtp_tls choose_tls(const struct smtp_settings *settings, const struct options *options)
{
    if (settings->tls == SMTP_TLS_FIRST)
        return SMTP_TLS_FIRST;
    if (!options->needs_tls)
        return SMTP_TLS_NEVER;
    return server_uri_is_loopback(&settings->uri) ? SMTP_TLS_IF_OFFERED : SMTP_TLS_NEXT;
}

bool smtp_settings_load(const struct config *config, struct smtp_settings *out_settings,
                        struct error *error)
{
    struct options options = {0};
    struct smtp_settings settings = {0};
    if (!config_load(config, smtp_options, &options, error))
        return false;
    if (!parse(options.uri, &settings, error))
        return error_prefix(error, "smtp.uri");
    if (options.ca_file[0] != '\0' && !tls_check_ca_file("smtp.ca_file", options.ca_file, error))
        return false;
    settings.tls = choose_tls(&settings, &options);
    settings.ca_file = options.ca_file;
    *out_settings = settings;
    return true;
}
