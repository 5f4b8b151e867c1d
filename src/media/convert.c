#include "media/media.h"

#include "base/clock.h"
#include "media/encoding.h"
#include "media/mp3_frame.h"
#include "media/sound_format.h"
#include "media/source.h"
#include "media/tags.h"
#include "model/failure.h"
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>

#define BITRATE_STANDARD_KBPS 128
#define ENCODERS_MAX 16 /* each may hold 15 MB of sound, within the worker's limit */
/* How long a file that claims to be too long may be decoded only to see whether that is true. */
#define SCAN_MS_MAX (20 * CLOCK_SECOND_MS)

struct conversion {
    const struct media_job *job;
    const struct media_io *io;
    struct source *source; /* owned */
    struct encoder_pool_settings pool;
    uint32_t source_rate_hz;
};

void media_prepare(void)
{
    /* Hostile files make libavformat talk a lot, and nobody would read it. */
    av_log_set_level(AV_LOG_QUIET);
    /* The first look-up goes through every demuxer and decoder. */
    avcodec_find_decoder(AV_CODEC_ID_AAC);
    av_find_input_format("mp4");
}

static void decide(struct conversion *conversion, const AVFrame *frame)
{
    const struct conversion_options *options = conversion->job->options;
    uint32_t channels = (uint32_t)frame->ch_layout.nb_channels;
    struct encoder_settings *encoder = &conversion->pool.encoder;
    conversion->source_rate_hz = (uint32_t)frame->sample_rate;
    encoder->sample_rate_hz = mp3_sample_rate_nearest(
        options->sample_rate_hz != 0 ? options->sample_rate_hz : conversion->source_rate_hz);
    encoder->channels = options->channels != 0 ? options->channels : channels < 2 ? 1 : 2;
    encoder->is_vbr = options->has_vbr_quality;
    encoder->vbr_quality = options->vbr_quality;
    encoder->bitrate_kbps = mp3_bitrate_at_most(encoder->sample_rate_hz,
                                                options->bitrate_kbps != 0 ? options->bitrate_kbps
                                                                           : BITRATE_STANDARD_KBPS);
    uint32_t threads = conversion->job->threads;
    conversion->pool.encoders = threads < ENCODERS_MAX ? threads : ENCODERS_MAX;
    conversion->pool.samples =
        source_duration_us(conversion->source) / 1000 * encoder->sample_rate_hz / 1000;
}

static bool refuse_as_too_long(const struct media_job *job, struct error *error)
{
    return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_TOO_LONG,
                             "more than %" PRIu64 " ms of sound", job->duration_max_ms);
}

static bool is_too_long(uint64_t samples, uint32_t rate_hz, uint64_t duration_max_ms)
{
    return duration_max_ms != 0 && samples / rate_hz >= duration_max_ms / 1000 &&
           samples * 1000 > duration_max_ms * rate_hz;
}

static bool reopen(struct conversion *conversion, struct error *error)
{
    source_close(conversion->source);
    conversion->source = NULL;
    return source_open(conversion->io, conversion->job->options, &conversion->source, error);
}

/* What a file claims is never believed. But where it claims to be too long, decoding alone, which
 * is far faster than encoding, shows soon whether it is: 24 hours of silence can be 164 KB. */
static bool scan(struct conversion *conversion, struct error *error)
{
    uint64_t duration_max_ms = conversion->job->duration_max_ms;
    if (duration_max_ms == 0 || source_duration_us(conversion->source) / 1000 <= duration_max_ms)
        return true;
    int64_t end_ms = clock_boot_ms() + SCAN_MS_MAX;
    uint64_t samples_us = 0;
    while (clock_boot_ms() < end_ms) {
        const AVFrame *frame;
        if (!source_read(conversion->source, &frame, error))
            return false;
        if (frame == NULL)
            break;
        samples_us += (uint64_t)frame->nb_samples * 1000000 / (uint64_t)frame->sample_rate;
        if (samples_us / 1000 > duration_max_ms)
            return refuse_as_too_long(conversion->job, error);
    }
    return reopen(conversion, error);
}

/* `frame` is the first; the rest is read here. */
static bool decode(struct conversion *conversion, struct sound_format *format, const AVFrame *frame,
                   struct error *error)
{
    bool goes_on = true;
    while (frame != NULL && goes_on) {
        if (!sound_format_add(format, frame, source_position(conversion->source), &goes_on, error))
            return false;
        if (is_too_long(sound_format_samples(format), conversion->pool.encoder.sample_rate_hz,
                        conversion->job->duration_max_ms))
            return refuse_as_too_long(conversion->job, error);
        if (goes_on && !source_read(conversion->source, &frame, error))
            return false;
    }
    return true;
}

static bool start_encoding(const struct conversion *conversion, struct pcm_ring *ring,
                           struct encoding **out_encoding, struct error *error)
{
    struct buffer tag;
    tags_format(conversion->source, conversion->job->options, &tag);
    const struct encoding_settings settings = {
        .pool = conversion->pool,
        .source_rate_hz = conversion->source_rate_hz,
        .output_size_max = conversion->job->output_size_max,
        .duration_us = source_duration_us(conversion->source),
        .tag = &tag,
    };
    bool is_started = encoding_start(&settings, conversion->io, ring, out_encoding, error);
    buffer_finish(&tag);
    return is_started;
}

/* Decodes in this thread what others encode. */
static bool run(struct conversion *conversion, const AVFrame *first,
                struct media_result *out_result, struct error *error)
{
    struct pcm_ring *ring = pcm_ring_create(encoder_pool_blocks(&conversion->pool));
    struct sound_format *format = sound_format_create(conversion->pool.encoder.sample_rate_hz,
                                                      conversion->pool.encoder.channels, ring);
    struct encoding *encoding;
    bool succeeded = start_encoding(conversion, ring, &encoding, error);
    if (succeeded) {
        succeeded = decode(conversion, format, first, error);
        sound_format_finish(format);
        /* Resampling takes some sound to begin with: of a few samples nothing may come out. */
        if (succeeded && sound_format_samples(format) == 0)
            succeeded = error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                          "the sound is too short for its new sample rate");
        /* Where both failed, the decoder's reason stands: it came first, or the ring had stopped
         * and decoding did not fail. */
        bool is_encoded =
            encoding_finish(encoding, succeeded, out_result, succeeded ? error : NULL);
        succeeded = succeeded && is_encoded;
    }
    sound_format_destroy(format);
    pcm_ring_destroy(ring);
    return succeeded;
}

static bool convert(struct conversion *conversion, struct media_result *out_result,
                    struct error *error)
{
    const AVFrame *first;
    if (!source_open(conversion->io, conversion->job->options, &conversion->source, error) ||
        !scan(conversion, error) || !source_read(conversion->source, &first, error))
        return false;
    decide(conversion, first);
    if (!run(conversion, first, out_result, error))
        return false;
    out_result->is_truncated = source_is_truncated(conversion->source);
    return true;
}

bool media_convert(const struct media_job *job, const struct media_io *io,
                   struct media_result *out_result, struct error *error)
{
    struct conversion conversion = {.job = job, .io = io};
    bool succeeded = convert(&conversion, out_result, error);
    source_close(conversion.source);
    return succeeded;
}
