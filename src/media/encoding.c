#include "media/encoding.h"

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
    pthread_t thread;

    /* The thread's own until it is joined. */
    struct encoder *encoder;   /* owned */
    struct mp3_writer *writer; /* owned */
    uint64_t samples;          /* encoded, per channel */
    uint64_t samples_reported;
    uint64_t input_position; /* of what was encoded last */
    bool has_failed;
    struct error error;
};

static bool report(struct encoding *encoding)
{
    encoding->samples_reported = encoding->samples;
    const struct media_progress progress = {
        .position_us = encoding->samples * 1000000 / encoding->sample_rate_hz,
        .duration_us = encoding->duration_us,
        .input_position = encoding->input_position,
    };
    return mp3_writer_flush(encoding->writer, &encoding->error) &&
           encoding->io->progress(encoding->io->context, &progress, &encoding->error);
}

static bool encode(struct encoding *encoding, const struct pcm_segment *segment)
{
    unsigned char bytes[ENCODER_OUTPUT_SIZE_MAX];
    size_t size;
    if (!encoder_add(encoding->encoder, segment->samples[0], segment->samples[1], segment->count,
                     bytes, &size, &encoding->error) ||
        !mp3_writer_add(encoding->writer, bytes, size, &encoding->error))
        return false;
    encoding->samples += segment->count;
    encoding->input_position = segment->input_position;
    return encoding->samples - encoding->samples_reported <
               (uint64_t)REPORT_SECONDS * encoding->sample_rate_hz ||
           report(encoding);
}

static void *run(void *context)
{
    struct encoding *encoding = context;
    const struct pcm_segment *segment;
    while ((segment = pcm_ring_get_full(encoding->ring)) != NULL) {
        encoding->has_failed = !encode(encoding, segment);
        if (encoding->has_failed)
            break;
        pcm_ring_release(encoding->ring);
    }
    /* Of what is short this is the first time. */
    if (!encoding->has_failed)
        encoding->has_failed = !report(encoding);
    pcm_ring_stop(encoding->ring);
    return NULL;
}

static void destroy(struct encoding *encoding)
{
    mp3_writer_destroy(encoding->writer);
    encoder_destroy(encoding->encoder);
    free(encoding);
}

bool encoding_start(const struct encoding_settings *settings, const struct media_io *io,
                    struct pcm_ring *ring, struct encoding **out_encoding, struct error *error)
{
    struct encoding *encoding = calloc(1, sizeof *encoding);
    if (encoding == NULL)
        abort();
    encoding->io = io;
    encoding->ring = ring;
    encoding->sample_rate_hz = settings->encoder.sample_rate_hz;
    encoding->duration_us = settings->duration_us;

    bool is_ready = encoder_create(&settings->encoder, &encoding->encoder, error);
    if (is_ready) {
        const struct mp3_writer_settings writer = {
            .encoder = settings->encoder,
            .delay_samples = encoder_delay_samples(encoding->encoder),
            .lowpass_hz = encoder_lowpass_hz(encoding->encoder),
            .source_rate_hz = settings->source_rate_hz,
            .output_size_max = settings->output_size_max,
        };
        is_ready = mp3_writer_create(&writer, io, settings->tag, &encoding->writer, error);
    }
    if (is_ready && pthread_create(&encoding->thread, NULL, run, encoding) != 0)
        is_ready = error_set(error, ERROR_UNAVAILABLE, "no thread to encode in");
    if (!is_ready) {
        destroy(encoding);
        return false;
    }
    *out_encoding = encoding;
    return true;
}

static bool finish(struct encoding *encoding, struct media_result *out_result, struct error *error)
{
    unsigned char bytes[ENCODER_OUTPUT_SIZE_MAX];
    size_t size;
    return encoder_finish(encoding->encoder, bytes, &size, error) &&
           mp3_writer_add(encoding->writer, bytes, size, error) &&
           mp3_writer_finish(encoding->writer, encoding->samples, out_result, error);
}

bool encoding_finish(struct encoding *encoding, bool is_wanted, struct media_result *out_result,
                     struct error *error)
{
    pthread_join(encoding->thread, NULL);
    bool succeeded = !encoding->has_failed;
    if (!succeeded && error != NULL)
        *error = encoding->error;
    if (succeeded && is_wanted)
        succeeded = finish(encoding, out_result, error);
    destroy(encoding);
    return succeeded;
}
