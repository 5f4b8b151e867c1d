#include "commands/csv.h"

#include <string.h>

void csv_init(struct csv *csv, const void *bytes, size_t size)
{
    *csv = (struct csv){.bytes = bytes, .size = size, .line = 1};
    if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        csv->at = 3;
}

static bool is_at_end(const struct csv *csv)
{
    return csv->at == csv->size;
}

/* LF or CR LF; a CR alone is a byte of a field. */
static size_t line_end_size(const struct csv *csv)
{
    const char *at = csv->bytes + csv->at;
    size_t left = csv->size - csv->at;
    if (left >= 1 && at[0] == '\n')
        return 1;
    return left >= 2 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

static bool skip_line_end(struct csv *csv)
{
    size_t size = line_end_size(csv);
    csv->at += size;
    csv->line += size != 0;
    return size != 0;
}

/* The row that is being made, and how much of its text is used. */
struct build {
    struct csv_row *row;
    size_t size;
};

static bool add_byte(struct build *build, char byte, struct error *error)
{
    if (build->size == CSV_ROW_SIZE)
        return error_set(error, ERROR_TOO_LARGE, "a row of more than %d bytes (a quote too many?)",
                         CSV_ROW_SIZE);
    build->row->text[build->size++] = byte;
    return true;
}

static bool read_quoted(struct csv *csv, struct build *build, struct error *error)
{
    csv->at++;
    for (; !is_at_end(csv); csv->at++) {
        char byte = csv->bytes[csv->at];
        if (byte == '"') {
            csv->at++;
            if (is_at_end(csv) || csv->bytes[csv->at] != '"')
                return true;
        }
        if (byte == '\0')
            return error_set(error, ERROR_BAD_INPUT, "a NUL byte: this is no text file");
        csv->line += byte == '\n';
        if (!add_byte(build, byte, error))
            return false;
    }
    return error_set(error, ERROR_BAD_INPUT, "a quote that is never closed");
}

static bool read_plain(struct csv *csv, struct build *build, struct error *error)
{
    for (; !is_at_end(csv) && line_end_size(csv) == 0; csv->at++) {
        char byte = csv->bytes[csv->at];
        if (byte == ',')
            break;
        if (byte == '"')
            return error_set(error, ERROR_BAD_INPUT,
                             "a quote inside a field: quote the whole field, and double the quote");
        if (byte == '\0')
            return error_set(error, ERROR_BAD_INPUT, "a NUL byte: this is no text file");
        if (!add_byte(build, byte, error))
            return false;
    }
    return true;
}

static bool read_field(struct csv *csv, struct build *build, struct error *error)
{
    if (build->row->field_count == CSV_FIELDS_MAX)
        return error_set(error, ERROR_TOO_LARGE, "more than %d fields", CSV_FIELDS_MAX);
    build->row->fields[build->row->field_count++] = build->row->text + build->size;
    bool is_quoted = !is_at_end(csv) && csv->bytes[csv->at] == '"';
    if (is_quoted ? !read_quoted(csv, build, error) : !read_plain(csv, build, error))
        return false;
    return add_byte(build, '\0', error);
}

static bool read_row(struct csv *csv, struct build *build, struct error *error)
{
    for (;;) {
        if (!read_field(csv, build, error))
            return false;
        if (is_at_end(csv) || skip_line_end(csv))
            return true;
        if (csv->bytes[csv->at] != ',')
            return error_set(error, ERROR_BAD_INPUT,
                             "something between a closing quote and the "
                             "next comma");
        csv->at++;
    }
}

/* From the row's first line on, not from where the mistake was seen: a quote that is never closed
 * has swallowed the good lines after it. */
static void skip_first_line_of(struct csv *csv, size_t row_at, uint64_t line)
{
    const char *end = memchr(csv->bytes + row_at, '\n', csv->size - row_at);
    csv->at = end != NULL ? (size_t)(end - csv->bytes) + 1 : csv->size;
    csv->line = line + 1;
}

enum csv_result csv_next(struct csv *csv, struct csv_row *out_row, struct error *error)
{
    while (skip_line_end(csv))
        continue;
    if (is_at_end(csv))
        return CSV_END;
    size_t row_at = csv->at;
    out_row->line = csv->line;
    out_row->field_count = 0;
    struct build build = {.row = out_row};
    if (read_row(csv, &build, error))
        return CSV_ROW;
    skip_first_line_of(csv, row_at, out_row->line);
    return CSV_BAD;
}
