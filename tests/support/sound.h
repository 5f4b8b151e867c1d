#pragma once

/* Sound for tests of the engine: the same numbers every time, with all that encoders treat
 * differently: tones, attacks, noise, near silence and silence. */

#include <stddef.h>
#include <stdint.h>

enum sound {
    SOUND_MUSIC,
    SOUND_SPEECH,
    SOUND_NOISE,
    SOUND_TONES,
    SOUND_SILENCE,
    SOUND_KINDS,
    SOUND_IN_TURN = SOUND_KINDS, /* ten seconds of each, then from the beginning */
    SOUND_STEPS,                 /* from silence to full loudness at once, and back */
};

/* Full scale ±32768, as LAME wants it. The channels differ. */
void sound_fill(float *samples, size_t count, uint32_t sample_rate_hz, uint32_t channel,
                enum sound sound);
