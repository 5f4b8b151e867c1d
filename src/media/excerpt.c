#include "media/excerpt.h"

#include "base/clock.h"
#include "media/cut.h"
#include "media/source.h"
#include "model/failure.h"
#include <inttypes.h>
#include <libavutil/frame.h>
#include <stdlib.h>

#define TELL_MS 250
/* How often over all that may be wanted, and what lies before it, may be decoded: more is a file
 * whose times do not go on while its sound does. */
#define PREPARED_FACTOR 6

struct excerpt {
    const struct media_job *job; /* borrowed */
    const struct media_io *io;   /* borrowed */
    struct source *source;       /* owned; NULL: reopening failed */
    struct cut cut;
    bool has_begun; /* a part was read since the beginning */
    bool is_over;   /* the end that was asked for was reached */

    uint64_t duration_us;
    uint64_t prepared_us;
    uint64_t preparation_us; /* as planned */
    int64_t told_ms;
};

bool excerpt_open(const struct media_job *job, const struct media_io *io,
                  struct excerpt **out_excerpt, struct error *error)
{
    struct excerpt *excerpt = calloc(1, sizeof *excerpt);
    if (excerpt == NULL)
        abort();
    excerpt->job = job;
    excerpt->io = io;
    excerpt->cut.start_us = job->options->start_us;
    excerpt->cut.end_us = job->options->end_us;
    if (!source_open(io, job->options, &excerpt->source, error)) {
        excerpt_close(excerpt);
        return false;
    }
    excerpt->duration_us = cut_duration_us(&excerpt->cut, source_duration_us(excerpt->source));
    *out_excerpt = excerpt;
    return true;
}

void excerpt_close(struct excerpt *excerpt)
{
    if (excerpt == NULL)
        return;
    source_close(excerpt->source);
    free(excerpt);
}

bool excerpt_rewind(struct excerpt *excerpt, struct error *error)
{
    source_close(excerpt->source);
    excerpt->source = NULL;
    excerpt->has_begun = false;
    excerpt->is_over = false;
    return source_open(excerpt->io, excerpt->job->options, &excerpt->source, error);
}

bool excerpt_tell_prepared(struct excerpt *excerpt, uint64_t input_position, struct error *error)
{
    const struct media_progress progress = {
        .duration_us = excerpt->duration_us,
        .input_position = input_position,
        .prepared_us = excerpt->prepared_us,
        .preparation_us = excerpt->preparation_us > excerpt->prepared_us ? excerpt->preparation_us
                                                                         : excerpt->prepared_us,
    };
    return excerpt->io->progress(excerpt->io->context, &progress, error);
}

/* Without a limit of its own, sound has that of its MP3: 8 kb/s, a byte a millisecond, is the
 * least. */
static uint64_t sound_max_us(const struct media_job *job)
{
    return (job->duration_max_ms != 0 ? job->duration_max_ms : job->output_size_max) * 1000;
}

bool excerpt_note_prepared(struct excerpt *excerpt, const struct sound_part *part,
                           struct error *error)
{
    excerpt->prepared_us += (uint64_t)part->count * 1000000 / (uint64_t)part->frame->sample_rate;
    if (excerpt->prepared_us / PREPARED_FACTOR >
        (uint64_t)excerpt->cut.start_us + sound_max_us(excerpt->job))
        return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_TOO_LONG,
                                 "%" PRIu64 " s of sound decoded in search of the start",
                                 excerpt->prepared_us / 1000000);
    int64_t now_ms = clock_boot_ms();
    if (now_ms - excerpt->told_ms < TELL_MS)
        return true;
    excerpt->told_ms = now_ms;
    return excerpt_tell_prepared(excerpt, part->input_position, error);
}

/* The source's end, or that of what is wanted. */
static bool end(const struct excerpt *excerpt, struct sound_part *out_part, struct error *error)
{
    *out_part = (struct sound_part){0};
    if (excerpt->has_begun)
        return true;
    double start_seconds = (double)excerpt->cut.start_us / 1e6;
    return excerpt->is_over ? error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_EMPTY_RANGE,
                                                "no sound from %.9g s to %.9g s", start_seconds,
                                                (double)excerpt->cut.end_us / 1e6)
                            : error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_EMPTY_RANGE,
                                                "the sound ends before %.9g s", start_seconds);
}

bool excerpt_read(struct excerpt *excerpt, struct sound_part *out_part, struct error *error)
{
    while (!excerpt->is_over) {
        const AVFrame *frame = NULL;
        if (!source_read(excerpt->source, &frame, error))
            return false;
        if (frame == NULL)
            break;
        struct cut_part part = cut_frame(&excerpt->cut, source_frame_at(excerpt->source),
                                         frame->sample_rate, frame->nb_samples);
        excerpt->is_over = part.is_over;
        *out_part = (struct sound_part){
            .frame = frame,
            .from = part.from,
            .count = part.count,
            .input_position = source_position(excerpt->source),
        };
        if (part.count > 0) {
            excerpt->has_begun = true;
            return true;
        }
        out_part->count = frame->nb_samples;
        /* Times that run back afterwards are the file's fault, and no preparation. */
        if (!excerpt->is_over && !excerpt->has_begun &&
            !excerpt_note_prepared(excerpt, out_part, error))
            return false;
    }
    return end(excerpt, out_part, error);
}

uint64_t excerpt_duration_us(const struct excerpt *excerpt)
{
    return excerpt->duration_us;
}

void excerpt_set_duration_us(struct excerpt *excerpt, uint64_t duration_us)
{
    excerpt->duration_us = duration_us;
}

void excerpt_plan(struct excerpt *excerpt, uint64_t preparation_us)
{
    excerpt->preparation_us = preparation_us;
}

uint64_t excerpt_prepared_us(const struct excerpt *excerpt)
{
    return excerpt->prepared_us;
}

bool excerpt_is_truncated(const struct excerpt *excerpt)
{
    return !excerpt->is_over && source_is_truncated(excerpt->source);
}

struct source *excerpt_source(const struct excerpt *excerpt)
{
    return excerpt->source;
}
