#include "services/notifier/mail_encode.h"

#include "base/text.h"
#include <stdint.h>
#include <string.h>

#define HEADER_PLAIN_MAX 60 /* bytes of a value that needs neither encoding nor folding */
/* 52 base64 digits and 12 around them: with "Reply-To: " before it, under the 76 that a line with
 * an encoded word may have (RFC 2047 §2). */
#define ENCODED_WORD_BYTES 39
#define BODY_LINE_MAX 76 /* RFC 2045 §6.7, with the soft break's "=" */

/* ---- Addresses ---- */

static bool is_above_ascii(unsigned char c)
{
    return c >= 0x80;
}

static bool is_alphanumeric(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_of(const char *text, size_t size, const char *more)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!is_alphanumeric(c) && !is_above_ascii(c) && strchr(more, c) == NULL)
            return false;
    }
    return size > 0;
}

static bool is_address(const char *text)
{
    size_t size = strlen(text);
    const char *at = strchr(text, '@');
    if (at == NULL || size >= MAIL_ADDRESS_SIZE || !text_is_clean(text, size))
        return false;
    return is_of(text, (size_t)(at - text), "!#$%&'*+-/=?^_`{|}~.") &&
           is_of(at + 1, strlen(at + 1), ".-[]:");
}

static bool split_name(const char *text, struct mail_address *out, const char **out_address)
{
    const char *open = strrchr(text, '<');
    if (open == NULL) {
        *out_address = text;
        return true;
    }
    size_t name_size = (size_t)(open - text);
    while (name_size > 0 && text[name_size - 1] == ' ')
        name_size--;
    if (name_size >= sizeof out->name || !text_is_clean(text, name_size))
        return false;
    memcpy(out->name, text, name_size);
    *out_address = open + 1;
    return true;
}

bool mail_address_parse(const char *text, struct mail_address *out_address, struct error *error)
{
    struct mail_address parsed = {{0}, {0}};
    const char *address = NULL;
    bool is_good = split_name(text, &parsed, &address) &&
                   text_copy(parsed.address, sizeof parsed.address, address);
    size_t size = strlen(parsed.address);
    if (is_good && address != text) {
        is_good = size > 0 && parsed.address[size - 1] == '>';
        if (is_good)
            parsed.address[size - 1] = '\0';
    }
    if (!is_good || !is_address(parsed.address))
        return error_set(error, ERROR_BAD_INPUT, "not an email address that mail can be sent to");
    *out_address = parsed;
    return true;
}

const char *mail_address_domain(const struct mail_address *address)
{
    const char *at = strchr(address->address, '@');
    return at == NULL ? "" : at + 1;
}

/* ---- Headers ---- */

static bool append_base64(struct buffer *mail, const unsigned char *bytes, size_t size,
                          struct error *error)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (i + 1 < size)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size)
            group |= bytes[i + 2];
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
        if (i + 1 < size)
            four[2] = digits[group >> 6 & 63];
        if (i + 2 < size)
            four[3] = digits[group & 63];
        if (!buffer_append(mail, four, sizeof four, error))
            return false;
    }
    return true;
}

/* As many whole characters as fit one encoded word: a reader decodes each word by itself. */
static size_t word_size(const char *text, size_t size)
{
    if (size <= ENCODED_WORD_BYTES)
        return size;
    size_t end = ENCODED_WORD_BYTES;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    return end > 0 ? end : ENCODED_WORD_BYTES;
}

static bool append_encoded_words(struct buffer *mail, const char *text, struct error *error)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t size = word_size(text, left);
        if (!buffer_append_text(mail, "=?UTF-8?B?", error) ||
            !append_base64(mail, (const unsigned char *)text, size, error) ||
            !buffer_append_text(mail, "?=", error))
            return false;
        text += size;
        left -= size;
        /* The space that folds between two encoded words is not part of the text (RFC 2047 §6.2).
         */
        if (left > 0 && !buffer_append_text(mail, "\r\n ", error))
            return false;
    }
    return true;
}

static bool is_plain_text(const char *text)
{
    if (strlen(text) > HEADER_PLAIN_MAX || strstr(text, "=?") != NULL)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

bool mail_header_text(struct buffer *mail, const char *name, const char *value, struct error *error)
{
    return buffer_append_format(mail, error, "%s: ", name) &&
           (is_plain_text(value) ? buffer_append_text(mail, value, error)
                                 : append_encoded_words(mail, value, error)) &&
           buffer_append_text(mail, "\r\n", error);
}

static bool append_quoted_string(struct buffer *mail, const char *text, struct error *error)
{
    if (!buffer_append_text(mail, "\"", error))
        return false;
    for (; *text != '\0'; text++) {
        if ((*text == '"' || *text == '\\') && !buffer_append_text(mail, "\\", error))
            return false;
        if (!buffer_append(mail, text, 1, error))
            return false;
    }
    return buffer_append_text(mail, "\"", error);
}

static bool append_name(struct buffer *mail, const char *name, struct error *error)
{
    if (name[0] == '\0')
        return true;
    if (is_plain_text(name))
        return append_quoted_string(mail, name, error) && buffer_append_text(mail, " ", error);
    return append_encoded_words(mail, name, error) && buffer_append_text(mail, "\r\n ", error);
}

bool mail_header_address(struct buffer *mail, const char *name, const struct mail_address *address,
                         struct error *error)
{
    return buffer_append_format(mail, error, "%s: ", name) &&
           append_name(mail, address->name, error) &&
           buffer_append_format(mail, error, "<%s>\r\n", address->address);
}

/* ---- Bodies ---- */

static bool needs_escape(const char *text, size_t at, size_t size, size_t column)
{
    unsigned char c = (unsigned char)text[at];
    bool is_last = at + 1 == size || text[at + 1] == '\n';
    if (c == ' ')
        return is_last;
    if (c < ' ' || c > '~' || c == '=')
        return true;
    if (column != 0)
        return false;
    /* What a mail server, or a mailbox, would take for its own. */
    return c == '.' || (c == 'F' && size - at >= 5 && memcmp(text + at, "From ", 5) == 0);
}

bool mail_quoted_printable(struct buffer *mail, const char *text, size_t size, struct error *error)
{
    size_t column = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            if (!buffer_append_text(mail, "\r\n", error))
                return false;
            column = 0;
            continue;
        }
        bool is_escaped = needs_escape(text, i, size, column);
        if (column + (is_escaped ? 3 : 1) > BODY_LINE_MAX - 1) {
            if (!buffer_append_text(mail, "=\r\n", error))
                return false;
            column = 0;
            is_escaped = needs_escape(text, i, size, column);
        }
        bool is_added = is_escaped ? buffer_append_format(mail, error, "=%02X",
                                                          (unsigned)(unsigned char)text[i])
                                   : buffer_append(mail, &text[i], 1, error);
        if (!is_added)
            return false;
        column += is_escaped ? 3 : 1;
    }
    return true;
}
