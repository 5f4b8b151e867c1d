#include "net/range.h"

#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- Ranges ---- */

/* Digits only; past UINT64_MAX it is clamped, which is past every size as well. */
static bool parse_position(const char **at, uint64_t *out_position)
{
    const char *start = *at;
    uint64_t position = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (position > (UINT64_MAX - digit) / 10)
            position = UINT64_MAX;
        else
            position = position * 10 + digit;
        if (position == UINT64_MAX) {
            *at += strspn(*at, "0123456789");
            break;
        }
    }
    *out_position = position;
    return *at != start;
}

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* "bytes=0-9", "bytes=10-", "bytes=-5": false where it is none of these. */
static bool parse_single(const char *text, bool *out_has_first, uint64_t *out_first,
                         bool *out_has_last, uint64_t *out_last)
{
    if (strncasecmp(text, "bytes", 5) != 0)
        return false;
    const char *at = skip_space(text + 5);
    if (*at++ != '=')
        return false;
    at = skip_space(at);
    *out_has_first = parse_position(&at, out_first);
    if (*at++ != '-')
        return false;
    *out_has_last = parse_position(&at, out_last);
    return *skip_space(at) == '\0' && (*out_has_first || *out_has_last) &&
           (!*out_has_first || !*out_has_last || *out_first <= *out_last);
}

enum range_result range_parse(const char *range, const char *if_range, const char *etag,
                              uint64_t size, struct range *out_range)
{
    bool has_first, has_last;
    uint64_t first, last;
    *out_range = (struct range){0, size};
    if (range == NULL || (if_range != NULL && strcmp(if_range, etag) != 0) ||
        !parse_single(range, &has_first, &first, &has_last, &last))
        return RANGE_WHOLE;
    if (!has_first) { /* the last bytes */
        if (last == 0 || size == 0)
            return RANGE_UNSATISFIABLE;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else if (first >= size) {
        return RANGE_UNSATISFIABLE;
    } else if (!has_last || last >= size) {
        last = size - 1;
    }
    *out_range = (struct range){first, last - first + 1};
    return RANGE_PART;
}

void range_format(const struct range *range, uint64_t size, char out_text[RANGE_TEXT_SIZE])
{
    if (range == NULL)
        snprintf(out_text, RANGE_TEXT_SIZE, "bytes */%" PRIu64, size);
    else
        snprintf(out_text, RANGE_TEXT_SIZE, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->offset,
                 range->offset + range->length - 1, size);
}

/* ---- ETags ---- */

/* The next ETag of a list, with its quotes, weak or not; false at the end or at what is none. */
static bool next_etag(const char **at, const char **out_tag, size_t *out_size)
{
    *at += strspn(*at, " \t,");
    const char *start = *at + (strncmp(*at, "W/", 2) == 0 ? 2 : 0);
    const char *end = *start == '"' ? strchr(start + 1, '"') : NULL;
    if (end == NULL)
        return false;
    *out_tag = start;
    *out_size = (size_t)(end + 1 - start);
    *at = end + 1;
    return true;
}

bool etag_matches_weakly(const char *list, const char *etag)
{
    if (list == NULL)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    const char *tag;
    size_t size;
    while (next_etag(&list, &tag, &size)) {
        if (strlen(etag) == size && memcmp(etag, tag, size) == 0)
            return true;
    }
    return false;
}
