#pragma once

/* Makes of decoded frames what the encoder takes: float, one rate, mono or stereo, full scale
 * ±32768, in blocks of the ring. Resamples and mixes (libswresample) only where it must; what
 * needs neither goes through to the bit. */

#include "media/pcm_ring.h"
#include "base/error.h"

struct AVFrame;
struct sound_format;

struct sound_format *sound_format_create(uint32_t sample_rate_hz, uint32_t channels,
                                         struct pcm_ring *ring);
void sound_format_destroy(struct sound_format *format); /* NULL is fine */

/* FAILURE_UNSUPPORTED_CODEC where the frame's channels cannot be mixed. *out_goes_on is false where
 * the ring's reader has stopped. */
MUST_CHECK bool sound_format_add(struct sound_format *format, const struct AVFrame *frame,
                                 uint64_t input_position, bool *out_goes_on, struct error *error);
/* The last samples, and the ring's end. */
void sound_format_finish(struct sound_format *format);
uint64_t sound_format_samples(const struct sound_format *format); /* given out, per channel */
