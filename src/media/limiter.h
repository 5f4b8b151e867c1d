#pragma once

/* Makes sound louder or softer by a fixed gain, and keeps its true peaks below a ceiling.
 *
 * The limiter looks ahead: some milliseconds before a peak that would rise over the ceiling it
 * turns the sound down, all channels alike, and afterwards up again, slowly. It never clips. Where
 * nothing rises over the ceiling it does nothing but multiply. Pure. */

#include "media/sound_sink.h"

struct limiter;

struct limiter_settings {
    uint32_t sample_rate_hz;
    uint32_t channels; /* 1 or 2 */
    double gain;       /* a factor */
    double ceiling;    /* of samples and of what lies between them, of SOUND_FULL_SCALE; 0: none,
                        * only the gain */
    double scale;      /* a factor for what comes out, after the ceiling */
};

/* What comes out goes to `next`, as many samples as came in; the last only at the end. */
struct limiter *limiter_create(const struct limiter_settings *settings,
                               const struct sound_sink *next);
void limiter_destroy(struct limiter *limiter); /* NULL is fine */
struct sound_sink limiter_sink(struct limiter *limiter);
