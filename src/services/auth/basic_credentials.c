#include "services/auth/basic_credentials.h"

#include "base/text.h"
#include <sodium.h>
#include <string.h>
#include <strings.h>

#define SCHEME "Basic"
#define DECODED_SIZE_MAX (CLAIMS_EMAIL_SIZE + ACCOUNTS_PASSWORD_SIZE_MAX + 1)

static const char *token_of(const char *header)
{
    size_t length = strlen(SCHEME);
    if (strncasecmp(header, SCHEME, length) != 0 || header[length] != ' ')
        return NULL;
    return header + length + strspn(header + length, " ");
}

static bool has_control(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f)
            return true;
    return false;
}

static bool take_pair(const char *pair, size_t size, struct basic_credentials *out)
{
    const char *colon = memchr(pair, ':', size);
    if (colon == NULL || has_control(pair, size) || !text_is_utf8(pair, size))
        return false;
    size_t email_size = (size_t)(colon - pair);
    size_t password_size = size - email_size - 1;
    if (email_size >= sizeof out->email || password_size >= sizeof out->password)
        return false;
    memcpy(out->email, pair, email_size);
    out->email[email_size] = '\0';
    memcpy(out->password, colon + 1, password_size);
    out->password[password_size] = '\0';
    return true;
}

bool basic_credentials_parse(const char *header, struct basic_credentials *out, struct error *error)
{
    basic_credentials_wipe(out);
    const char *token = token_of(header);
    if (token == NULL)
        return error_set(error, ERROR_BAD_INPUT, "not of the scheme Basic");
    char pair[DECODED_SIZE_MAX];
    size_t size = 0;
    const char *end = NULL;
    /* Clients are at odds about the padding; with and without it the bytes are the same. */
    size_t length = strlen(token);
    while (length != 0 && token[length - 1] == '=')
        length--;
    bool is_taken =
        strlen(token) - length <= 2 &&
        sodium_base642bin((unsigned char *)pair, sizeof pair, token, length, NULL, &size, &end,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
        end == token + length && take_pair(pair, size, out);
    sodium_memzero(pair, sizeof pair);
    return is_taken || error_set(error, ERROR_BAD_INPUT, "malformed Basic credentials");
}

void basic_credentials_wipe(struct basic_credentials *credentials)
{
    sodium_memzero(credentials, sizeof *credentials);
}
