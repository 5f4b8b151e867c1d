#include "support/sound.h"

#include <math.h>

#define PI 3.14159265358979323846

static float noise(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(*state >> 40) / (float)(1 << 23) - 1;
}

static double sample_at(enum sound sound, double seconds, uint32_t channel, double random)
{
    double beat = fmod(seconds, 0.5), slow = sin(2 * PI * 0.3 * seconds + channel);
    switch (sound) {
    case SOUND_MUSIC:
        return 9000 * sin(2 * PI * (220 + 110 * channel) * seconds) * (0.6 + 0.4 * slow) +
               7000 * sin(2 * PI * (440 + 9 * floor(seconds * 4)) * seconds) * exp(-6 * beat) +
               6000 * random * exp(-25 * beat);
    case SOUND_SPEECH:
        return (slow > -0.3 ? 1 : 0.02) *
               (6000 * sin(2 * PI * 140 * seconds + 3 * slow) * sin(2 * PI * 900 * seconds) +
                2500 * random * fabs(slow));
    case SOUND_NOISE:
        return 8000 * random;
    case SOUND_TONES:
        return 12000 * sin(2 * PI * 440 * (1 + channel) * seconds);
    case SOUND_STEPS:
        if (fmod(seconds, 3.1) < 1.3 || fmod(seconds, 4.7) < 0.2)
            return 0;
        return fmod(seconds, 6.2) < 3.1 ? 30000 * sin(2 * PI * 1000 * seconds) : 30000 * random;
    default: /* hardly anything, then nothing */
        return fmod(seconds, 10) < 5 ? 3 * random : 0;
    }
}

void sound_fill(float *samples, size_t count, uint32_t sample_rate_hz, uint32_t channel,
                enum sound sound)
{
    uint64_t state = 7 + channel;
    for (size_t i = 0; i < count; i++) {
        double seconds = (double)i / sample_rate_hz;
        enum sound kind =
            sound == SOUND_IN_TURN ? (enum sound)(i / (10 * sample_rate_hz) % SOUND_KINDS) : sound;
        samples[i] = (float)sample_at(kind, seconds, channel, (double)noise(&state));
    }
}
