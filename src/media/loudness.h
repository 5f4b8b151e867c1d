#pragma once

/* How loud sound is as a whole (EBU R128: ITU-R BS.1770, gated), and how high it peaks. Memory does
 * not grow with it. */

#include "media/sound_sink.h"

struct loudness;

/* Loudness without what is above `lowpass_hz`; 0: with all of it. */
struct loudness *loudness_create(uint32_t sample_rate_hz, uint32_t channels, uint32_t lowpass_hz);
void loudness_destroy(struct loudness *loudness); /* NULL is fine */
/* What is given to it ends there. */
struct sound_sink loudness_sink(struct loudness *loudness);

/* After the end. False: there is none, of silence, or of less than 0.4 s. */
bool loudness_get_lufs(const struct loudness *loudness, double *out_lufs);
double loudness_true_peak(const struct loudness *loudness); /* of SOUND_FULL_SCALE */
