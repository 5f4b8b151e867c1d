#include "base/log.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A longer line is cut: whoever sends us long names must not fill the disk. */
#define LINE_SIZE_MAX 4096

static const char *service_name;
static _Atomic int level_max = LOG_LEVEL_INFO;
static _Thread_local char request_id[64];

struct line {
    char bytes[LINE_SIZE_MAX];
    size_t size;
};

void log_open(const char *service, enum log_level level)
{
    service_name = service;
    atomic_store(&level_max, (int)level);
}

void log_request_set(const char *new_request_id)
{
    snprintf(request_id, sizeof request_id, "%s", new_request_id != NULL ? new_request_id : "");
}

const char *log_request(void)
{
    return request_id;
}

static void line_add(struct line *line, const char *bytes, size_t size)
{
    /* One byte stays free for the final newline. */
    size_t room = sizeof line->bytes - 1 - line->size;
    if (size > room)
        size = room;
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
}

static void line_format(struct line *line, const char *format, ...) PRINTF_FORMAT(2, 3);

static void line_format(struct line *line, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size > 0)
        line_add(line, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

static bool is_plain(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte <= ' ' || byte == '"' || byte == '=' || byte == '\\' || byte >= 0x7f)
            return false;
    }
    return text[0] != '\0';
}

/* Everything outside printable ASCII is escaped: control and bidirectional characters are what a
 * terminal could be tricked with, and a log is read on terminals. */
static void line_add_quoted(struct line *line, const char *text)
{
    line_add(line, "\"", 1);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\')
            line_format(line, "\\%c", byte);
        else if (byte == '\n')
            line_add(line, "\\n", 2);
        else if (byte < ' ' || byte >= 0x7f)
            line_format(line, "\\x%02x", byte);
        else
            line_add(line, at, 1);
    }
    line_add(line, "\"", 1);
}

static void line_add_field(struct line *line, const struct log_field *field)
{
    if (field->type == LOG_FIELD_TEXT && field->text == NULL)
        return;
    line_format(line, " %s=", field->name);
    switch (field->type) {
    case LOG_FIELD_TEXT:
        if (is_plain(field->text))
            line_add(line, field->text, strlen(field->text));
        else
            line_add_quoted(line, field->text);
        break;
    case LOG_FIELD_NUMBER:
        line_format(line, "%" PRId64, field->number);
        break;
    case LOG_FIELD_REAL:
        line_format(line, "%.3f", field->real);
        break;
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned field_count)
{
    static const char *const level_names[] = {"error", "warning", "info", "debug"};
    if ((int)level > atomic_load(&level_max))
        return;

    struct line line = {.size = 0};
    char now[CLOCK_TEXT_SIZE];
    clock_format_milliseconds(clock_wall_ms(), now);
    line_format(&line, "time=%s level=%s", now, level_names[level]);
    line_add_field(&line, &FIELD_TEXT("service", service_name));
    if (request_id[0] != '\0')
        line_add_field(&line, &FIELD_TEXT("request", request_id));
    line_add_field(&line, &FIELD_TEXT("event", event));
    for (unsigned i = 0; i < field_count; i++)
        line_add_field(&line, &fields[i]);
    line.bytes[line.size++] = '\n';

    /* A log that cannot be written is nothing that the work should stop for. */
    ssize_t written = write(STDERR_FILENO, line.bytes, line.size);
    (void)written;
}
