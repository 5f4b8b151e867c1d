#pragma once

/* About what an encoder's lowpass leaves of sound: a Butterworth filter of the eighth order. Only
 * for those who measure: LAME has a filter of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOWPASS_SECTIONS 4

struct lowpass {
    struct lowpass_section {
        double b0, b1, b2, a1, a2;
    } sections[LOWPASS_SECTIONS];
    double state[2][LOWPASS_SECTIONS][2];
    bool is_open; /* everything goes through */
};

/* A `lowpass_hz` of 0, or next to half the rate: everything goes through. */
void lowpass_init(struct lowpass *lowpass, uint32_t lowpass_hz, uint32_t sample_rate_hz);
/* In place; a channel's samples, in order, full scale 1. */
void lowpass_apply(struct lowpass *lowpass, uint32_t channel, float *samples, size_t count);
