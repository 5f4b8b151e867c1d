#include "media/volume.h"

#include "media/loudness.h"
#include <math.h>

#define FULL_SCALE 32768.0
#define MEASURES_MAX 3
/* Nearer than anybody hears, and than the meter's steps. */
#define NEAR_LU 0.05

struct measured {
    bool has_loudness;
    double lufs;
    double true_peak; /* full scale is 32768 */
};

static double factor(double db)
{
    return pow(10, db / 20);
}

/* Counts what comes by, on its way to the meter. */
struct counter {
    struct sound_sink next;
    uint64_t samples;
};

static bool count(void *context, float *const planes[2], size_t samples, uint64_t input_position)
{
    struct counter *counter = context;
    counter->samples += samples;
    return counter->next.take(counter->next.context, planes, samples, input_position);
}

static void end_count(void *context)
{
    struct counter *counter = context;
    counter->next.end(counter->next.context);
}

/* `settings` NULL: as it is. */
static bool measure(const struct decoding *decoding, const struct sound_part *first,
                    const struct limiter_settings *settings, struct measured *out_measured,
                    struct error *error)
{
    struct loudness *loudness = loudness_create(decoding->sample_rate_hz, decoding->channels);
    struct counter counter = {.next = loudness_sink(loudness)};
    struct sound_sink sink = {.context = &counter, .take = count, .end = end_count};
    struct limiter *limiter = NULL;
    if (settings != NULL) {
        limiter = limiter_create(settings, &sink);
        sink = limiter_sink(limiter);
    }
    bool succeeded = decoding_run(decoding, first, &sink, error);
    if (succeeded) {
        out_measured->has_loudness = loudness_get_lufs(loudness, &out_measured->lufs);
        out_measured->true_peak = loudness_true_peak(loudness);
        excerpt_set_duration_us(decoding->excerpt,
                                counter.samples * 1000000 / decoding->sample_rate_hz);
    }
    limiter_destroy(limiter);
    loudness_destroy(loudness);
    return succeeded;
}

static bool measure_again(const struct decoding *decoding, const struct limiter_settings *settings,
                          struct measured *out_measured, struct error *error)
{
    struct excerpt *excerpt = decoding->excerpt;
    struct sound_part first;
    excerpt_plan(excerpt, excerpt_prepared_us(excerpt) + excerpt_duration_us(excerpt));
    return excerpt_rewind(excerpt, error) && excerpt_read(excerpt, &first, error) &&
           measure(decoding, &first, settings, out_measured, error);
}

bool volume_find(const struct decoding *decoding, const struct sound_part *first,
                 double wanted_lufs, struct limiter_settings *out_settings, struct error *error)
{
    struct measured measured = {0};
    struct limiter_settings settings = {
        .sample_rate_hz = decoding->sample_rate_hz,
        .channels = decoding->channels,
        .scale = 1,
    };
    if (!measure(decoding, first, NULL, &measured, error))
        return false;
    double gain_db = wanted_lufs - measured.lufs;
    double ceiling = FULL_SCALE * factor(VOLUME_PEAK_MAX_DB);
    if (measured.has_loudness)
        settings.gain = factor(gain_db);
    if (measured.true_peak * settings.gain > ceiling)
        settings.ceiling = ceiling;
    /* What the limiter took away is given again, of which it takes less. */
    for (int i = 1; settings.ceiling > 0 && i < MEASURES_MAX; i++) {
        if (!measure_again(decoding, &settings, &measured, error))
            return false;
        if (!measured.has_loudness || fabs(wanted_lufs - measured.lufs) <= NEAR_LU)
            break;
        gain_db += wanted_lufs - measured.lufs;
        settings.gain = factor(gain_db);
    }
    *out_settings = settings;
    return true;
}
