#include "media/true_peak.h"

#include <math.h>
#include <string.h>

#define SLICE_SAMPLES 1024

/* A sinc under a Hann window, for a point that lies `fraction` behind a sample. The annex's own
 * taps are an example of what will do. */
static void make_taps(float taps[TRUE_PEAK_TAPS], double fraction)
{
    double all[TRUE_PEAK_TAPS];
    double sum = 0;
    for (int i = 0; i < TRUE_PEAK_TAPS; i++) {
        double distance = M_PI * (fraction - (i - (TRUE_PEAK_REACH - 1)));
        double window = 0.5 + 0.5 * cos(distance / TRUE_PEAK_REACH);
        all[i] = window * sin(distance) / distance;
        sum += all[i];
    }
    for (int i = 0; i < TRUE_PEAK_TAPS; i++)
        taps[i] = (float)(all[i] / sum);
}

void true_peak_init(struct true_peak *peak, uint32_t channels)
{
    *peak = (struct true_peak){.channels = channels};
    for (int i = 0; i < 3; i++)
        make_taps(peak->taps[i], (i + 1) / 4.0);
}

/* The heights between samples, three points for each; loops that a compiler makes vectors of. */
static void look_between(const struct true_peak *peak, const float *samples, size_t count,
                         float *between)
{
    float sums[SLICE_SAMPLES];
    for (size_t point = 0; point < 3; point++) {
        memset(sums, 0, count * sizeof *sums);
        for (size_t tap = 0; tap < TRUE_PEAK_TAPS; tap++) {
            float weight = peak->taps[point][tap];
            for (size_t i = 0; i < count; i++)
                sums[i] += weight * samples[i + tap];
        }
        for (size_t i = 0; i < count; i++) {
            float height = fabsf(sums[i]);
            between[i] = height > between[i] ? height : between[i];
        }
    }
}

static void add_slice(struct true_peak *peak, float *const planes[2], size_t from, size_t count,
                      float *out_heights)
{
    float samples[TRUE_PEAK_TAPS - 1 + SLICE_SAMPLES];
    float between[1 + SLICE_SAMPLES];
    memset(between, 0, sizeof between);
    memset(out_heights, 0, count * sizeof *out_heights);
    for (uint32_t channel = 0; channel < peak->channels; channel++) {
        float *history = peak->history[channel];
        memcpy(samples, history, sizeof peak->history[channel]);
        memcpy(samples + TRUE_PEAK_TAPS - 1, planes[channel] + from, count * sizeof *samples);
        memcpy(history, samples + count, sizeof peak->history[channel]);
        look_between(peak, samples, count, between + 1);
        for (size_t i = 0; i < count; i++) {
            float height = fabsf(samples[i + TRUE_PEAK_REACH - 1]);
            out_heights[i] = height > out_heights[i] ? height : out_heights[i];
        }
    }
    between[0] = peak->before;
    peak->before = between[count];
    for (size_t i = 0; i < count; i++) {
        float height = between[i] > between[i + 1] ? between[i] : between[i + 1];
        out_heights[i] = height > out_heights[i] ? height : out_heights[i];
    }
}

void true_peak_add(struct true_peak *peak, float *const planes[2], size_t count, float *out_heights)
{
    for (size_t done = 0; done < count;) {
        size_t part = count - done < SLICE_SAMPLES ? count - done : SLICE_SAMPLES;
        add_slice(peak, planes, done, part, out_heights + done);
        done += part;
    }
}
