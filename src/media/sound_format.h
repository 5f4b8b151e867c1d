#pragma once

/* Makes of decoded frames what the encoder takes: float, one rate, mono or stereo, full scale
 * ±32768. Resamples and mixes (libswresample) only where it must; what needs neither goes through
 * to the bit. */

#include "media/sound_sink.h"
#include "base/error.h"

struct AVFrame;
struct sound_format;

/* `channels` are 1 or 2, the rate is one that MPEG knows. What is in `sink` is borrowed. */
struct sound_format *sound_format_create(uint32_t sample_rate_hz, uint32_t channels,
                                         const struct sound_sink *sink);
void sound_format_destroy(struct sound_format *format); /* NULL is fine */

struct sound_part {
    const struct AVFrame *frame;
    int from, count;         /* samples of it */
    uint64_t input_position; /* how far the input was read for it */
};

/* FAILURE_UNSUPPORTED_CODEC where the frame's channels cannot be mixed, ERROR_INTERNAL where they
 * should have been. *out_goes_on is false where the sink wants no more. Waits as long as the sink
 * does. */
MUST_CHECK bool sound_format_add(struct sound_format *format, const struct sound_part *part,
                                 bool *out_goes_on, struct error *error);
void sound_format_finish(struct sound_format *format); /* the last samples, and the sink's end */
uint64_t sound_format_samples(const struct sound_format *format); /* given out, per channel */
