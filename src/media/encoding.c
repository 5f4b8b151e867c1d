#include "media/encoding.h"

#include "media/encoder_pool.h"
#include "media/frame_layout.h"
#include <pthread.h>
#include <stdlib.h>

/* Bytes go out, and progress is told, each time so much sound is encoded: small enough to be a sign
 * of life every second even where encoding is not much faster than playing. */
#define REPORT_SECONDS 4

struct encoding {
    /* Set by encoding_start(), then read-only. */
    const struct media_io *io; /* borrowed */
    struct pcm_ring *ring;     /* borrowed */
    uint32_t sample_rate_hz;
    uint64_t duration_us;
    uint64_t prepared_us;
    pthread_t thread;

    /* The thread's own until it is joined. */
    struct encoder_pool *pool; /* owned */
    struct frame_layout layout;
    struct buffer laid_out;
    struct mp3_writer *writer; /* owned */
    uint64_t samples;          /* in frames that were written, per channel */
    uint64_t samples_reported;
    bool has_failed;
    struct error error;
};

static bool report(struct encoding *encoding)
{
    encoding->samples_reported = encoding->samples;
    const struct media_progress progress = {
        .position_us = encoding->samples * 1000000 / encoding->sample_rate_hz,
        .duration_us = encoding->duration_us,
        .input_position = encoder_pool_input_position(encoding->pool),
        .prepared_us = encoding->prepared_us,
        .preparation_us = encoding->prepared_us,
    };
    return mp3_writer_flush(encoding->writer, &encoding->error) &&
           encoding->io->progress(encoding->io->context, &progress, &encoding->error);
}

static bool write_laid_out(struct encoding *encoding)
{
    const unsigned char *bytes = (const unsigned char *)buffer_text(&encoding->laid_out);
    bool is_written =
        mp3_writer_add(encoding->writer, bytes, encoding->laid_out.size, &encoding->error);
    buffer_clear(&encoding->laid_out);
    return is_written;
}

static bool write_frame(struct encoding *encoding, const struct frame_parts *parts)
{
    if (!frame_layout_add(&encoding->layout, parts, &encoding->laid_out, &encoding->error) ||
        !write_laid_out(encoding))
        return false;
    encoding->samples += parts->frame.samples;
    return encoding->samples - encoding->samples_reported <
               (uint64_t)REPORT_SECONDS * encoding->sample_rate_hz ||
           report(encoding);
}

static bool write_frames(struct encoding *encoding)
{
    for (;;) {
        struct frame_parts parts;
        bool has_frame;
        if (!encoder_pool_read(encoding->pool, &parts, &has_frame, &encoding->error))
            return false;
        if (!has_frame)
            break;
        if (!write_frame(encoding, &parts))
            return false;
    }
    /* Of what is short this is the first time. */
    return frame_layout_end(&encoding->layout, &encoding->laid_out, &encoding->error) &&
           write_laid_out(encoding) && report(encoding);
}

static void *run(void *context)
{
    struct encoding *encoding = context;
    encoding->has_failed = !write_frames(encoding);
    pcm_ring_stop(encoding->ring);
    return NULL;
}

static void destroy(struct encoding *encoding)
{
    mp3_writer_destroy(encoding->writer);
    encoder_pool_destroy(encoding->pool);
    frame_layout_finish(&encoding->layout);
    buffer_finish(&encoding->laid_out);
    free(encoding);
}

static bool open_writer(struct encoding *encoding, const struct encoding_settings *settings,
                        struct error *error)
{
    const struct mp3_writer_settings writer = {
        .encoder = settings->pool.encoder,
        .delay_samples = encoder_pool_delay_samples(encoding->pool),
        .lowpass_hz = encoder_pool_lowpass_hz(encoding->pool),
        .source_rate_hz = settings->source_rate_hz,
        .output_size_max = settings->output_size_max,
    };
    return mp3_writer_create(&writer, encoding->io, settings->tag, &encoding->writer, error);
}

bool encoding_start(const struct encoding_settings *settings, const struct media_io *io,
                    struct pcm_ring *ring, struct encoding **out_encoding, struct error *error)
{
    struct encoding *encoding = calloc(1, sizeof *encoding);
    if (encoding == NULL)
        abort();
    encoding->io = io;
    encoding->ring = ring;
    encoding->sample_rate_hz = settings->pool.encoder.sample_rate_hz;
    encoding->duration_us = settings->duration_us;
    encoding->prepared_us = settings->prepared_us;
    encoding->laid_out = BUFFER_WITH_MAX(FRAME_LAYOUT_OUT_SIZE_MAX);
    frame_layout_init(&encoding->layout, settings->pool.encoder.is_vbr);

    bool is_ready = encoder_pool_start(&settings->pool, ring, &encoding->pool, error) &&
                    open_writer(encoding, settings, error);
    int failure = is_ready ? pthread_create(&encoding->thread, NULL, run, encoding) : 0;
    if (failure != 0)
        is_ready = error_set_errno(error, failure, "start the thread that writes");
    if (!is_ready) {
        destroy(encoding);
        return false;
    }
    *out_encoding = encoding;
    return true;
}

bool encoding_finish(struct encoding *encoding, bool is_wanted, struct media_result *out_result,
                     struct error *error)
{
    if (!is_wanted)
        pcm_ring_stop(encoding->ring);
    pthread_join(encoding->thread, NULL);
    bool succeeded = !encoding->has_failed;
    if (!succeeded && error != NULL)
        *error = encoding->error;
    if (succeeded && is_wanted)
        succeeded = mp3_writer_finish(encoding->writer, encoder_pool_samples(encoding->pool),
                                      out_result, error);
    if (succeeded && is_wanted)
        out_result->frames_encoded = encoder_pool_joins(encoding->pool).frames;
    destroy(encoding);
    return succeeded;
}
