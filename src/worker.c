/* tapedeck-worker: converts one file, whose bytes come and go over descriptor 3, and ends. Started
 * by sandbox/worker_process only; people use `tapedeck convert`. */

#include "base/log.h"
#include "media/media.h"
#include "sandbox/confine.h"
#include "sandbox/worker_channel.h"
#include <stdlib.h>

#define CHANNEL_FD 3

static bool tell_progress(void *context, const struct media_progress *progress, struct error *error)
{
    const struct protocol_progress told = {
        .position_us = progress->position_us,
        .duration_us = progress->duration_us,
        .input_position = progress->input_position,
    };
    return worker_channel_send_progress(context, &told, error);
}

static bool convert(struct worker_channel *channel, const struct protocol_job *job,
                    struct protocol_result *out_result, struct error *error)
{
    const struct media_job media_job = {
        .options = &job->options,
        .output_size_max = job->output_size_max,
        .duration_max_ms = job->duration_max_ms,
        .threads = job->threads,
    };
    const struct media_io io = {
        .context = channel,
        .size = job->input_size,
        .read_at = worker_channel_read_at,
        .write_at = worker_channel_write_at,
        .progress = tell_progress,
    };
    struct media_result result;
    if (!media_convert(&media_job, &io, &result, error))
        return false;
    *out_result = (struct protocol_result){
        .size_bytes = result.size_bytes,
        .samples = result.samples,
        .frames = result.frames,
        .bitrate_kbps = result.bitrate_kbps,
        .sample_rate_hz = result.sample_rate_hz,
        .channels = result.channels,
        .is_truncated = result.is_truncated ? 1 : 0,
    };
    return true;
}

static bool serve(struct worker_channel *channel, struct error *error)
{
    struct protocol_job job;
    struct protocol_result result;
    bool is_closed = false;
    if (!worker_channel_receive_job(channel, &job, &is_closed, error))
        return is_closed; /* nobody needed this one */
    struct error cause;
    if (convert(channel, &job, &result, &cause))
        return worker_channel_send_result(channel, &result, error);
    return worker_channel_send_failure(channel, &cause, error);
}

int main(void)
{
    log_open("worker", LOG_LEVEL_INFO);
    struct error error = {0};
    struct worker_channel *channel;
    worker_channel_open(CHANNEL_FD, &channel);
    bool succeeded = confine_process(CHANNEL_FD + 1, &error);
    if (succeeded) {
        media_prepare();
        succeeded = serve(channel, &error);
    }
    if (!succeeded)
        log_error("failed", FIELD_TEXT("reason", error.text));
    worker_channel_close(channel);
    return succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
