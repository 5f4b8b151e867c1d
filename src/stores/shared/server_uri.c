#include "stores/shared/server_uri.h"

#include "base/text.h"
#include <arpa/inet.h>
#include <string.h>

static bool fail(struct error *error, const char *problem)
{
    return error_set(error, ERROR_BAD_INPUT,
                     "not of the form scheme://user:password@host:port/path: %s", problem);
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* NUL cannot be meant: it would end the text. */
static bool decode(const char *text, size_t size, char out_text[SERVER_URI_PART_SIZE],
                   struct error *error)
{
    char decoded[SERVER_URI_PART_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            byte = low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (byte == 0)
            return fail(error, "% must be followed by two hex digits, and cannot stand for NUL");
        if (count == sizeof decoded - 1)
            return fail(error, "a part of it is longer than 255 bytes");
        decoded[count++] = (char)byte;
    }
    decoded[count] = '\0';
    memcpy(out_text, decoded, count + 1);
    return true;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static bool parse_address(const char *text, size_t size, struct server_uri *uri,
                          struct error *error)
{
    const char *end = text + size;
    const char *host_end = memchr(text, ':', size);
    if (size != 0 && text[0] == '[') {
        text++;
        host_end = memchr(text, ']', size - 1);
        if (host_end == NULL)
            return fail(error, "a [ has no ]");
    }
    if (host_end == NULL)
        host_end = end;
    if (!decode(text, (size_t)(host_end - text), uri->host, error))
        return false;
    if (uri->host[0] == '\0')
        return fail(error, "the host is missing");
    if (host_end != end && *host_end == ']')
        host_end++;
    if (host_end == end)
        return true;
    char port[8] = "";
    uint64_t number = 0;
    size_t port_size = (size_t)(end - host_end) - 1;
    if (*host_end == ':' && port_size < sizeof port)
        memcpy(port, host_end + 1, port_size);
    if (!text_parse_count(port, UINT16_MAX, &number, NULL) || number == 0)
        return fail(error, "the port must be a number from 1 to 65535");
    uri->port = (uint16_t)number;
    return true;
}

static bool parse_login(const char *text, size_t size, struct server_uri *uri, struct error *error)
{
    const char *colon = memchr(text, ':', size);
    size_t user_size = colon == NULL ? size : (size_t)(colon - text);
    return decode(text, user_size, uri->user, error) &&
           (colon == NULL || decode(colon + 1, size - user_size - 1, uri->password, error));
}

bool server_uri_parse(const char *text, struct server_uri *out_uri, struct error *error)
{
    struct server_uri uri = {0};
    const char *start = strstr(text, "://");
    if (start == NULL || start == text || (size_t)(start - text) >= sizeof uri.scheme)
        return fail(error, "the scheme is missing");
    memcpy(uri.scheme, text, (size_t)(start - text));
    start += strlen("://");
    if (strpbrk(start, "?#") != NULL)
        return fail(error, "? and # have no meaning here; in a password they are %3F and %23");
    size_t size = strcspn(start, "/");
    /* The last one: passwords are often pasted in as they are. */
    const char *at = memrchr(start, '@', size);
    if (at != NULL && !parse_login(start, (size_t)(at - start), &uri, error))
        return false;
    const char *address = at == NULL ? start : at + 1;
    const char *path = start + size;
    if (!parse_address(address, (size_t)(path - address), &uri, error) ||
        (*path == '/' && !decode(path + 1, strlen(path + 1), uri.path, error)))
        return false;
    *out_uri = uri;
    return true;
}

bool server_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (text_equals_ignoring_case(host, "localhost"))
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool server_uri_is_loopback(const struct server_uri *uri)
{
    return server_host_is_loopback(uri->host);
}
