#include "media/input.h"

#include "model/failure.h"
#include <inttypes.h>
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>

/* What libavformat holds itself, and the shortest range that is asked for. In an MP4 whose video is
 * skipped, what is read beyond a piece of sound is read for nothing; in a format that is read from
 * end to end, a long range costs less a byte. So a range grows as long as the last one was read to
 * its end, and starts small again after a jump. */
#define CONTEXT_SIZE 32768
#define RANGE_SIZE_MIN 32768
#define RANGE_SIZE_MAX 262144

/* Reading the input this many times over is more than any honest file asks for. */
#define READ_FACTOR_MAX 16
#define READ_BYTES_FREE (UINT64_C(64) << 20)

/* No file is so long. Whoever seeks past it was told of an end that nobody knew, as in a WAV that
 * was written into a pipe, and can do without. */
#define OFFSET_MAX (INT64_C(1) << 62)

struct input {
    const struct media_io *io; /* borrowed */
    AVIOContext *context;      /* owned */
    uint64_t position;

    unsigned char *cache; /* owned; RANGE_SIZE_MAX bytes */
    uint64_t cache_offset;
    size_t cache_size;
    size_t range_size;
    uint64_t end_seen; /* as far as there are bytes for sure */
    uint64_t read_bytes;
    bool was_read_past_end;

    bool has_failed;
    struct error error;
};

static bool is_cached(const struct input *input)
{
    return input->position >= input->cache_offset &&
           input->position - input->cache_offset < input->cache_size;
}

static bool is_read_too_often(const struct input *input)
{
    return input->read_bytes > READ_BYTES_FREE &&
           (input->read_bytes - READ_BYTES_FREE) / READ_FACTOR_MAX > input->end_seen;
}

/* Nothing is at the position. Where the byte before it is there, that is the end: many formats skip
 * their last piece without reading it. */
static bool note_end(struct input *input)
{
    unsigned char byte;
    size_t size = 0;
    if (input->position <= input->end_seen)
        return true;
    if (!input->io->read_at(input->io->context, input->position - 1, &byte, 1, &size,
                            &input->error))
        return false;
    if (size == 0)
        input->was_read_past_end = true;
    else
        input->end_seen = input->position;
    return true;
}

static bool load(struct input *input)
{
    bool is_next = input->position == input->cache_offset + input->cache_size;
    input->range_size = is_next ? input->range_size * 2 : RANGE_SIZE_MIN;
    if (input->range_size > RANGE_SIZE_MAX)
        input->range_size = RANGE_SIZE_MAX;

    input->cache_offset = input->position;
    input->cache_size = 0;
    if (is_read_too_often(input))
        return error_set_failure(&input->error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                 "%" PRIu64 " bytes read of an input of %" PRIu64,
                                 input->read_bytes, input->end_seen);
    if (!input->io->read_at(input->io->context, input->position, input->cache, input->range_size,
                            &input->cache_size, &input->error))
        return false;
    if (input->cache_size == 0)
        return note_end(input);
    input->read_bytes += input->cache_size;
    if (input->cache_offset + input->cache_size > input->end_seen)
        input->end_seen = input->cache_offset + input->cache_size;
    return true;
}

static int read_packet(void *opaque, uint8_t *bytes, int size)
{
    struct input *input = opaque;
    if (input->has_failed)
        return AVERROR_EXTERNAL;
    if (!is_cached(input) && !load(input)) {
        input->has_failed = true;
        return AVERROR_EXTERNAL;
    }
    if (!is_cached(input))
        return AVERROR_EOF;
    size_t at = (size_t)(input->position - input->cache_offset);
    size_t part = input->cache_size - at;
    if (part > (size_t)size)
        part = (size_t)size;
    memcpy(bytes, input->cache + at, part);
    input->position += part;
    return (int)part;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
    struct input *input = opaque;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        if (input->io->size > INT64_MAX)
            return AVERROR(ENOSYS);
        return (int64_t)input->io->size;
    case SEEK_SET:
        if (offset < 0 || offset > OFFSET_MAX)
            return AVERROR(EINVAL);
        input->position = (uint64_t)offset;
        return offset;
    default: /* libavformat counts from the start itself */
        return AVERROR(ENOSYS);
    }
}

struct input *input_create(const struct media_io *io)
{
    struct input *input = calloc(1, sizeof *input);
    unsigned char *cache = malloc(RANGE_SIZE_MAX);
    unsigned char *buffer = av_malloc(CONTEXT_SIZE);
    if (input == NULL || cache == NULL || buffer == NULL)
        abort();
    input->io = io;
    input->cache = cache;
    input->range_size = RANGE_SIZE_MIN / 2;
    input->context = avio_alloc_context(buffer, CONTEXT_SIZE, 0, input, read_packet, NULL, seek);
    if (input->context == NULL)
        abort();
    return input;
}

void input_destroy(struct input *input)
{
    if (input == NULL)
        return;
    /* libavformat may have replaced the buffer. */
    av_freep(&input->context->buffer);
    avio_context_free(&input->context);
    free(input->cache);
    free(input);
}

AVIOContext *input_context(struct input *input)
{
    return input->context;
}

uint64_t input_position(const struct input *input)
{
    return input->position;
}

bool input_has_failed(const struct input *input, struct error *error)
{
    if (input->has_failed && error != NULL)
        *error = input->error;
    return input->has_failed;
}

bool input_was_read_past_end(const struct input *input)
{
    return input->was_read_past_end;
}
