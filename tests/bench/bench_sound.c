/* Programme for the engine to convert: music and speech in turn, never the same twice, and the same
 * numbers each time it is asked for. Floats in stereo, interleaved, ±1.
 *
 *   bench_sound SECONDS | ffmpeg -f f32le -ar 44100 -ac 2 -i - … */

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE 44100
#define PI 3.14159265358979323846
#define SCENE_SECONDS 23 /* music, then speech */
#define BEAT_SECONDS 0.52
#define BAR_BEATS 4
#define NOTES 4     /* of a chord */
#define HARMONICS 6 /* of a note */
#define FORMANTS 3

/* Knuth's MMIX. */
static double uniform(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 40) / (double)(1 << 24);
}

static double noise(uint64_t *state)
{
    return 2 * uniform(state) - 1;
}

struct music {
    double phases[NOTES]; /* in periods */
    double steps[NOTES];
    double loudness[HARMONICS];
    double last_noise;
    uint64_t beats;
    double beat; /* seconds since it began */
};

struct speech {
    double pitch_hz, phase;
    double left_s; /* of this sound */
    bool is_voiced, is_pause;
    double gain;
    struct {
        double turn, fade, last[2];
    } formants[FORMANTS];
};

static void choose_chord(struct music *music, uint64_t *state)
{
    static const double thirds[NOTES] = {0.5, 1, 1.26, 1.5}; /* a bass, and a major triad */
    double root_hz = 130.8 * exp2(floor(uniform(state) * 12) / 12);
    for (int i = 0; i < NOTES; i++)
        music->steps[i] = root_hz * thirds[i] * (1 + 0.002 * noise(state)) / RATE;
    double bright = 0.4 + 0.5 * uniform(state);
    for (int i = 0; i < HARMONICS; i++)
        music->loudness[i] = pow(bright, i) / (i + 1);
}

static void add_music(struct music *music, uint64_t *state, double out[2])
{
    if (music->beat == 0 && music->beats++ % BAR_BEATS == 0)
        choose_chord(music, state);
    double since = music->beat, tone[2] = {0, 0};
    for (int note = 0; note < NOTES; note++) {
        double value = 0;
        for (int i = 0; i < HARMONICS; i++)
            value += music->loudness[i] * sin(2 * PI * music->phases[note] * (i + 1));
        music->phases[note] = fmod(music->phases[note] + music->steps[note], 1);
        tone[note % 2] += value;
        tone[1 - note % 2] += 0.4 * value;
    }
    double hiss = noise(state), bright = hiss - music->last_noise;
    music->last_noise = hiss;
    double kick = sin(2 * PI * (50 * since + 6 * (1 - exp(-30 * since)))) * exp(-9 * since);
    double snare = music->beats % 2 == 0 ? hiss * exp(-18 * since) : 0;
    double hat = bright * exp(-60 * fmod(since, BEAT_SECONDS / 2));
    double swell = 0.05 + 0.06 * exp(-3 * since);
    for (int channel = 0; channel < 2; channel++)
        out[channel] +=
            swell * tone[channel] + 0.2 * kick + 0.1 * snare + (channel == 0 ? 0.06 : 0.04) * hat;
    music->beat += 1.0 / RATE;
    if (music->beat >= BEAT_SECONDS)
        music->beat = 0;
}

/* A vowel, a sibilant, or a pause. */
static void choose_sound(struct speech *speech, uint64_t *state)
{
    static const double lowest_hz[FORMANTS] = {300, 900, 2300},
                        spans_hz[FORMANTS] = {500, 1200, 900};
    double dice = uniform(state);
    speech->is_pause = dice < 0.12;
    speech->is_voiced = dice < 0.8;
    speech->left_s = speech->is_pause ? 0.1 + 0.5 * uniform(state) : 0.06 + 0.16 * uniform(state);
    speech->pitch_hz = 95 + 70 * uniform(state);
    speech->gain = speech->is_pause ? 0 : 0.5 + 0.5 * uniform(state);
    for (int i = 0; i < FORMANTS; i++) {
        double hz = lowest_hz[i] + spans_hz[i] * uniform(state) + (speech->is_voiced ? 0 : 3500);
        speech->formants[i].fade = exp(-PI * (80 + 40 * i) / RATE);
        speech->formants[i].turn = 2 * speech->formants[i].fade * cos(2 * PI * hz / RATE);
    }
}

static void add_speech(struct speech *speech, uint64_t *state, double out[2])
{
    if (speech->left_s <= 0)
        choose_sound(speech, state);
    speech->left_s -= 1.0 / RATE;
    speech->pitch_hz *= 1 - 0.4 / RATE; /* a voice falls */
    speech->phase += speech->pitch_hz / RATE;
    double breath = noise(state), source = 0.1 * breath;
    if (speech->phase >= 1) {
        speech->phase -= 1;
        source += speech->is_voiced ? 6 : 0;
    }
    double value = 0;
    for (int i = 0; i < FORMANTS; i++) {
        double *last = speech->formants[i].last, fade = speech->formants[i].fade;
        double now =
            source * speech->gain + speech->formants[i].turn * last[0] - fade * fade * last[1];
        last[1] = last[0];
        last[0] = now;
        value += now / (i + 2);
    }
    for (int channel = 0; channel < 2; channel++) /* a room */
        out[channel] += 0.012 * value + 0.0006 * noise(state);
}

int main(int argument_count, char **arguments)
{
    uint64_t state = 7;
    struct music music = {0};
    struct speech speech = {0};
    if (argument_count != 2) {
        fprintf(stderr, "bench_sound SECONDS\n");
        return 2;
    }
    uint64_t samples = strtoull(arguments[1], NULL, 10) * RATE;
    for (uint64_t i = 0; i < samples; i++) {
        double out[2] = {0, 0};
        if (i / (SCENE_SECONDS * (uint64_t)RATE) % 2 == 0)
            add_music(&music, &state, out);
        else
            add_speech(&speech, &state, out);
        float sample[2] = {(float)fmax(-1, fmin(1, out[0])), (float)fmax(-1, fmin(1, out[1]))};
        if (fwrite(sample, sizeof sample, 1, stdout) != 1)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
