#include "media/media.h"

#include "base/clock.h"
#include "media/block_filler.h"
#include "media/copying.h"
#include "media/decoding.h"
#include "media/encoding.h"
#include "media/mp3_frame.h"
#include "media/source.h"
#include "media/tags.h"
#include "media/volume.h"
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>

#define BITRATE_STANDARD_KBPS 128
/* How long a file that claims to be too long may be decoded only to see whether that is true. */
#define SCAN_MS_MAX (20 * CLOCK_SECOND_MS)

struct conversion {
    const struct media_job *job;
    const struct media_io *io;
    struct excerpt *excerpt; /* owned */
    struct encoder_pool_settings pool;
    struct limiter_settings volume; /* a gain of 0: as it is */
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
    conversion->pool.encoders = conversion->job->threads;
    conversion->pool.samples =
        excerpt_duration_us(conversion->excerpt) / 1000 * encoder->sample_rate_hz / 1000;
}

/* What a file claims is never believed. But where it claims to be too long, decoding alone, which
 * is far faster than encoding, shows soon whether it is: 24 hours of silence can be 164 KB. */
static bool scan(struct conversion *conversion, struct error *error)
{
    uint64_t duration_max_ms = conversion->job->duration_max_ms;
    if (duration_max_ms == 0 || excerpt_duration_us(conversion->excerpt) / 1000 <= duration_max_ms)
        return true;
    int64_t end_ms = clock_boot_ms() + SCAN_MS_MAX;
    uint64_t samples_us = 0;
    while (clock_boot_ms() < end_ms) {
        struct sound_part part;
        if (!excerpt_read(conversion->excerpt, &part, error))
            return false;
        if (part.frame == NULL)
            break;
        samples_us += (uint64_t)part.count * 1000000 / (uint64_t)part.frame->sample_rate;
        if (!decoding_check_length(conversion->job, samples_us, 1000000, error))
            return false;
    }
    return excerpt_rewind(conversion->excerpt, error);
}

static bool start_encoding(const struct conversion *conversion, struct pcm_ring *ring,
                           struct encoding **out_encoding, struct error *error)
{
    struct buffer tag;
    tags_format(excerpt_source(conversion->excerpt), conversion->job->options, &tag);
    const struct encoding_settings settings = {
        .pool = conversion->pool,
        .source_rate_hz = conversion->source_rate_hz,
        .output_size_max = conversion->job->output_size_max,
        .duration_us = excerpt_duration_us(conversion->excerpt),
        .prepared_us = excerpt_prepared_us(conversion->excerpt),
        .tag = &tag,
    };
    bool is_started = encoding_start(&settings, conversion->io, ring, out_encoding, error);
    buffer_finish(&tag);
    return is_started;
}

static struct decoding decoding_of(const struct conversion *conversion, bool is_preparation)
{
    return (struct decoding){
        .job = conversion->job,
        .excerpt = conversion->excerpt,
        .sample_rate_hz = conversion->pool.encoder.sample_rate_hz,
        .channels = conversion->pool.encoder.channels,
        .is_preparation = is_preparation,
    };
}

/* Decodes in this thread what others encode. */
static bool run(struct conversion *conversion, const struct sound_part *first,
                struct media_result *out_result, struct error *error)
{
    struct pcm_ring *ring = pcm_ring_create(encoder_pool_blocks(&conversion->pool));
    const struct encoder_settings *encoder = &conversion->pool.encoder;
    struct block_filler filler = {.ring = ring, .channels = encoder->channels};
    struct sound_sink sink = block_filler_sink(&filler);
    struct limiter *limiter = NULL;
    if (conversion->volume.gain > 0) {
        limiter = limiter_create(&conversion->volume, &sink);
        sink = limiter_sink(limiter);
    }
    struct encoding *encoding;
    bool succeeded = start_encoding(conversion, ring, &encoding, error);
    if (succeeded) {
        const struct decoding decoding = decoding_of(conversion, false);
        succeeded = decoding_run(&decoding, first, &sink, error);
        /* Where both failed, the decoder's reason stands: it came first, or the ring had stopped
         * and decoding did not fail. */
        bool is_encoded =
            encoding_finish(encoding, succeeded, out_result, succeeded ? error : NULL);
        succeeded = succeeded && is_encoded;
    }
    limiter_destroy(limiter);
    pcm_ring_destroy(ring);
    return succeeded;
}

/* No wish that the frames as they are would not fulfil. */
static bool needs_no_change(const struct conversion_options *options)
{
    return options->bitrate_kbps == 0 && !options->has_vbr_quality &&
           options->sample_rate_hz == 0 && options->channels == 0 && options->start_us == 0 &&
           options->end_us == 0 && options->loudness_ulufs == 0;
}

static bool copy(struct conversion *conversion, struct copying *copying, const struct buffer *tag,
                 struct media_result *out_result, struct error *error)
{
    if (copying_needs_source(copying) && !excerpt_rewind(conversion->excerpt, error))
        return false;
    struct source *source = excerpt_source(conversion->excerpt);
    return copying_run(copying, conversion->io, source, tag, out_result, error);
}

/* *out_is_copied is false where the sound has to be encoded: the excerpt is at its start again. */
static bool try_to_copy(struct conversion *conversion, bool *out_is_copied,
                        struct media_result *out_result, struct error *error)
{
    const struct conversion_options *options = conversion->job->options;
    struct source *source = excerpt_source(conversion->excerpt);
    struct copying *copying = NULL;
    struct buffer tag;
    *out_is_copied = false;
    if (options->copy == CONVERSION_COPY_NEVER || !needs_no_change(options) ||
        !source_is_mp3(source))
        return true;
    tags_format(source, options, &tag); /* as the file begins, like that of what is encoded */
    bool succeeded = copying_plan(conversion->job, source, &copying, error);
    *out_is_copied = copying != NULL;
    if (succeeded)
        succeeded = copying != NULL ? copy(conversion, copying, &tag, out_result, error)
                                    : excerpt_rewind(conversion->excerpt, error);
    copying_destroy(copying);
    buffer_finish(&tag);
    return succeeded;
}

/* Reads the excerpt's first part. */
static bool begin(struct conversion *conversion, struct sound_part *out_first, struct error *error)
{
    const struct conversion_options *options = conversion->job->options;
    struct excerpt *excerpt = conversion->excerpt;
    bool is_measured = options->loudness_ulufs != 0;
    uint64_t start_us = (uint64_t)options->start_us;
    excerpt_plan(excerpt, is_measured ? 2 * start_us + excerpt_duration_us(excerpt) : start_us);
    /* What is measured is counted. */
    if ((!is_measured && !scan(conversion, error)) || !excerpt_read(excerpt, out_first, error))
        return false;
    decide(conversion, out_first->frame);
    return true;
}

/* LAME makes sound a little softer, and takes the highest of it away; the MP3 is to be as loud as
 * was asked for all the same. */
static bool ask_encoder(const struct conversion *conversion, double *out_scale,
                        uint32_t *out_lowpass_hz, struct error *error)
{
    struct encoder *encoder;
    if (!encoder_create(&conversion->pool.encoder, &encoder, error))
        return false;
    double scale = encoder_scale(encoder);
    *out_scale = scale > 0 ? 1 / scale : 1;
    *out_lowpass_hz = encoder_lowpass_hz(encoder);
    encoder_destroy(encoder);
    return true;
}

/* Finds out how loud it is, and begins again. */
static bool measure(struct conversion *conversion, struct sound_part *first, struct error *error)
{
    struct volume_wish wish = {.lufs = (double)conversion->job->options->loudness_ulufs / 1e6};
    double scale;
    const struct decoding decoding = decoding_of(conversion, true);
    if (!ask_encoder(conversion, &scale, &wish.lowpass_hz, error) ||
        !volume_find(&decoding, first, &wish, &conversion->volume, error) ||
        !excerpt_rewind(conversion->excerpt, error) ||
        !excerpt_read(conversion->excerpt, first, error))
        return false;
    conversion->volume.scale = scale;
    decide(conversion, first->frame); /* the length is known now */
    return true;
}

static bool encode(struct conversion *conversion, struct media_result *out_result,
                   struct error *error)
{
    struct sound_part first;
    return begin(conversion, &first, error) &&
           (conversion->job->options->loudness_ulufs == 0 || measure(conversion, &first, error)) &&
           excerpt_tell_prepared(conversion->excerpt, first.input_position, error) &&
           run(conversion, &first, out_result, error);
}

static bool convert(struct conversion *conversion, struct media_result *out_result,
                    struct error *error)
{
    bool is_copied;
    if (!excerpt_open(conversion->job, conversion->io, &conversion->excerpt, error) ||
        !try_to_copy(conversion, &is_copied, out_result, error) ||
        (!is_copied && !encode(conversion, out_result, error)))
        return false;
    out_result->is_truncated = excerpt_is_truncated(conversion->excerpt);
    out_result->input_duration_us = source_duration_us(excerpt_source(conversion->excerpt));
    return true;
}

bool media_convert(const struct media_job *job, const struct media_io *io,
                   struct media_result *out_result, struct error *error)
{
    struct conversion conversion = {.job = job, .io = io};
    bool succeeded = convert(&conversion, out_result, error);
    excerpt_close(conversion.excerpt);
    return succeeded;
}
