#include "media/copying.h"

#include "media/decoding.h"
#include "media/mp3_writer.h"
#include "model/failure.h"
#include <inttypes.h>
#include <string.h>

/* Progress is told each time so much sound is copied. */
#define REPORT_SECONDS 60

struct copying {
    const struct media_io *io;
    struct source *source;
    const struct copy_plan *plan;
    struct mp3_writer *writer;
    struct copied_reservoir reservoir;
    bool is_info_behind;
    uint64_t frames;
    uint64_t samples_reported;
};

bool copying_plan(const struct media_job *job, struct source *source, struct copy_plan *out_plan,
                  bool *out_is_possible, struct error *error)
{
    struct copy_plan plan = {0};
    struct copy_packet packet;
    bool is_possible = true;
    do {
        if (!source_read_packet(source, &packet, error))
            return false;
        if (packet.bytes != NULL)
            is_possible = copy_plan_add(&plan, &packet);
        if (plan.frames > 0 &&
            !decoding_check_length(job, plan.samples, plan.frame.sample_rate_hz, error))
            return false;
    } while (is_possible && packet.bytes != NULL);
    *out_is_possible = is_possible && copy_plan_finish(&plan);
    *out_plan = plan;
    return true;
}

static bool report(struct copying *copying, struct error *error)
{
    uint64_t samples = copying->frames * copying->plan->frame.samples;
    const struct media_progress progress = {
        .position_us = samples * 1000000 / copying->plan->frame.sample_rate_hz,
        .duration_us = copying->plan->samples * 1000000 / copying->plan->frame.sample_rate_hz,
        .input_position = source_position(copying->source),
    };
    copying->samples_reported = samples;
    return copying->io->progress(copying->io->context, &progress, error);
}

static bool write_frame(struct copying *copying, const struct copy_packet *packet,
                        const struct copied_frame *frame, struct error *error)
{
    const struct mp3_frame *kind = &copying->plan->frame;
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    memcpy(bytes, packet->bytes, frame->size);
    copied_frame_mend(&copying->reservoir, frame, bytes);
    if (!mp3_writer_add(copying->writer, bytes, frame->frame.size, error))
        return false;
    copying->frames++;
    return copying->frames * kind->samples - copying->samples_reported <
               (uint64_t)REPORT_SECONDS * kind->sample_rate_hz ||
           report(copying, error);
}

static bool write_silence(struct copying *copying, struct error *error)
{
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    if (!copying->plan->begins_silent)
        return true;
    size_t size = copied_frame_format_silence(copying->plan->header, bytes);
    return mp3_writer_add(copying->writer, bytes, size, error);
}

static bool write_frames(struct copying *copying, struct error *error)
{
    if (!write_silence(copying, error))
        return false;
    for (;;) {
        struct copy_packet packet;
        struct copied_frame frame;
        if (!source_read_packet(copying->source, &packet, error))
            return false;
        if (packet.bytes == NULL)
            break;
        if (!copied_frame_parse(packet.bytes, packet.size, &frame))
            continue;
        bool is_info = copying->plan->has_info && !copying->is_info_behind;
        copying->is_info_behind = true;
        if (!is_info && !write_frame(copying, &packet, &frame, error))
            return false;
    }
    if (copying->frames != copying->plan->frames)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                 "%" PRIu64 " frames, %" PRIu64 " when they were counted",
                                 copying->frames, copying->plan->frames);
    return report(copying, error) && mp3_writer_flush(copying->writer, error);
}

bool copying_run(const struct media_job *job, const struct media_io *io, struct source *source,
                 const struct copy_plan *plan, const struct buffer *tag,
                 struct media_result *out_result, struct error *error)
{
    const struct mp3_writer_settings settings = {
        .encoder = {.sample_rate_hz = plan->frame.sample_rate_hz,
                    .channels = plan->frame.channels,
                    .is_vbr = plan->is_vbr,
                    .bitrate_kbps = plan->frame.bitrate_kbps},
        .is_copy = true,
        .delay_samples = plan->delay_samples,
        .source_rate_hz = plan->frame.sample_rate_hz,
        .output_size_max = job->output_size_max,
    };
    struct copying copying = {.io = io, .source = source, .plan = plan};
    bool succeeded = mp3_writer_create(&settings, io, tag, &copying.writer, error) &&
                     write_frames(&copying, error) &&
                     mp3_writer_finish(copying.writer, plan->samples, out_result, error);
    mp3_writer_destroy(copying.writer);
    return succeeded;
}
