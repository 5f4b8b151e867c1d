#include "media/sound_format.h"

#include "model/failure.h"
#include <assert.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

/* Float sound may be louder than full scale, but not by more than this; broken files hold
 * infinities and numbers that would take LAME's arithmetic there. */
#define LOUDEST (16 * SOUND_FULL_SCALE)

/* Samples that go through the resampler in one step. */
#define SLICE_SAMPLES 4096
/* No slice becomes more than this: see slice_size(). */
#define SCRATCH_SAMPLES 16384
#define PLANES_MAX 64
/* Telephones begin at 4 kHz, DSD comes as 352.8 kHz and its multiples. */
#define RATE_HZ_MIN 1000
#define RATE_HZ_MAX 6000000

struct sound_format {
    uint32_t sample_rate_hz;
    uint32_t channels;
    struct sound_sink sink;
    uint64_t samples;
    uint64_t input_position;
    bool is_stopped;

    SwrContext *resampler; /* owned; NULL: frames go through as they are */
    enum AVSampleFormat resampled_format;
    float *scratch[2]; /* owned; SCRATCH_SAMPLES each */
    /* What the resampler was made for. */
    bool is_configured;
    int in_format;
    int in_rate_hz;
    AVChannelLayout in_layout;
};

struct sound_format *sound_format_create(uint32_t sample_rate_hz, uint32_t channels,
                                         const struct sound_sink *sink)
{
    struct sound_format *format = calloc(1, sizeof *format);
    float *scratch = calloc(2 * SCRATCH_SAMPLES, sizeof *scratch);
    if (format == NULL || scratch == NULL)
        abort();
    assert(channels <= 2);
    format->sample_rate_hz = sample_rate_hz;
    format->channels = channels;
    format->sink = *sink;
    format->scratch[0] = scratch;
    format->scratch[1] = scratch + SCRATCH_SAMPLES;
    return format;
}

void sound_format_destroy(struct sound_format *format)
{
    if (format == NULL)
        return;
    swr_free(&format->resampler);
    av_channel_layout_uninit(&format->in_layout);
    free(format->scratch[0]);
    free(format);
}

static void scale(float *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float sample = from[i] * SOUND_FULL_SCALE;
        sample = sample > LOUDEST ? LOUDEST : sample;
        sample = sample < -LOUDEST ? -LOUDEST : sample;
        to[i] = sample == sample ? sample : 0; /* not a number: silence */
    }
}

/* Scratch planes, full to `count` samples. */
static void emit(struct sound_format *format, size_t count)
{
    format->is_stopped =
        !format->sink.take(format->sink.context, format->scratch, count, format->input_position);
    format->samples += count;
}

/* Sound that is as it is wanted. */
static void pass_on(struct sound_format *format, const struct sound_part *part)
{
    const size_t count = (size_t)part->count;
    for (size_t done = 0; done < count && !format->is_stopped;) {
        size_t size = count - done < SCRATCH_SAMPLES ? count - done : SCRATCH_SAMPLES;
        for (uint32_t channel = 0; channel < format->channels; channel++) {
            const float *plane = (const float *)part->frame->extended_data[channel];
            scale(format->scratch[channel], plane + (size_t)part->from + done, size);
        }
        emit(format, size);
        done += size;
    }
}

/* From the end on, since what comes out of 16 bits is larger. */
static void widen(float *plane, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)plane;
    for (size_t i = count; i-- > 0;) {
        int16_t sample;
        memcpy(&sample, bytes + i * sizeof sample, sizeof sample);
        plane[i] = sample;
    }
}

static void narrow(float *plane, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t sample;
        memcpy(&sample, plane + i, sizeof sample);
        plane[i] = (float)sample / 65536;
    }
}

/* What the resampler left in the scratch planes. */
static void emit_resampled(struct sound_format *format, size_t count)
{
    for (uint32_t channel = 0; channel < format->channels; channel++) {
        float *plane = format->scratch[channel];
        if (format->resampled_format == AV_SAMPLE_FMT_S16P)
            widen(plane, count);
        else if (format->resampled_format == AV_SAMPLE_FMT_S32P)
            narrow(plane, count);
        else
            scale(plane, plane, count);
    }
    emit(format, count);
}

/* As ffmpeg chooses among those that its LAME takes: whole numbers are resampled and mixed as whole
 * numbers. That is not only a matter of rounding: of those, as they cannot be louder than full
 * scale, a mix is made softer, so that it never is. */
static enum AVSampleFormat resampled_format(enum AVSampleFormat format)
{
    if (av_get_bytes_per_sample(format) <= 2)
        return AV_SAMPLE_FMT_S16P;
    return av_get_packed_sample_fmt(format) == AV_SAMPLE_FMT_S32 ? AV_SAMPLE_FMT_S32P
                                                                 : AV_SAMPLE_FMT_FLTP;
}

static bool has_same_format(const struct sound_format *format, const AVFrame *frame)
{
    return format->is_configured && frame->format == format->in_format &&
           frame->sample_rate == format->in_rate_hz &&
           av_channel_layout_compare(&frame->ch_layout, &format->in_layout) == 0;
}

static AVChannelLayout layout_of_output(const struct sound_format *format)
{
    return format->channels == 1 ? (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO
                                 : (AVChannelLayout)AV_CHANNEL_LAYOUT_STEREO;
}

/* Files that do not say which channel is which mean the usual order for their number. */
static void find_layout(const AVFrame *frame, AVChannelLayout *out_layout)
{
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(out_layout, frame->ch_layout.nb_channels);
    else if (av_channel_layout_copy(out_layout, &frame->ch_layout) < 0)
        abort();
}

static bool is_as_wanted(const struct sound_format *format, const AVFrame *frame,
                         const AVChannelLayout *layout)
{
    AVChannelLayout wanted = layout_of_output(format);
    return frame->format == AV_SAMPLE_FMT_FLTP &&
           (uint32_t)frame->sample_rate == format->sample_rate_hz &&
           av_channel_layout_compare(layout, &wanted) == 0;
}

static int create_resampler(struct sound_format *format, const AVFrame *frame,
                            AVChannelLayout *layout, bool is_mixed_by_number)
{
    AVChannelLayout wanted = layout_of_output(format);
    swr_free(&format->resampler);
    format->resampled_format = resampled_format(frame->format);
    int result = swr_alloc_set_opts2(&format->resampler, &wanted, format->resampled_format,
                                     (int)format->sample_rate_hz, layout, frame->format,
                                     frame->sample_rate, 0, NULL);
    if (result >= 0 && is_mixed_by_number) {
        /* The first channel left, the second right: what discrete tracks most often hold. */
        double matrix[2 * PLANES_MAX] = {0};
        int stride = layout->nb_channels;
        matrix[0] = 1;
        if (format->channels == 2)
            matrix[stride + (stride > 1 ? 1 : 0)] = 1;
        result = swr_set_matrix(format->resampler, matrix, stride);
    }
    return result >= 0 ? swr_init(format->resampler) : result;
}

static void drain(struct sound_format *format)
{
    while (format->resampler != NULL && !format->is_stopped) {
        int count =
            swr_convert(format->resampler,
                        (uint8_t *[]){(uint8_t *)format->scratch[0], (uint8_t *)format->scratch[1]},
                        SCRATCH_SAMPLES, NULL, 0);
        if (count <= 0)
            break;
        emit_resampled(format, (size_t)count);
    }
}

static bool configure(struct sound_format *format, const AVFrame *frame, struct error *error)
{
    drain(format); /* a change in the middle: the old kind's last samples come first */
    swr_free(&format->resampler);
    format->is_configured = true;
    format->in_format = frame->format;
    format->in_rate_hz = frame->sample_rate;
    av_channel_layout_uninit(&format->in_layout);
    if (av_channel_layout_copy(&format->in_layout, &frame->ch_layout) < 0)
        abort();

    AVChannelLayout layout = {0};
    find_layout(frame, &layout);
    bool is_done = is_as_wanted(format, frame, &layout);
    if (!is_done && layout.nb_channels <= PLANES_MAX && frame->sample_rate >= RATE_HZ_MIN &&
        frame->sample_rate <= RATE_HZ_MAX)
        is_done = (layout.order != AV_CHANNEL_ORDER_UNSPEC &&
                   create_resampler(format, frame, &layout, false) >= 0) ||
                  create_resampler(format, frame, &layout, true) >= 0;
    av_channel_layout_uninit(&layout);
    if (!is_done)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_UNSUPPORTED_CODEC,
                                 "sound of %d channels at %d Hz cannot be mixed",
                                 frame->ch_layout.nb_channels, frame->sample_rate);
    return true;
}

/* So few samples that what they become fits the scratch planes. */
static int slice_size(const struct sound_format *format, int count)
{
    int64_t fitting = (int64_t)(SCRATCH_SAMPLES / 2) * format->in_rate_hz / format->sample_rate_hz;
    int size = fitting < SLICE_SAMPLES ? (int)fitting : SLICE_SAMPLES;
    return size < count ? size : count;
}

static bool resample(struct sound_format *format, const struct sound_part *part,
                     struct error *error)
{
    const AVFrame *frame = part->frame;
    bool is_planar = av_sample_fmt_is_planar(frame->format) != 0;
    int channels = frame->ch_layout.nb_channels;
    int planes = is_planar ? channels : 1;
    size_t step =
        (size_t)av_get_bytes_per_sample(frame->format) * (size_t)(is_planar ? 1 : channels);

    for (int done = 0; done < part->count && !format->is_stopped;) {
        int size = slice_size(format, part->count - done);
        const uint8_t *from[PLANES_MAX];
        for (int plane = 0; plane < planes; plane++)
            from[plane] = frame->extended_data[plane] + (size_t)(part->from + done) * step;
        int count =
            swr_convert(format->resampler,
                        (uint8_t *[]){(uint8_t *)format->scratch[0], (uint8_t *)format->scratch[1]},
                        SCRATCH_SAMPLES, from, size);
        if (count < 0)
            return error_set(error, ERROR_INTERNAL, "resampling failed with %d", count);
        emit_resampled(format, (size_t)count);
        done += size;
    }
    return true;
}

bool sound_format_add(struct sound_format *format, const struct sound_part *part, bool *out_goes_on,
                      struct error *error)
{
    const AVFrame *frame = part->frame;
    format->input_position = part->input_position;
    if (!has_same_format(format, frame) && !configure(format, frame, error))
        return false;
    if (format->resampler != NULL) {
        if (!resample(format, part, error))
            return false;
    } else {
        pass_on(format, part);
    }
    *out_goes_on = !format->is_stopped;
    return true;
}

void sound_format_finish(struct sound_format *format)
{
    drain(format);
    if (!format->is_stopped)
        format->sink.end(format->sink.context);
}

uint64_t sound_format_samples(const struct sound_format *format)
{
    return format->samples;
}
