/* tapedeck-worker: one job over the socket at descriptor 3, one conversion, then the end. Started
 * by sandbox/worker_process, never by people. */

#include "base/error.h"
#include "media/media.h"
#include "sandbox/confine.h"
#include "sandbox/worker_channel.h"
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CHANNEL_FD 3
/* Standard input, output and error, and the channel. */
#define FD_COUNT 4

static bool send_progress(void *context, const struct media_progress *progress, struct error *error)
{
    const struct protocol_progress frame = {
        .position_us = progress->position_us,
        .duration_us = progress->duration_us,
        .input_position = progress->input_position,
        .prepared_us = progress->prepared_us,
        .preparation_us = progress->preparation_us,
    };
    return worker_channel_send_progress(context, &frame, error);
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
        .progress = send_progress,
    };
    struct media_result result = {0};
    if (!media_convert(&media_job, &io, &result, error))
        return false;
    *out_result = (struct protocol_result){
        .size_bytes = result.size_bytes,
        .samples = result.samples,
        .frames = result.frames,
        .input_duration_us = result.input_duration_us,
        .bitrate_kbps = result.bitrate_kbps,
        .sample_rate_hz = result.sample_rate_hz,
        .channels = result.channels,
        .is_truncated = result.is_truncated,
    };
    return true;
}

/* True: the other side knows how it went. */
static bool serve(struct worker_channel *channel, struct error *error)
{
    struct protocol_job job = {0};
    struct protocol_result result = {0};
    bool is_closed = false;
    if (!worker_channel_receive_job(channel, &job, &is_closed, error))
        return is_closed; /* nobody had a job for us after all */
    if (convert(channel, &job, &result, error))
        return worker_channel_send_result(channel, &result, error);
    return worker_channel_send_failure(channel, error, NULL);
}

int main(void)
{
    struct error error = {0};
    struct worker_channel *channel = NULL;
    /* Writing to a log file must fail, not kill: no file of ours may grow. */
    signal(SIGXFSZ, SIG_IGN);
    /* glibc would reserve a heap of 64 MiB of address space for each thread, a gigabyte for all,
     * which has a limit and may be needed for the index of a file. Encoders hardly allocate. */
    mallopt(M_ARENA_MAX, 1);
    media_prepare();
    worker_channel_open(CHANNEL_FD, &channel);
    bool succeeded = confine_process(FD_COUNT, &error) && serve(channel, &error);
    worker_channel_close(channel);
    return succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
