#include "sandbox/protocol.h"

#include "base/json.h"
#include "base/text.h"
#include "model/failure.h"
#include "sandbox/confine.h"
#include <assert.h>
#include <string.h>

/* What a worker may accuse its input of, and INTERNAL for itself. All other rows are about things
 * that it knows nothing of. */
static const struct failure *const worker_failures[] = {
    &FAILURE_NO_AUDIO,  &FAILURE_NO_SUCH_TRACK,     &FAILURE_EMPTY_RANGE,
    &FAILURE_NOT_MEDIA, &FAILURE_UNSUPPORTED_CODEC, &FAILURE_DAMAGED,
    &FAILURE_TOO_LONG,  &FAILURE_TOO_LARGE,         &FAILURE_INTERNAL,
};

static void put(unsigned char **to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        *(*to)++ = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char **from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t) * (*from)++ << 8 * i;
    return value;
}

static uint64_t get64(const unsigned char **from)
{
    return get(from, 8);
}

static uint32_t get32(const unsigned char **from)
{
    return (uint32_t)get(from, 4);
}

static bool refuse(const char *what, size_t size, struct error *error)
{
    return error_set(error, ERROR_BAD_INPUT, "a frame %s of %zu bytes that is none", what, size);
}

void protocol_format_header(enum protocol_type type, uint32_t size,
                            unsigned char out_bytes[PROTOCOL_HEADER_SIZE])
{
    put(&out_bytes, type, 4);
    put(&out_bytes, size, 4);
}

bool protocol_parse_header(const unsigned char bytes[PROTOCOL_HEADER_SIZE],
                           struct protocol_header *out_header, struct error *error)
{
    uint32_t type = get32(&bytes);
    uint32_t size = get32(&bytes);
    if (type < PROTOCOL_JOB || type > PROTOCOL_FAILURE || size > PROTOCOL_PAYLOAD_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "a frame of type %u with %u bytes", type, size);
    *out_header = (struct protocol_header){.type = (enum protocol_type)type, .size = size};
    return true;
}

/* Sizes of files go through JSON as integers, which have a sign there. */
static int64_t json_size(uint64_t size)
{
    return size > INT64_MAX ? -1 : (int64_t)size;
}

bool protocol_format_job(const struct protocol_job *job, struct buffer *out_payload,
                         struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_take(json, "options", conversion_options_to_json(&job->options));
    json_set_integer(json, "input_size", json_size(job->input_size));
    json_set_integer(json, "output_size_max", json_size(job->output_size_max));
    json_set_integer(json, "duration_max_ms", json_size(job->duration_max_ms));
    json_set_integer(json, "threads", job->threads);
    return json_format(json, out_payload, error);
}

bool protocol_parse_job(const void *payload, size_t size, struct protocol_job *out_job,
                        struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = NULL;
    struct protocol_job job = {0};
    int64_t input_size, output_size_max, duration_max_ms, threads;
    if (size > PROTOCOL_JOB_SIZE_MAX || !json_parse(payload, size, &json, error))
        return refuse("job", size, error);
    if (!json_get_integer(json, "input_size", JSON_REQUIRED, -1, INT64_MAX, &input_size, error) ||
        !json_get_integer(json, "output_size_max", JSON_REQUIRED, 1, UINT32_MAX, &output_size_max,
                          error) ||
        !json_get_integer(json, "duration_max_ms", JSON_REQUIRED, 0, INT64_MAX / 1000000,
                          &duration_max_ms, error) ||
        !json_get_integer(json, "threads", JSON_REQUIRED, 1, CONFINE_ENCODERS_MAX, &threads,
                          error) ||
        !conversion_options_from_json(json_object_get(json, "options"), &job.options, error))
        return error_prefix(error, "job");
    job.input_size = input_size < 0 ? PROTOCOL_SIZE_UNKNOWN : (uint64_t)input_size;
    job.output_size_max = (uint64_t)output_size_max;
    job.duration_max_ms = (uint64_t)duration_max_ms;
    job.threads = (uint32_t)threads;
    *out_job = job;
    return true;
}

void protocol_format_read(const struct protocol_read *read, unsigned char out_bytes[12])
{
    put(&out_bytes, read->offset, 8);
    put(&out_bytes, read->size, 4);
}

bool protocol_parse_read(const unsigned char *payload, size_t size, struct protocol_read *out_read,
                         struct error *error)
{
    if (size != 12)
        return refuse("read", size, error);
    struct protocol_read read = {0};
    read.offset = get64(&payload);
    read.size = get32(&payload);
    if (read.size == 0 || read.size > PROTOCOL_RANGE_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "a range of %u bytes", read.size);
    *out_read = read;
    return true;
}

void protocol_format_write_offset(uint64_t offset, unsigned char out_bytes[8])
{
    put(&out_bytes, offset, 8);
}

bool protocol_parse_write(const unsigned char *payload, size_t size,
                          struct protocol_write *out_write, struct error *error)
{
    if (size <= 8 || size > 8 + PROTOCOL_RANGE_SIZE_MAX)
        return refuse("write", size, error);
    uint64_t offset = get64(&payload);
    *out_write =
        (struct protocol_write){.offset = offset, .bytes = payload, .size = (uint32_t)size - 8};
    return true;
}

void protocol_format_progress(const struct protocol_progress *progress, unsigned char out_bytes[40])
{
    put(&out_bytes, progress->position_us, 8);
    put(&out_bytes, progress->duration_us, 8);
    put(&out_bytes, progress->input_position, 8);
    put(&out_bytes, progress->prepared_us, 8);
    put(&out_bytes, progress->preparation_us, 8);
}

bool protocol_parse_progress(const unsigned char *payload, size_t size,
                             struct protocol_progress *out_progress, struct error *error)
{
    if (size != 40)
        return refuse("progress", size, error);
    out_progress->position_us = get64(&payload);
    out_progress->duration_us = get64(&payload);
    out_progress->input_position = get64(&payload);
    out_progress->prepared_us = get64(&payload);
    out_progress->preparation_us = get64(&payload);
    return true;
}

void protocol_format_result(const struct protocol_result *result, unsigned char out_bytes[48])
{
    put(&out_bytes, result->size_bytes, 8);
    put(&out_bytes, result->samples, 8);
    put(&out_bytes, result->frames, 8);
    put(&out_bytes, result->input_duration_us, 8);
    put(&out_bytes, result->bitrate_kbps, 4);
    put(&out_bytes, result->sample_rate_hz, 4);
    put(&out_bytes, result->channels, 4);
    put(&out_bytes, result->is_truncated, 4);
}

bool protocol_parse_result(const unsigned char *payload, size_t size,
                           struct protocol_result *out_result, struct error *error)
{
    if (size != 48)
        return refuse("result", size, error);
    struct protocol_result result = {0};
    result.size_bytes = get64(&payload);
    result.samples = get64(&payload);
    result.frames = get64(&payload);
    result.input_duration_us = get64(&payload);
    result.bitrate_kbps = get32(&payload);
    result.sample_rate_hz = get32(&payload);
    result.channels = get32(&payload);
    result.is_truncated = get32(&payload);
    if (result.bitrate_kbps < 8 || result.bitrate_kbps > 320 || result.sample_rate_hz < 8000 ||
        result.sample_rate_hz > 48000 || result.channels < 1 || result.channels > 2 ||
        result.is_truncated > 1)
        return error_set(error, ERROR_BAD_INPUT, "an MP3 of %u kb/s, %u Hz, %u channels",
                         result.bitrate_kbps, result.sample_rate_hz, result.channels);
    *out_result = result;
    return true;
}

static const struct failure *find_worker_failure(const char *code)
{
    for (size_t i = 0; i < ARRAY_COUNT(worker_failures); i++)
        if (strcmp(worker_failures[i]->code, code) == 0)
            return worker_failures[i];
    return NULL;
}

bool protocol_format_failure(const struct error *cause, struct buffer *out_payload,
                             struct error *error)
{
    const char *code = cause->failure != NULL ? cause->failure->code : "";
    if (find_worker_failure(code) == NULL)
        code = FAILURE_INTERNAL.code;
    char text[PROTOCOL_TEXT_SIZE];
    text_copy(text, sizeof text, cause->text);
    return buffer_append(out_payload, code, strlen(code) + 1, error) &&
           buffer_append_text(out_payload, text, error);
}

bool protocol_parse_failure(const unsigned char *payload, size_t size,
                            struct protocol_failure *out_failure, struct error *error)
{
    if (size < 2 || size > PROTOCOL_CODE_SIZE + PROTOCOL_TEXT_SIZE)
        return refuse("failure", size, error);
    size_t code_size = strnlen((const char *)payload, size);
    const struct failure *failure =
        code_size < size ? find_worker_failure((const char *)payload) : NULL;
    if (failure == NULL)
        return error_set(error, ERROR_BAD_INPUT, "a failure that is not a worker's to name");

    size_t text_size = size - code_size - 1;
    struct buffer text = BUFFER_WITH_MAX(3 * (PROTOCOL_CODE_SIZE + PROTOCOL_TEXT_SIZE));
    bool is_clean = text_clean(payload + code_size + 1, text_size, &text, error);
    if (is_clean) {
        out_failure->failure = failure;
        text_copy(out_failure->text, sizeof out_failure->text, buffer_text(&text));
    }
    buffer_finish(&text);
    return is_clean;
}
