#pragma once

/* What passes between a worker and the process that started it, over one Unix stream socket.
 *
 *   to the worker    JOB once, then DATA: the answer to each READ
 *   from the worker  READ, WRITE, PROGRESS in any order; at last RESULT or FAILURE, then nothing
 *
 * One READ is unanswered at most. A worker asks ahead, and may write before it takes the answer: so
 * whoever sends DATA takes frames meanwhile, or both could wait for each other.
 *
 * A frame is a header (type, three zero bytes, the payload's size) and a payload; all numbers are
 * little-endian. This file turns frames into structs and back and checks each by itself; what is
 * right at which moment is worker_guard's to say. Pure. docs/engine.md shows a conversation. */

#include "base/buffer.h"
#include "base/error.h"
#include "model/conversion_options.h"
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_HEADER_SIZE 8
#define PROTOCOL_RANGE_SIZE_MAX 262144 /* of one READ, DATA or WRITE */
#define PROTOCOL_PAYLOAD_SIZE_MAX (PROTOCOL_RANGE_SIZE_MAX + 8)
#define PROTOCOL_FRAME_SIZE_MAX (PROTOCOL_HEADER_SIZE + PROTOCOL_PAYLOAD_SIZE_MAX)
#define PROTOCOL_SIZE_UNKNOWN UINT64_MAX
#define PROTOCOL_JOB_SIZE_MAX 16384
#define PROTOCOL_CODE_SIZE 32
#define PROTOCOL_TEXT_SIZE 200

enum protocol_type {
    PROTOCOL_JOB = 1,  /* JSON */
    PROTOCOL_DATA,     /* bytes; fewer than asked for: the input ends there */
    PROTOCOL_READ,     /* u64 offset, u32 size */
    PROTOCOL_WRITE,    /* u64 offset, bytes */
    PROTOCOL_PROGRESS, /* u64 position_us, duration_us, input_position, prepared_us,
                        * preparation_us */
    PROTOCOL_RESULT, /* u64 size, samples, frames, input_duration_us; u32 kb/s, Hz, channels, cut */
    PROTOCOL_FAILURE, /* code, NUL, text */
};

struct protocol_header {
    enum protocol_type type;
    uint32_t size; /* of the payload; at most PROTOCOL_PAYLOAD_SIZE_MAX */
};

struct protocol_job {
    struct conversion_options options;
    uint64_t input_size; /* or PROTOCOL_SIZE_UNKNOWN */
    uint64_t output_size_max;
    uint64_t duration_max_ms; /* 0: no limit */
    uint32_t threads;         /* 1 to CONFINE_ENCODERS_MAX */
};

struct protocol_read {
    uint64_t offset;
    uint32_t size; /* 1 to PROTOCOL_RANGE_SIZE_MAX */
};

struct protocol_write {
    uint64_t offset;
    const unsigned char *bytes; /* borrowed from the payload */
    uint32_t size;              /* 1 to PROTOCOL_RANGE_SIZE_MAX */
};

struct protocol_progress {
    uint64_t position_us; /* of sound in the MP3 */
    uint64_t duration_us; /* what that will become; 0: unknown */
    uint64_t input_position;
    uint64_t prepared_us;    /* of sound decoded before the MP3 begins: on the way to where it is to
                              * start, and to measure its loudness */
    uint64_t preparation_us; /* what that will become */
};

struct protocol_result {
    uint64_t size_bytes;
    uint64_t samples;
    uint64_t frames;
    uint64_t input_duration_us; /* as the input claims; 0: unknown */
    uint32_t bitrate_kbps;
    uint32_t sample_rate_hz;
    uint32_t channels;
    uint32_t is_truncated; /* 0 or 1 */
};

struct protocol_failure {
    const struct failure *failure; /* one that a worker may name */
    char text[PROTOCOL_TEXT_SIZE]; /* for the log; clean UTF-8 */
};

void protocol_format_header(enum protocol_type type, uint32_t size,
                            unsigned char out_bytes[PROTOCOL_HEADER_SIZE]);
void protocol_format_read(const struct protocol_read *read, unsigned char out_bytes[12]);
void protocol_format_write_offset(uint64_t offset, unsigned char out_bytes[8]);
void protocol_format_progress(const struct protocol_progress *progress,
                              unsigned char out_bytes[40]);
void protocol_format_result(const struct protocol_result *result, unsigned char out_bytes[48]);
/* Appends to a buffer that may hold PROTOCOL_JOB_SIZE_MAX. */
MUST_CHECK bool protocol_format_job(const struct protocol_job *job, struct buffer *out_payload,
                                    struct error *error);
/* A failure that no worker may name is told as INTERNAL. */
MUST_CHECK bool protocol_format_failure(const struct error *cause, struct buffer *out_payload,
                                        struct error *error);

/* ERROR_BAD_INPUT for whatever a well-behaved peer would not have sent. */
MUST_CHECK bool protocol_parse_header(const unsigned char bytes[PROTOCOL_HEADER_SIZE],
                                      struct protocol_header *out_header, struct error *error);
MUST_CHECK bool protocol_parse_job(const void *payload, size_t size, struct protocol_job *out_job,
                                   struct error *error);
MUST_CHECK bool protocol_parse_read(const unsigned char *payload, size_t size,
                                    struct protocol_read *out_read, struct error *error);
MUST_CHECK bool protocol_parse_write(const unsigned char *payload, size_t size,
                                     struct protocol_write *out_write, struct error *error);
MUST_CHECK bool protocol_parse_progress(const unsigned char *payload, size_t size,
                                        struct protocol_progress *out_progress,
                                        struct error *error);
MUST_CHECK bool protocol_parse_result(const unsigned char *payload, size_t size,
                                      struct protocol_result *out_result, struct error *error);
MUST_CHECK bool protocol_parse_failure(const unsigned char *payload, size_t size,
                                       struct protocol_failure *out_failure, struct error *error);
