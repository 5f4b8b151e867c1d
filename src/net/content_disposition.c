#include "net/content_disposition.h"

#include "base/text.h"
#include <string.h>

/* Three times this, as %XX, is well below CONTENT_DISPOSITION_SIZE_MAX. */
#define NAME_SIZE 256

/* What every client understands the same: RFC 6266 §4.3 and appendix D. */
static bool is_plain(char byte)
{
    return byte >= ' ' && byte < 0x7f && strchr("\"\\/%", byte) == NULL;
}

/* One '_' for each character that is not plain, however many bytes it has. */
static bool make_plain(const char *name, char out_plain[NAME_SIZE])
{
    bool is_same = true;
    size_t size = 0;
    for (const char *at = name; *at != '\0'; at++) {
        bool is_continuation = ((unsigned char)*at & 0xc0) == 0x80;
        if (!is_plain(*at)) {
            is_same = false;
            if (is_continuation)
                continue;
        }
        out_plain[size++] = is_plain(*at) ? *at : '_';
    }
    out_plain[size] = '\0';
    return is_same;
}

bool content_disposition_format(const char *file_name, struct buffer *out_value,
                                struct error *error)
{
    char name[NAME_SIZE], plain[NAME_SIZE];
    text_copy(name, sizeof name, file_name);
    bool is_same = make_plain(name, plain);
    if (!buffer_append_format(out_value, error, "attachment; filename=\"%s\"", plain))
        return false;
    if (is_same || !text_is_utf8(name, strlen(name)))
        return true;
    return buffer_append_text(out_value, "; filename*=UTF-8''", error) &&
           text_escape_percent(name, out_value, error);
}
