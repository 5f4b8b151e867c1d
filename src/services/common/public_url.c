#include "services/common/public_url.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

struct public_url_settings {
    const char *public_url;
};

static bool check(const char *text, struct error *error)
{
    struct public_url url;
    return public_url_parse(text, &url, error);
}

const struct config_option public_url_options[] = {
    {
        .name = "gateway.public_url",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct public_url_settings, public_url, const char *),
        .standard = "",
        .check = check,
        .help = "What the links in emails begin with, such as https://tapedeck.example. Where it "
                "is not given, the gateway uses http:// and gateway.listen, and a notifier of its "
                "own writes mails without a link.",
    },
    {0},
};

static const char *after_scheme(const char *text)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (text_starts_with(text, schemes[i]))
            return text + strlen(schemes[i]);
    }
    return NULL;
}

/* All that may stand in the URL's host, port and path: it ends up in headers, mails and HTML. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 0x7f || strchr("\"'<>\\^`{|}?#@", c) != NULL)
            return false;
    }
    return true;
}

bool public_url_parse(const char *text, struct public_url *out_url, struct error *error)
{
    struct public_url url = {{0}};
    if (text[0] == '\0') {
        *out_url = url;
        return true;
    }
    const char *host = after_scheme(text);
    if (host == NULL)
        return error_set(error, ERROR_BAD_INPUT, "a public URL begins with http:// or https://");
    if (host[0] == '\0' || host[0] == '/' || host[0] == ':' || !is_plain(host))
        return error_set(error, ERROR_BAD_INPUT,
                         "a public URL is a host, a port and a path, without user, query or "
                         "fragment, such as https://tapedeck.example");
    if (!text_copy(url.text, sizeof url.text, text))
        return error_set(error, ERROR_BAD_INPUT, "a public URL of more than %zu bytes",
                         sizeof url.text - 1);
    for (size_t size = strlen(url.text); size > 0 && url.text[size - 1] == '/'; size--)
        url.text[size - 1] = '\0';
    *out_url = url;
    return true;
}

bool public_url_load(const struct config *config, struct public_url *out_url, struct error *error)
{
    struct public_url_settings settings = {0};
    if (!config_load(config, public_url_options, &settings, error))
        return false;
    if (!public_url_parse(settings.public_url, out_url, error))
        return error_prefix(error, "gateway.public_url");
    return true;
}

void public_url_conversion(const struct public_url *url, const struct id *conversion_id,
                           char out_link[PUBLIC_URL_LINK_SIZE])
{
    out_link[0] = '\0';
    if (url->text[0] != '\0')
        snprintf(out_link, PUBLIC_URL_LINK_SIZE, "%s/c/%s", url->text, conversion_id->text);
}
