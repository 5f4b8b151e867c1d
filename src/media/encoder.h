#pragma once

/* LAME, set up as `ffmpeg -c:a libmp3lame` sets it up, so that the same sound becomes the same
 * frames. The only door to LAME's encoder. */

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct encoder; /* one thread at a time */

struct encoder_settings {
    uint32_t sample_rate_hz; /* one that MPEG knows */
    uint32_t channels;       /* 1, 2 */
    bool is_vbr;
    uint32_t bitrate_kbps; /* CBR: one that MPEG knows at that rate */
    uint32_t vbr_quality;  /* VBR: 0 to 9 */
};

#define ENCODER_SAMPLES_MAX 9216
/* What one call can give, by LAME's own rule (1.25 × samples + 7200), and what it still holds. */
#define ENCODER_OUTPUT_SIZE_MAX 24576

/* Creating is not thread-safe: LAME fills tables that all encoders share. ERROR_INTERNAL, as from
 * all of them, where LAME refuses or fails. */
MUST_CHECK bool encoder_create(const struct encoder_settings *settings,
                               struct encoder **out_encoder, struct error *error);
void encoder_destroy(struct encoder *encoder); /* NULL is fine */

/* At most ENCODER_SAMPLES_MAX samples of each channel, full scale ±32768; `right` is not looked at
 * in mono. What comes out need not end where a frame ends. */
MUST_CHECK bool encoder_add(struct encoder *encoder, const float *left, const float *right,
                            size_t count, unsigned char out_bytes[ENCODER_OUTPUT_SIZE_MAX],
                            size_t *out_size, struct error *error);
/* The rest; only encoder_destroy() may follow. */
MUST_CHECK bool encoder_finish(struct encoder *encoder,
                               unsigned char out_bytes[ENCODER_OUTPUT_SIZE_MAX], size_t *out_size,
                               struct error *error);

uint32_t encoder_delay_samples(const struct encoder *encoder);
uint32_t encoder_lowpass_hz(const struct encoder *encoder);
/* What LAME multiplies all sound with before anything else: 0.95 at many bitrates, as a margin for
 * peaks that rise when what cannot be heard is left out. */
double encoder_scale(const struct encoder *encoder);
