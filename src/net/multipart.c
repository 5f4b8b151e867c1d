#include "net/multipart.h"

#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "\r\n--" and the boundary. */
#define DELIMITER_SIZE_MAX (4 + MULTIPART_BOUNDARY_SIZE_MAX)

enum state {
    STATE_START,     /* before the first boundary */
    STATE_DELIMITED, /* right after a boundary: CRLF begins a part, "--" ends the body */
    STATE_HEADERS,
    STATE_DATA,
    STATE_EPILOGUE, /* after the last boundary: ignored (RFC 2046 §5.1.1) */
    STATE_FAILED,
};

struct multipart {
    const struct multipart_handler *handler;
    void *context;
    size_t parts_max, part_count;
    char delimiter[DELIMITER_SIZE_MAX + 1];
    size_t delimiter_size;
    enum state state;

    /* What a piece ended in the middle of: the beginning of a delimiter (STATE_DATA: that many
     * bytes of `delimiter` itself), or the bytes of a line or header block. */
    size_t matched;
    char held[MULTIPART_HEADERS_SIZE_MAX + 1];
    size_t held_size;
};

/* ---- Parameters of headers ---- */

static bool is_boundary_character(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte != '\0' && strchr("'()+_,-./:=? ", byte) != NULL);
}

/* Where the value begins that a header's parameters give to a name: `; name=`, NULL where none. */
static const char *find_parameter(const char *header, const char *name)
{
    size_t size = strlen(name);
    const char *at = strchr(header, ';');
    while (at != NULL) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, name, size) == 0 && at[size] == '=')
            return at + size + 1;
        /* Over a quoted value, in which a semicolon is none. */
        at += strcspn(at, ";\"");
        if (*at == '"') {
            for (at++; *at != '\0' && *at != '"'; at++)
                at += *at == '\\' && at[1] != '\0';
            at += strcspn(at, ";");
        }
        if (*at == '\0')
            at = NULL;
    }
    return NULL;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;
    return found != NULL ? (int)((found - digits) % 16) : -1;
}

/* In a quoted string browsers write only these three so (WHATWG HTML, "multipart/form-data encoding
 * algorithm"); any other percent sign is one. */
static bool is_browser_escape(const char *at)
{
    return strncasecmp(at, "%22", 3) == 0 || strncasecmp(at, "%0d", 3) == 0 ||
           strncasecmp(at, "%0a", 3) == 0;
}

/* A token or a quoted string. Older clients escape by a backslash: only `\"` and `\\` are taken for
 * that, since Windows once sent whole paths. */
static bool copy_value(const char *value, char *out_text, size_t size)
{
    bool is_quoted = *value == '"';
    size_t count = 0;
    for (const char *at = value + is_quoted; *at != '\0'; at++) {
        char byte = *at;
        if (is_quoted ? byte == '"' : strchr("; \t", byte) != NULL) {
            out_text[count] = '\0';
            return true;
        }
        if (is_quoted && byte == '\\' && (at[1] == '"' || at[1] == '\\')) {
            byte = *++at;
        } else if (is_quoted && is_browser_escape(at)) {
            byte = (char)(hex_value(at[1]) * 16 + hex_value(at[2]));
            at += 2;
        }
        if (count + 1 == size)
            return false;
        out_text[count++] = byte;
    }
    out_text[count] = '\0';
    return !is_quoted;
}

/* RFC 8187 §3.2.1: UTF-8'language'percent-encoded. */
static bool copy_extended_value(const char *value, char *out_text, size_t size)
{
    if (strncasecmp(value, "UTF-8'", 6) != 0)
        return false;
    const char *at = strchr(value + 6, '\'');
    size_t count = 0;
    for (at = at != NULL ? at + 1 : ""; *at != '\0' && strchr("; \t", *at) == NULL; at++) {
        char byte = *at;
        if (byte == '%') {
            int high = hex_value(at[1]), low = high < 0 ? -1 : hex_value(at[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            byte = (char)(high * 16 + low);
            at += 2;
        }
        if (count + 1 == size)
            return false;
        out_text[count++] = byte;
    }
    out_text[count] = '\0';
    return count > 0;
}

/* Only the last segment: a client's folders are nobody's business. */
static void leave_out_path(char *file_name)
{
    for (const char *separators = "/\\"; *separators != '\0'; separators++) {
        char *last = strrchr(file_name, *separators);
        if (last != NULL)
            memmove(file_name, last + 1, strlen(last + 1) + 1);
    }
}

/* ---- Headers of a part ---- */

static bool parse_disposition(const char *value, struct multipart_part *part, struct error *error)
{
    size_t type_size = strcspn(value, "; \t");
    if (type_size != 9 || strncasecmp(value, "form-data", 9) != 0)
        return error_set(error, ERROR_BAD_INPUT, "a part of the form is not form-data");
    const char *name = find_parameter(value, "name");
    if (name == NULL || !copy_value(name, part->name, sizeof part->name))
        return error_set(error, ERROR_BAD_INPUT,
                         "a part of the form has no name, or a malformed or too long one");
    const char *file_name = find_parameter(value, "filename");
    if (file_name != NULL) {
        part->has_file_name = true;
        if (!copy_value(file_name, part->file_name, sizeof part->file_name))
            return error_set(error, ERROR_BAD_INPUT,
                             "a part of the form has a malformed or too long file name");
    }
    const char *extended = find_parameter(value, "filename*");
    char decoded[MULTIPART_NAME_SIZE];
    if (extended != NULL && copy_extended_value(extended, decoded, sizeof decoded)) {
        part->has_file_name = true;
        memcpy(part->file_name, decoded, strlen(decoded) + 1);
    }
    leave_out_path(part->file_name);
    return true;
}

static bool parse_header(char *line, struct multipart_part *part, struct error *error)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return error_set(error, ERROR_BAD_INPUT, "a part of the form has a malformed header");
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (strcasecmp(line, "Content-Disposition") == 0) {
        if (part->name[0] != '\0' || part->has_file_name)
            return error_set(error, ERROR_BAD_INPUT,
                             "a part of the form has two Content-Disposition headers");
        return parse_disposition(value, part, error);
    }
    if (strcasecmp(line, "Content-Type") == 0)
        text_copy(part->content_type, sizeof part->content_type, value);
    return true;
}

/* `held` is the block of headers, each line with its CRLF, without the empty one. */
static bool parse_headers(struct multipart *multipart, struct error *error)
{
    struct multipart_part part = {.name = ""};
    char *line = multipart->held;
    bool has_disposition = false;
    multipart->held[multipart->held_size] = '\0';
    if (strlen(multipart->held) != multipart->held_size)
        return error_set(error, ERROR_BAD_INPUT, "a header of the form has a NUL in it");
    for (char *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        *end = '\0';
        has_disposition |= strncasecmp(line, "Content-Disposition:", 20) == 0;
        if (!parse_header(line, &part, error))
            return false;
    }
    if (!has_disposition)
        return error_set(error, ERROR_BAD_INPUT, "a part of the form has no Content-Disposition");
    if (++multipart->part_count > multipart->parts_max)
        return error_set(error, ERROR_TOO_LARGE, "the form has more than %zu parts",
                         multipart->parts_max);
    multipart->held_size = 0;
    multipart->state = STATE_DATA;
    return multipart->handler->begin(multipart->context, &part);
}

/* ---- The scanner: each takes what it can from the piece and says how much that was ---- */

struct piece {
    const char *bytes;
    size_t size;
};

static void piece_skip(struct piece *piece, size_t size)
{
    piece->bytes += size;
    piece->size -= size;
}

static bool emit(struct multipart *multipart, const char *bytes, size_t size)
{
    if (size == 0 || multipart->state == STATE_START) /* a preamble is nobody's */
        return true;
    return multipart->handler->data(multipart->context, bytes, size);
}

static bool found_delimiter(struct multipart *multipart)
{
    bool is_part = multipart->state == STATE_DATA;
    multipart->matched = 0;
    multipart->held_size = 0;
    multipart->state = STATE_DELIMITED;
    return !is_part || multipart->handler->end(multipart->context);
}

/* The piece may go on with a delimiter that the last one began. Where it does not, what was held
 * back is data: a CR stands only at a delimiter's beginning, so that no other can begin in it. */
static bool resume_match(struct multipart *multipart, struct piece *piece)
{
    size_t left = multipart->delimiter_size - multipart->matched;
    size_t size = left < piece->size ? left : piece->size;
    if (memcmp(piece->bytes, multipart->delimiter + multipart->matched, size) != 0) {
        size_t matched = multipart->matched;
        multipart->matched = 0;
        return emit(multipart, multipart->delimiter, matched);
    }
    multipart->matched += size;
    piece_skip(piece, size);
    return multipart->matched < multipart->delimiter_size || found_delimiter(multipart);
}

static bool scan_data(struct multipart *multipart, struct piece *piece)
{
    if (multipart->matched > 0)
        return resume_match(multipart, piece);
    const char *start = piece->bytes, *end = start + piece->size, *at = start;
    while ((at = memchr(at, '\r', (size_t)(end - at))) != NULL) {
        size_t size = (size_t)(end - at);
        if (size > multipart->delimiter_size)
            size = multipart->delimiter_size;
        if (memcmp(at, multipart->delimiter, size) == 0) {
            if (!emit(multipart, start, (size_t)(at - start)))
                return false;
            piece_skip(piece, (size_t)(at - start) + size);
            multipart->matched = size;
            return size < multipart->delimiter_size || found_delimiter(multipart);
        }
        at++;
    }
    piece_skip(piece, piece->size);
    return emit(multipart, start, (size_t)(end - start));
}

/* "--" ends the body; spaces (RFC 2046 calls them transport padding) and CRLF begin a part. */
static bool scan_delimited(struct multipart *multipart, struct piece *piece, struct error *error)
{
    char byte = *piece->bytes;
    piece_skip(piece, 1);
    if (multipart->held_size == 0 && (byte == ' ' || byte == '\t'))
        return true;
    if (multipart->held_size == 0 && (byte == '-' || byte == '\r')) {
        multipart->held[multipart->held_size++] = byte;
        return true;
    }
    if (multipart->held_size == 1 && byte == (multipart->held[0] == '-' ? '-' : '\n')) {
        multipart->state = byte == '-' ? STATE_EPILOGUE : STATE_HEADERS;
        multipart->held_size = 0;
        return true;
    }
    return error_set(error, ERROR_BAD_INPUT, "a boundary of the form is malformed");
}

static bool held_ends_with(const struct multipart *multipart, const char *end)
{
    size_t size = strlen(end);
    return multipart->held_size >= size &&
           memcmp(multipart->held + multipart->held_size - size, end, size) == 0;
}

/* A line at a time, up to the empty one. */
static bool scan_headers(struct multipart *multipart, struct piece *piece, struct error *error)
{
    const char *newline = memchr(piece->bytes, '\n', piece->size);
    size_t size = newline != NULL ? (size_t)(newline + 1 - piece->bytes) : piece->size;
    if (size > MULTIPART_HEADERS_SIZE_MAX - multipart->held_size)
        return error_set(error, ERROR_TOO_LARGE,
                         "a part of the form has more than %d bytes of headers",
                         MULTIPART_HEADERS_SIZE_MAX);
    memcpy(multipart->held + multipart->held_size, piece->bytes, size);
    multipart->held_size += size;
    piece_skip(piece, size);
    if (newline == NULL)
        return true;
    if (!held_ends_with(multipart, "\r\n"))
        return error_set(error, ERROR_BAD_INPUT, "a line of the form does not end in CRLF");
    if (multipart->held_size > 2 && !held_ends_with(multipart, "\r\n\r\n"))
        return true;
    multipart->held_size -= 2;
    return parse_headers(multipart, error);
}

static bool scan(struct multipart *multipart, struct piece *piece, struct error *error)
{
    switch (multipart->state) {
    case STATE_START:
    case STATE_DATA:
        return scan_data(multipart, piece);
    case STATE_DELIMITED:
        return scan_delimited(multipart, piece, error);
    case STATE_HEADERS:
        return scan_headers(multipart, piece, error);
    case STATE_EPILOGUE:
        piece_skip(piece, piece->size);
        return true;
    case STATE_FAILED:
        break;
    }
    return error_set(error, ERROR_INTERNAL, "a form was fed after it failed");
}

bool multipart_feed(struct multipart *multipart, const void *bytes, size_t size,
                    struct error *error)
{
    struct piece piece = {bytes, size};
    while (piece.size > 0) {
        if (!scan(multipart, &piece, error)) {
            multipart->state = STATE_FAILED;
            return false;
        }
    }
    return true;
}

bool multipart_finish(struct multipart *multipart, struct error *error)
{
    if (multipart->state == STATE_EPILOGUE)
        return true;
    return error_set(error, ERROR_BAD_INPUT, "the form ends before its last boundary");
}

/* ---- Opening ---- */

bool multipart_is_content_type(const char *content_type)
{
    static const char wanted[] = "multipart/form-data";
    return content_type != NULL && strncasecmp(content_type, wanted, sizeof wanted - 1) == 0 &&
           strchr("; \t", content_type[sizeof wanted - 1]) != NULL;
}

bool multipart_open(const char *content_type, size_t parts_max,
                    const struct multipart_handler *handler, void *context,
                    struct multipart **out_multipart, struct error *error)
{
    char boundary[MULTIPART_BOUNDARY_SIZE_MAX + 1];
    const char *value =
        multipart_is_content_type(content_type) ? find_parameter(content_type, "boundary") : NULL;
    if (value == NULL || !copy_value(value, boundary, sizeof boundary) || boundary[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "the content type is no multipart/form-data with a boundary of 1 to %d "
                         "characters",
                         MULTIPART_BOUNDARY_SIZE_MAX);
    for (const char *at = boundary; *at != '\0'; at++) {
        if (!is_boundary_character(*at))
            return error_set(error, ERROR_BAD_INPUT, "the boundary of the form is malformed");
    }
    struct multipart *multipart = calloc(1, sizeof *multipart);
    if (multipart == NULL)
        abort();
    multipart->handler = handler;
    multipart->context = context;
    multipart->parts_max = parts_max;
    multipart->delimiter_size =
        (size_t)snprintf(multipart->delimiter, sizeof multipart->delimiter, "\r\n--%s", boundary);
    /* The first boundary may stand at the very beginning, as if a line had ended before it. */
    multipart->matched = 2;
    *out_multipart = multipart;
    return true;
}

void multipart_close(struct multipart *multipart)
{
    free(multipart);
}

void multipart_closep(struct multipart **multipart)
{
    multipart_close(*multipart);
}
