#include "media/encoder.h"

#include <assert.h>
#include <lame/lame.h>
#include <stdlib.h>

struct encoder {
    lame_global_flags *lame; /* owned */
    bool is_mono;
};

static void be_silent(const char *format, va_list arguments)
{
    (void)format;
    (void)arguments;
}

static void set_up(lame_global_flags *lame, const struct encoder_settings *settings)
{
    lame_set_errorf(lame, be_silent);
    lame_set_debugf(lame, be_silent);
    lame_set_msgf(lame, be_silent);
    lame_set_in_samplerate(lame, (int)settings->sample_rate_hz);
    lame_set_out_samplerate(lame, (int)settings->sample_rate_hz);
    lame_set_num_channels(lame, (int)settings->channels);
    lame_set_mode(lame, settings->channels == 1 ? MONO : JOINT_STEREO);
    if (settings->is_vbr) {
        lame_set_VBR(lame, vbr_default);
        lame_set_VBR_quality(lame, (float)settings->vbr_quality);
    } else {
        lame_set_brate(lame, (int)settings->bitrate_kbps);
    }
    /* Both are written by us: LAME's own Info frame is missing at small bitrates. */
    lame_set_bWriteVbrTag(lame, 0);
    lame_set_write_id3tag_automatic(lame, 0);
}

bool encoder_create(const struct encoder_settings *settings, struct encoder **out_encoder,
                    struct error *error)
{
    lame_global_flags *lame = lame_init();
    if (lame == NULL)
        abort();
    set_up(lame, settings);
    if (lame_init_params(lame) < 0) {
        lame_close(lame);
        return error_set(error, ERROR_INTERNAL, "LAME refused %u Hz, %u channels, %u kb/s",
                         settings->sample_rate_hz, settings->channels, settings->bitrate_kbps);
    }
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        abort();
    encoder->lame = lame;
    encoder->is_mono = settings->channels == 1;
    *out_encoder = encoder;
    return true;
}

void encoder_destroy(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    lame_close(encoder->lame);
    free(encoder);
}

static bool check(int lame_result, size_t *out_size, struct error *error)
{
    if (lame_result < 0)
        return error_set(error, ERROR_INTERNAL, "LAME failed with %d", lame_result);
    *out_size = (size_t)lame_result;
    return true;
}

bool encoder_add(struct encoder *encoder, const float *left, const float *right, size_t count,
                 unsigned char out_bytes[ENCODER_OUTPUT_SIZE_MAX], size_t *out_size,
                 struct error *error)
{
    assert(count <= ENCODER_SAMPLES_MAX);
    /* Not the _ieee variant, which scales by 32767 inside and so gives other frames. */
    int result = lame_encode_buffer_float(encoder->lame, left, encoder->is_mono ? left : right,
                                          (int)count, out_bytes, ENCODER_OUTPUT_SIZE_MAX);
    return check(result, out_size, error);
}

bool encoder_finish(struct encoder *encoder, unsigned char out_bytes[ENCODER_OUTPUT_SIZE_MAX],
                    size_t *out_size, struct error *error)
{
    int result = lame_encode_flush(encoder->lame, out_bytes, ENCODER_OUTPUT_SIZE_MAX);
    return check(result, out_size, error);
}

uint32_t encoder_delay_samples(const struct encoder *encoder)
{
    return (uint32_t)lame_get_encoder_delay(encoder->lame);
}

uint32_t encoder_lowpass_hz(const struct encoder *encoder)
{
    int lowpass_hz = lame_get_lowpassfreq(encoder->lame);
    return lowpass_hz > 0 ? (uint32_t)lowpass_hz : 0;
}

double encoder_scale(const struct encoder *encoder)
{
    return (double)lame_get_scale(encoder->lame);
}
