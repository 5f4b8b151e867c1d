#include "base/text.h"

#include <assert.h>
#include <string.h>

#define REPLACEMENT_CHARACTER "\xef\xbf\xbd"

bool text_copy(char *out_text, size_t size, const char *text)
{
    assert(size != 0);
    size_t length = strnlen(text, size);
    bool fits = length < size;
    if (!fits) {
        length = size - 1;
        /* Back to the first byte of the character that the cut would split. */
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(out_text, text, length);
    out_text[length] = '\0';
    return fits;
}

static int lowercase(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

bool text_equals_ignoring_case(const char *a, const char *b)
{
    for (; lowercase(*a) == lowercase(*b); a++, b++)
        if (*a == '\0')
            return true;
    return false;
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The size that a first byte announces, the bits that it carries, and the smallest character that
 * may be written with so many bytes (RFC 3629 §3). */
static const struct utf8_form {
    unsigned char mask, lead;
    unsigned char size;
    uint32_t least;
} utf8_forms[] = {
    {0x80, 0x00, 1, 0x00},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static const struct utf8_form *utf8_form_of(unsigned char first)
{
    for (size_t i = 0; i < ARRAY_COUNT(utf8_forms); i++)
        if ((first & utf8_forms[i].mask) == utf8_forms[i].lead)
            return &utf8_forms[i];
    return NULL;
}

/* The bytes that the first character takes, 0 where they are not UTF-8. */
static size_t utf8_decode(const unsigned char *bytes, size_t size, uint32_t *out_character)
{
    const struct utf8_form *form = utf8_form_of(bytes[0]);
    if (form == NULL || form->size > size)
        return 0;
    uint32_t character = bytes[0] & (unsigned char)~form->mask;
    for (size_t i = 1; i < form->size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < form->least || character > 0x10ffff || is_surrogate)
        return 0;
    *out_character = character;
    return form->size;
}

bool text_is_utf8(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size != 0) {
        uint32_t character;
        size_t used = utf8_decode(at, size, &character);
        if (used == 0)
            return false;
        at += used;
        size -= used;
    }
    return true;
}

static bool is_left_out(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     /* C0 */
        {0x7f, 0x9f},     /* DEL, C1 */
        {0x61c, 0x61c},   /* Arabic letter mark */
        {0x200e, 0x200f}, /* left-to-right and right-to-left mark */
        {0x2028, 0x202e}, /* ends of lines and paragraphs; embeddings and overrides */
        {0x2066, 0x2069}, /* isolates */
    };
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

bool text_is_clean(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size != 0) {
        uint32_t character = 0;
        size_t used = utf8_decode(at, size, &character);
        if (used == 0 || is_left_out(character))
            return false;
        at += used;
        size -= used;
    }
    return true;
}

bool text_clean(const void *bytes, size_t size, struct buffer *out_text, struct error *error)
{
    size_t size_before = out_text->size;
    const unsigned char *at = bytes;
    while (size != 0) {
        uint32_t character = 0;
        size_t used = utf8_decode(at, size, &character);
        bool added = true;
        if (used == 0)
            added = buffer_append_text(out_text, REPLACEMENT_CHARACTER, error);
        else if (!is_left_out(character))
            added = buffer_append(out_text, at, used, error);
        if (!added) {
            buffer_truncate(out_text, size_before);
            return false;
        }
        used += used == 0;
        at += used;
        size -= used;
    }
    return true;
}

static bool parts_words(char byte)
{
    return byte >= '\t' && byte <= '\r';
}

bool text_clean_lines(const void *bytes, size_t size, struct buffer *out_text, struct error *error)
{
    const char *at = bytes;
    size_t size_before = out_text->size;
    for (size_t begin = 0, end = 0; begin < size; begin = end + 1) {
        for (end = begin; end < size && !parts_words(at[end]);)
            end++;
        bool is_apart = out_text->size > size_before && end > begin;
        if ((is_apart && !buffer_append_text(out_text, " ", error)) ||
            !text_clean(at + begin, end - begin, out_text, error)) {
            buffer_truncate(out_text, size_before);
            return false;
        }
    }
    return true;
}

static const char *html_reference(char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

bool text_escape_html(const char *text, struct buffer *out_text, struct error *error)
{
    size_t size_before = out_text->size;
    for (const char *at = text; *at != '\0'; at++) {
        const char *reference = html_reference(*at);
        bool added = reference != NULL ? buffer_append_text(out_text, reference, error)
                                       : buffer_append(out_text, at, 1, error);
        if (!added) {
            buffer_truncate(out_text, size_before);
            return false;
        }
    }
    return true;
}

bool text_escape_terminal(const char *text, struct buffer *out_text, struct error *error)
{
    size_t size_before = out_text->size;
    size_t used;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at += used) {
        uint32_t character = 0;
        size_t size = utf8_decode(at, strlen((const char *)at), &character);
        bool is_shown = size != 0 && !is_left_out(character);
        used = size != 0 ? size : 1;
        bool added = !is_shown || buffer_append(out_text, at, used, error);
        for (size_t i = 0; !is_shown && added && i < used; i++)
            added = buffer_append_format(out_text, error, "\\x%02x", at[i]);
        if (!added) {
            buffer_truncate(out_text, size_before);
            return false;
        }
    }
    return true;
}

static bool is_unreserved(unsigned char byte)
{
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool is_digit = byte >= '0' && byte <= '9';
    return is_letter || is_digit || (byte != '\0' && strchr("-._~", byte) != NULL);
}

bool text_escape_percent(const char *text, struct buffer *out_text, struct error *error)
{
    size_t size_before = out_text->size;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool added = is_unreserved(byte) ? buffer_append(out_text, at, 1, error)
                                         : buffer_append_format(out_text, error, "%%%02X", byte);
        if (!added) {
            buffer_truncate(out_text, size_before);
            return false;
        }
    }
    return true;
}
