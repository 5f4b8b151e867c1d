#include "sandbox/worker_guard.h"

#include <inttypes.h>

bool worker_guard_read(const struct worker_guard *guard, const struct protocol_read *read,
                       struct error *error)
{
    uint64_t end = guard->input_size != PROTOCOL_SIZE_UNKNOWN ? guard->input_size : INT64_MAX;
    if (read->offset > end || read->size > end - read->offset)
        return error_set(error, ERROR_BAD_INPUT,
                         "asked for %u bytes at %" PRIu64 " of an input of %" PRIu64, read->size,
                         read->offset, end);
    return true;
}

bool worker_guard_write(struct worker_guard *guard, const struct protocol_write *write,
                        struct error *error)
{
    if (guard->has_rewritten)
        return error_set(error, ERROR_BAD_INPUT, "wrote after it had written its last");
    if (write->size > guard->output_size_max ||
        write->offset > guard->output_size_max - write->size)
        return error_set(error, ERROR_BAD_INPUT, "wrote past the limit of %" PRIu64 " bytes",
                         guard->output_size_max);
    if (write->offset == guard->written) {
        guard->written += write->size;
        return true;
    }
    if (write->offset + write->size > guard->written)
        return error_set(error, ERROR_BAD_INPUT,
                         "wrote %u bytes at %" PRIu64 " where %" PRIu64 " stood", write->size,
                         write->offset, guard->written);
    guard->has_rewritten = true;
    return true;
}

bool worker_guard_progress(struct worker_guard *guard, const struct protocol_progress *progress,
                           struct error *error)
{
    if (progress->position_us < guard->progress.position_us)
        return error_set(error, ERROR_BAD_INPUT, "went back in time");
    if (progress->prepared_us < guard->progress.prepared_us ||
        progress->prepared_us > guard->prepared_us_max)
        return error_set(error, ERROR_BAD_INPUT, "prepared %" PRIu64 " us of sound",
                         progress->prepared_us);
    if (progress->prepared_us != guard->progress.prepared_us && guard->written != 0)
        return error_set(error, ERROR_BAD_INPUT, "went on preparing after it had begun");
    guard->progress = *progress;
    return true;
}

bool worker_guard_is_preparing(struct worker_guard *guard, int64_t silent_ms)
{
    uint64_t prepared_us = guard->progress.prepared_us;
    int64_t new_ms = (int64_t)((prepared_us - guard->counted_us) / 1000);
    /* What was too little then is no credit for later, when bytes of the MP3 are what counts. */
    if (guard->written != 0 || prepared_us == guard->counted_us || new_ms < silent_ms)
        return false;
    guard->counted_us = prepared_us;
    return true;
}

bool worker_guard_result(const struct worker_guard *guard, const struct protocol_result *result,
                         struct error *error)
{
    uint32_t frame_samples = result->sample_rate_hz >= 32000 ? 1152 : 576;
    if (result->size_bytes != guard->written)
        return error_set(error, ERROR_BAD_INPUT, "claims %" PRIu64 " bytes and wrote %" PRIu64,
                         result->size_bytes, guard->written);
    if (result->samples == 0 || result->frames > UINT32_MAX ||
        result->samples > result->frames * frame_samples)
        return error_set(error, ERROR_BAD_INPUT, "claims %" PRIu64 " samples in %" PRIu64 " frames",
                         result->samples, result->frames);
    /* Within a millisecond: the limit is one, the sound is counted in samples. */
    if (guard->duration_max_ms != 0 &&
        result->samples * 1000 / result->sample_rate_hz > guard->duration_max_ms)
        return error_set(error, ERROR_BAD_INPUT, "claims more sound than is allowed");
    return true;
}
