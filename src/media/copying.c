#include "media/copying.h"

#include "media/decoding.h"
#include "media/mp3_writer.h"
#include "model/failure.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Progress is told each time so much sound is copied. */
#define REPORT_SECONDS 60
/* So many bytes of frames are kept while all are looked at, and then need not be read again: half
 * an hour at 128 kb/s. */
#define KEPT_SIZE_MAX (UINT64_C(32) << 20)
#define KEPT_PIECE_SIZE (UINT64_C(1) << 20)

struct copying {
    const struct media_job *job; /* borrowed */
    struct copy_plan plan;
    struct copied_reservoir reservoir; /* of the frames that were mended last */
    bool is_kept;
    struct buffer kept; /* all frames, mended; unless they were too many */

    /* Once it runs. */
    const struct media_io *io; /* borrowed */
    struct source *source;     /* borrowed */
    struct mp3_writer *writer;
    bool is_info_behind;
    uint64_t frames;
    uint64_t samples_reported;
};

static void mend(struct copying *copying, const struct copy_packet *packet,
                 const struct copied_frame *frame, unsigned char bytes[MP3_FRAME_SIZE_MAX])
{
    memcpy(bytes, packet->bytes, frame->size);
    copied_frame_mend(&copying->reservoir, frame, bytes);
}

static void keep(struct copying *copying, const struct copy_packet *packet,
                 const struct copied_frame *frame)
{
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    mend(copying, packet, frame, bytes);
    copying->is_kept = buffer_append(&copying->kept, bytes, frame->frame.size, NULL);
    if (!copying->is_kept)
        buffer_finish(&copying->kept);
}

/* False as well where it cannot be copied: *out_is_possible. */
static bool plan(struct copying *copying, struct source *source, bool *out_is_possible,
                 struct error *error)
{
    struct copy_plan *plan = &copying->plan;
    struct copy_packet packet;
    struct copied_frame frame;
    bool is_possible = true;
    for (;;) {
        if (!source_read_packet(source, &packet, error))
            return false;
        if (packet.bytes == NULL)
            break;
        uint64_t frames = plan->frames;
        is_possible = copy_plan_add(plan, &packet, &frame);
        if (plan->frames > 0 &&
            !decoding_check_length(copying->job, plan->samples, plan->frame.sample_rate_hz, error))
            return false;
        if (!is_possible)
            break;
        if (plan->frames > frames && copying->is_kept)
            keep(copying, &packet, &frame);
    }
    *out_is_possible = is_possible && copy_plan_finish(plan);
    return true;
}

bool copying_plan(const struct media_job *job, struct source *source, struct copying **out_copying,
                  struct error *error)
{
    struct copying *copying = calloc(1, sizeof *copying);
    bool is_possible;
    if (copying == NULL)
        abort();
    copying->job = job;
    copying->is_kept = true;
    copying->kept = BUFFER_WITH_MAX(KEPT_SIZE_MAX);
    bool succeeded = plan(copying, source, &is_possible, error);
    if (!succeeded || !is_possible) {
        copying_destroy(copying);
        copying = NULL;
    }
    if (succeeded)
        *out_copying = copying;
    return succeeded;
}

void copying_destroy(struct copying *copying)
{
    if (copying == NULL)
        return;
    buffer_finish(&copying->kept);
    free(copying);
}

bool copying_needs_source(const struct copying *copying)
{
    return !copying->is_kept;
}

static bool report(struct copying *copying, uint64_t samples, struct error *error)
{
    const struct copy_plan *plan = &copying->plan;
    const struct media_progress progress = {
        .position_us = samples * 1000000 / plan->frame.sample_rate_hz,
        .duration_us = plan->samples * 1000000 / plan->frame.sample_rate_hz,
        .input_position = source_position(copying->source),
    };
    copying->samples_reported = samples;
    return copying->io->progress(copying->io->context, &progress, error);
}

static bool write_frame(struct copying *copying, const struct copy_packet *packet,
                        const struct copied_frame *frame, struct error *error)
{
    const struct mp3_frame *kind = &copying->plan.frame;
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    mend(copying, packet, frame, bytes);
    if (!mp3_writer_add(copying->writer, bytes, frame->frame.size, error))
        return false;
    uint64_t samples = ++copying->frames * kind->samples;
    return samples - copying->samples_reported < (uint64_t)REPORT_SECONDS * kind->sample_rate_hz ||
           report(copying, samples, error);
}

static bool write_silence(struct copying *copying, struct error *error)
{
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    if (!copying->plan.begins_silent)
        return true;
    size_t size = copied_frame_format_silence(copying->plan.header, bytes);
    return mp3_writer_add(copying->writer, bytes, size, error);
}

static bool write_from_source(struct copying *copying, struct error *error)
{
    const struct copy_plan *plan = &copying->plan;
    copying->reservoir = (struct copied_reservoir){0};
    for (;;) {
        struct copy_packet packet;
        struct copied_frame frame;
        if (!source_read_packet(copying->source, &packet, error))
            return false;
        if (packet.bytes == NULL)
            break;
        if (!copied_frame_parse(packet.bytes, packet.size, &frame))
            continue;
        bool is_info = plan->has_info && !copying->is_info_behind;
        copying->is_info_behind = true;
        if (!is_info && !write_frame(copying, &packet, &frame, error))
            return false;
    }
    if (copying->frames != plan->frames)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                 "%" PRIu64 " frames, %" PRIu64 " when they were counted",
                                 copying->frames, plan->frames);
    return true;
}

static bool write_kept(struct copying *copying, struct error *error)
{
    const unsigned char *bytes = (const unsigned char *)copying->kept.bytes;
    size_t size = copying->kept.size;
    uint64_t samples = copying->plan.frames * copying->plan.frame.samples;
    for (size_t at = 0; at < size;) {
        size_t part = size - at < KEPT_PIECE_SIZE ? size - at : KEPT_PIECE_SIZE;
        if (!mp3_writer_add(copying->writer, bytes + at, part, error))
            return false;
        at += part;
        /* About: that is all a progress needs. */
        if (!report(copying, samples * at / size, error))
            return false;
    }
    return true;
}

static bool write_frames(struct copying *copying, struct error *error)
{
    uint64_t samples = copying->plan.frames * copying->plan.frame.samples;
    return write_silence(copying, error) &&
           (copying->is_kept ? write_kept(copying, error) : write_from_source(copying, error)) &&
           report(copying, samples, error) && mp3_writer_flush(copying->writer, error);
}

bool copying_run(struct copying *copying, const struct media_io *io, struct source *source,
                 const struct buffer *tag, struct media_result *out_result, struct error *error)
{
    const struct copy_plan *plan = &copying->plan;
    const struct mp3_writer_settings settings = {
        .encoder = {.sample_rate_hz = plan->frame.sample_rate_hz,
                    .channels = plan->frame.channels,
                    .is_vbr = plan->is_vbr,
                    .bitrate_kbps = plan->frame.bitrate_kbps},
        .is_copy = true,
        .delay_samples = plan->delay_samples,
        .source_rate_hz = plan->frame.sample_rate_hz,
        .output_size_max = copying->job->output_size_max,
    };
    copying->io = io;
    copying->source = source;
    bool succeeded = mp3_writer_create(&settings, io, tag, &copying->writer, error) &&
                     write_frames(copying, error) &&
                     mp3_writer_finish(copying->writer, plan->samples, out_result, error);
    mp3_writer_destroy(copying->writer);
    return succeeded;
}
