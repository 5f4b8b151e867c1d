#include "media/limiter.h"

#include "media/true_peak.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long before a peak the sound is turned down: long enough not to be heard as a click. */
#define LOOK_AHEAD_SECONDS 0.005
/* How fast it is turned up again: slower than any tone's wave, which would be bent otherwise. */
#define RELEASE_SECONDS 0.1
#define SLICE_SAMPLES 1024

struct limiter {
    struct limiter_settings settings;
    struct sound_sink next;
    struct true_peak peak;
    double release; /* what is left after a sample of what was turned down */
    size_t window;  /* samples of look-ahead */

    /* Samples that wait for their gain, the oldest at `at`. */
    size_t delay;
    size_t at;
    float *waiting[2]; /* owned */
    uint64_t taken;    /* samples, with the silence that pushes out the last */
    uint64_t input_position;

    /* The least gain of the last `window` samples: of each that may yet become it, when it came and
     * what it is, in rising order. */
    struct least {
        uint64_t when;
        double gain;
    } * leasts; /* owned; window of them, in a ring */
    size_t least_first, least_count;

    double released; /* the gain as it may rise */
    double *gains;   /* owned; the last `window` of those, in a ring */
    size_t gain_at;
    double gain_sum;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct limiter *limiter_create(const struct limiter_settings *settings,
                               const struct sound_sink *next)
{
    struct limiter *limiter = allocate(1, sizeof *limiter);
    limiter->settings = *settings;
    limiter->next = *next;
    limiter->window = (size_t)(settings->sample_rate_hz * LOOK_AHEAD_SECONDS) + 1;
    limiter->release = exp(-1 / (RELEASE_SECONDS * settings->sample_rate_hz));
    limiter->delay = limiter->window - 1 + TRUE_PEAK_REACH;
    for (int i = 0; i < 2; i++)
        limiter->waiting[i] = allocate(limiter->delay, sizeof *limiter->waiting[i]);
    limiter->leasts = allocate(limiter->window, sizeof *limiter->leasts);
    limiter->gains = allocate(limiter->window, sizeof *limiter->gains);
    limiter->released = 1;
    for (size_t i = 0; i < limiter->window; i++)
        limiter->gains[i] = 1;
    limiter->gain_sum = (double)limiter->window;
    true_peak_init(&limiter->peak, settings->channels);
    return limiter;
}

void limiter_destroy(struct limiter *limiter)
{
    if (limiter == NULL)
        return;
    free(limiter->waiting[0]);
    free(limiter->waiting[1]);
    free(limiter->leasts);
    free(limiter->gains);
    free(limiter);
}

/* The least of the last `window` gains. One that came before a smaller one will never be it. */
static double least_of_window(struct limiter *limiter, uint64_t when, double gain)
{
    size_t window = limiter->window;
    if (limiter->least_count > 0 && limiter->leasts[limiter->least_first].when + window <= when) {
        limiter->least_first = (limiter->least_first + 1) % window;
        limiter->least_count--;
    }
    while (limiter->least_count > 0) {
        size_t last = (limiter->least_first + limiter->least_count - 1) % window;
        if (limiter->leasts[last].gain < gain)
            break;
        limiter->least_count--;
    }
    size_t end = (limiter->least_first + limiter->least_count) % window;
    limiter->leasts[end] = (struct least){.when = when, .gain = gain};
    limiter->least_count++;
    return limiter->leasts[limiter->least_first].gain;
}

/* The gain of the sample `window` - 1 before the one of that height. It is the mean of `window`
 * values, each of them the least over a window that the sample is in: so it is never more than the
 * sample may have, and gets there in a straight line. */
static double gain_for(struct limiter *limiter, uint64_t when, float height)
{
    double ceiling = limiter->settings.ceiling;
    double least = least_of_window(limiter, when, (double)height > ceiling ? ceiling / height : 1);
    double risen = least - (least - limiter->released) * limiter->release;
    limiter->released = least < limiter->released ? least : risen;
    limiter->gain_sum += limiter->released - limiter->gains[limiter->gain_at];
    limiter->gains[limiter->gain_at] = limiter->released;
    limiter->gain_at = (limiter->gain_at + 1) % limiter->window;
    return limiter->gain_sum / (double)limiter->window;
}

/* Puts samples into the delay and takes as many out of it, with their gain; the first that come out
 * are what the delay began with. Returns how many are none of the sound's. */
static size_t delay_slice(struct limiter *limiter, float *const planes[2], size_t count,
                          const float *heights)
{
    const uint32_t channels = limiter->settings.channels;
    size_t before = 0;
    assert(channels <= 2);
    for (size_t i = 0; i < count; i++, limiter->taken++) {
        /* The heights are those of TRUE_PEAK_REACH samples earlier: of none, at first. */
        double gain = 1;
        if (limiter->taken >= TRUE_PEAK_REACH)
            gain = gain_for(limiter, limiter->taken, heights[i]);
        for (uint32_t channel = 0; channel < channels; channel++) {
            float sample = limiter->waiting[channel][limiter->at];
            limiter->waiting[channel][limiter->at] = planes[channel][i];
            planes[channel][i] = (float)(sample * gain * limiter->settings.scale);
        }
        limiter->at = (limiter->at + 1) % limiter->delay;
        before += limiter->taken < limiter->delay;
    }
    return before;
}

static bool limit_slice(struct limiter *limiter, float *const planes[2], size_t count)
{
    float heights[SLICE_SAMPLES];
    true_peak_add(&limiter->peak, planes, count, heights);
    size_t before = delay_slice(limiter, planes, count, heights);
    float *const rest[2] = {planes[0] + before, planes[1] != NULL ? planes[1] + before : NULL};
    return before == count ||
           limiter->next.take(limiter->next.context, rest, count - before, limiter->input_position);
}

static void multiply(struct limiter *limiter, float *const planes[2], size_t count, double gain)
{
    for (uint32_t channel = 0; channel < limiter->settings.channels; channel++)
        for (size_t i = 0; i < count; i++)
            planes[channel][i] = (float)(planes[channel][i] * gain);
}

static bool take(void *context, float *const planes[2], size_t count, uint64_t input_position)
{
    struct limiter *limiter = context;
    limiter->input_position = input_position;
    bool is_limited = limiter->settings.ceiling > 0;
    double gain = limiter->settings.gain;
    multiply(limiter, planes, count, is_limited ? gain : gain * limiter->settings.scale);
    if (!is_limited)
        return limiter->next.take(limiter->next.context, planes, count, input_position);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < SLICE_SAMPLES ? count - done : SLICE_SAMPLES;
        float *const slice[2] = {planes[0] + done, planes[1] != NULL ? planes[1] + done : NULL};
        if (!limit_slice(limiter, slice, part))
            return false;
        done += part;
    }
    return true;
}

/* Silence pushes out what waits. */
static void end(void *context)
{
    struct limiter *limiter = context;
    size_t left = limiter->settings.ceiling > 0 ? limiter->delay : 0;
    while (left > 0) {
        float silence[2][SLICE_SAMPLES] = {{0}};
        float *const planes[2] = {silence[0], silence[1]};
        size_t part = left < SLICE_SAMPLES ? left : SLICE_SAMPLES;
        if (!limit_slice(limiter, planes, part))
            return;
        left -= part;
    }
    limiter->next.end(limiter->next.context);
}

struct sound_sink limiter_sink(struct limiter *limiter)
{
    return (struct sound_sink){.context = limiter, .take = take, .end = end};
}
