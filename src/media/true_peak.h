#pragma once

/* How high sound rises between its samples, once it is sound again: it is computed at four times
 * its rate (ITU-R BS.1770-4, annex 2). Pure. */

#include <stddef.h>
#include <stdint.h>

/* Samples on each side that a point between two of them is computed from. */
#define TRUE_PEAK_REACH 8
#define TRUE_PEAK_TAPS (2 * TRUE_PEAK_REACH)

struct true_peak {
    uint32_t channels; /* 1 or 2 */
    float taps[3][TRUE_PEAK_TAPS];
    float history[2][TRUE_PEAK_TAPS - 1];
    float before; /* the height just before the next sample */
};

void true_peak_init(struct true_peak *peak, uint32_t channels);
/* out_heights[i] is how high any channel rises at a sample and on both sides of it, half way to the
 * next ones: of the sample TRUE_PEAK_REACH before planes[…][i]. What was before the first sample is
 * silence. */
void true_peak_add(struct true_peak *peak, float *const planes[2], size_t count,
                   float *out_heights);
