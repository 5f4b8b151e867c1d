#pragma once

/* One logfmt line per event, to standard error:
 *
 *   time=2026-11-24T10:00:00.123Z level=info service=gateway request=9f… event="upload stored"
 * size_bytes=42
 *
 * Levels: error = someone should look; warning = handled, but unusual; info = one line per request
 * or job; debug = off unless asked for. Lower layers return errors; services log, once, where it is
 * decided what happens next. Never log passwords, tokens, Authorization or bodies.
 *
 * Safe from any thread; a line is one write(2), so that lines of several processes do not mix. */

#include "base/compiler.h"
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_field_type { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_REAL };

struct log_field {
    const char *name;
    enum log_field_type type;
    const char *text; /* borrowed for the call; NULL leaves the field out */
    int64_t number;
    double real;
};

#define FIELD_TEXT(field_name, value)                                                              \
    ((struct log_field){.name = (field_name), .type = LOG_FIELD_TEXT, .text = (value)})
#define FIELD_COUNT(field_name, value)                                                             \
    ((struct log_field){.name = (field_name), .type = LOG_FIELD_NUMBER, .number = (int64_t)(value)})
#define FIELD_REAL(field_name, value)                                                              \
    ((struct log_field){.name = (field_name), .type = LOG_FIELD_REAL, .real = (value)})

/* Which process this is: on every line from then on. Once, before any thread starts. `service` must
 * outlive the process's last line; NULL leaves the field out. */
void log_open(const char *service, enum log_level level);

/* The request that this thread works for, on every line of this thread until it is changed; copied,
 * cut to 63 bytes; NULL or "" for none. */
void log_request_set(const char *request_id);
const char *log_request(void); /* "" for none */

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned field_count);

/* The empty first element lets an event without fields be an array too. */
#define LOG_EVENT(level, event, ...)                                                               \
    do {                                                                                           \
        const struct log_field log_fields[] = {{0}, __VA_ARGS__};                                  \
        log_write((level), (event), log_fields + 1, (unsigned)ARRAY_COUNT(log_fields) - 1);        \
    } while (0)

/* log_warning("handed back", FIELD_TEXT("conversion", id.text), FIELD_COUNT("attempts", 2)); */
#define log_error(...) LOG_EVENT(LOG_LEVEL_ERROR, __VA_ARGS__, )
#define log_warning(...) LOG_EVENT(LOG_LEVEL_WARNING, __VA_ARGS__, )
#define log_info(...) LOG_EVENT(LOG_LEVEL_INFO, __VA_ARGS__, )
#define log_debug(...) LOG_EVENT(LOG_LEVEL_DEBUG, __VA_ARGS__, )
