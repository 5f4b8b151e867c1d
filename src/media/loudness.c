#include "media/loudness.h"

#include "media/lowpass.h"
#include "media/true_peak.h"
#include <ebur128.h>
#include <math.h>
#include <stdlib.h>

#define SLICE_SAMPLES 1024

struct loudness {
    uint32_t channels;
    struct lowpass lowpass;
    ebur128_state *meter; /* owned */
    struct true_peak peak;
    float highest;
};

struct loudness *loudness_create(uint32_t sample_rate_hz, uint32_t channels, uint32_t lowpass_hz)
{
    struct loudness *loudness = calloc(1, sizeof *loudness);
    if (loudness == NULL)
        abort();
    loudness->channels = channels;
    /* The histogram is what keeps memory from growing: 0.1 LU a step. */
    loudness->meter =
        ebur128_init(channels, sample_rate_hz, EBUR128_MODE_I | EBUR128_MODE_HISTOGRAM);
    if (loudness->meter == NULL)
        abort();
    lowpass_init(&loudness->lowpass, lowpass_hz, sample_rate_hz);
    true_peak_init(&loudness->peak, channels);
    return loudness;
}

void loudness_destroy(struct loudness *loudness)
{
    if (loudness == NULL)
        return;
    ebur128_destroy(&loudness->meter);
    free(loudness);
}

static void note_heights(struct loudness *loudness, float *const planes[2], size_t count)
{
    float heights[SLICE_SAMPLES];
    true_peak_add(&loudness->peak, planes, count, heights);
    for (size_t i = 0; i < count; i++)
        loudness->highest = heights[i] > loudness->highest ? heights[i] : loudness->highest;
}

static void add_slice(struct loudness *loudness, float *const planes[2], size_t count)
{
    float samples[SLICE_SAMPLES], frames[2 * SLICE_SAMPLES];
    note_heights(loudness, planes, count);
    for (uint32_t channel = 0; channel < loudness->channels; channel++) {
        for (size_t i = 0; i < count; i++)
            samples[i] = planes[channel][i] / SOUND_FULL_SCALE;
        lowpass_apply(&loudness->lowpass, channel, samples, count);
        for (size_t i = 0; i < count; i++)
            frames[i * loudness->channels + channel] = samples[i];
    }
    if (ebur128_add_frames_float(loudness->meter, frames, count) != EBUR128_SUCCESS)
        abort(); /* it only ever fails for want of memory */
}

static bool take(void *context, float *const planes[2], size_t count, uint64_t input_position)
{
    (void)input_position;
    for (size_t done = 0; done < count;) {
        size_t part = count - done < SLICE_SAMPLES ? count - done : SLICE_SAMPLES;
        float *const slice[2] = {planes[0] + done, planes[1] != NULL ? planes[1] + done : NULL};
        add_slice(context, slice, part);
        done += part;
    }
    return true;
}

/* Silence shows how high the last samples rise. */
static void end(void *context)
{
    float silence[2][TRUE_PEAK_TAPS] = {{0}};
    float *const planes[2] = {silence[0], silence[1]};
    note_heights(context, planes, TRUE_PEAK_TAPS);
}

struct sound_sink loudness_sink(struct loudness *loudness)
{
    return (struct sound_sink){.context = loudness, .take = take, .end = end};
}

bool loudness_get_lufs(const struct loudness *loudness, double *out_lufs)
{
    double lufs;
    if (ebur128_loudness_global(loudness->meter, &lufs) != EBUR128_SUCCESS || !isfinite(lufs))
        return false;
    *out_lufs = lufs;
    return true;
}

double loudness_true_peak(const struct loudness *loudness)
{
    return (double)loudness->highest;
}
