#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct buffer *buffer, size_t size)
{
    if (buffer->capacity > size)
        return;
    size_t capacity = buffer->capacity != 0 ? buffer->capacity : 256;
    while (capacity <= size)
        capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        abort();
    buffer->bytes = bytes;
    buffer->capacity = capacity;
}

static bool make_room(struct buffer *buffer, size_t size, struct error *error)
{
    if (size > buffer->size_max - buffer->size)
        return error_set(error, ERROR_TOO_LARGE, "more than %zu bytes", buffer->size_max);
    reserve(buffer, buffer->size + size);
    return true;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t size, struct error *error)
{
    if (!make_room(buffer, size, error))
        return false;
    if (size != 0)
        memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    buffer->bytes[buffer->size] = '\0';
    return true;
}

bool buffer_append_text(struct buffer *buffer, const char *text, struct error *error)
{
    return buffer_append(buffer, text, strlen(text), error);
}

bool buffer_append_format(struct buffer *buffer, struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);

    bool fits = size >= 0 && make_room(buffer, (size_t)size, error);
    if (fits) {
        vsnprintf(buffer->bytes + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
    return fits;
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size = size;
    if (buffer->bytes != NULL)
        buffer->bytes[size] = '\0';
}

void buffer_clear(struct buffer *buffer)
{
    buffer_truncate(buffer, 0);
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->bytes != NULL ? buffer->bytes : "";
}

void buffer_finish(struct buffer *buffer)
{
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
}
