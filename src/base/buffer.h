#pragma once

/* Bytes that grow up to a maximum given at birth. There is always a NUL after the last byte, so
 * that text can be read in place. Out of memory below the maximum aborts. */

#include "base/error.h"
#include <stddef.h>

struct buffer {
    char *bytes; /* owned; NULL until the first byte */
    size_t size;
    size_t size_max;
    size_t capacity;
};

#define BUFFER_WITH_MAX(maximum) ((struct buffer){.size_max = (maximum)})

/* ERROR_TOO_LARGE past the maximum: nothing is added then. */
MUST_CHECK bool buffer_append(struct buffer *buffer, const void *bytes, size_t size,
                              struct error *error);
MUST_CHECK bool buffer_append_text(struct buffer *buffer, const char *text, struct error *error);
MUST_CHECK bool buffer_append_format(struct buffer *buffer, struct error *error, const char *format,
                                     ...) PRINTF_FORMAT(3, 4);

void buffer_clear(struct buffer *buffer); /* keeps the memory */
/* Back to an earlier size: how an append of several steps takes itself back. */
void buffer_truncate(struct buffer *buffer, size_t size);
const char *buffer_text(const struct buffer *buffer); /* "" where nothing was added */
void buffer_finish(struct buffer *buffer);            /* frees; the buffer can be used again */
