#include "media/volume.h"

#include "media/loudness.h"
#include <math.h>

#define MEASURES_MAX 3
/* Nearer than anybody hears, and than the meter's steps. */
#define NEAR_LU 0.05
/* Softer sound than this may have parts below -70 LUFS that count, once they are louder. */
#define SOFT_LUFS (-55.0)
/* A decibel of gain is never taken to bring less than this, whatever was measured: where peaks are
 * all there is to hear, no gain would be enough. */
#define RISE_LEAST 0.2

struct measured {
    bool has_loudness;
    double lufs;
    double true_peak; /* as SOUND_FULL_SCALE */
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
                    const struct limiter_settings *settings, uint32_t lowpass_hz,
                    struct measured *out_measured, struct error *error)
{
    struct loudness *loudness =
        loudness_create(decoding->sample_rate_hz, decoding->channels, lowpass_hz);
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
                          uint32_t lowpass_hz, struct measured *out_measured, struct error *error)
{
    struct excerpt *excerpt = decoding->excerpt;
    struct sound_part first;
    excerpt_plan(excerpt, excerpt_prepared_us(excerpt) + excerpt_duration_us(excerpt));
    return excerpt_rewind(excerpt, error) && excerpt_read(excerpt, &first, error) &&
           measure(decoding, &first, settings, lowpass_hz, out_measured, error);
}

/* How loud it is with so much gain. */
struct point {
    double gain_db;
    double lufs;
};

/* Up to where peaks reach the ceiling, a decibel of gain is one of loudness. Beyond, the limiter
 * takes some of each away: as much as between the last two points, more or less. */
static double next_gain_db(const struct point *before, const struct point *last, double wanted_lufs)
{
    double gained_db = last->gain_db - before->gain_db;
    double rise = gained_db > 0 ? (last->lufs - before->lufs) / gained_db : 1;
    rise = rise < 1 ? rise : 1;
    return last->gain_db + (wanted_lufs - last->lufs) / (rise > RISE_LEAST ? rise : RISE_LEAST);
}

/* What the limiter takes away is given again, of which it takes some. */
static bool find_limited_gain(const struct decoding *decoding, const struct measured *unlimited,
                              const struct volume_wish *wish, struct limiter_settings *settings,
                              struct error *error)
{
    double room_db = 20 * log10(settings->ceiling / unlimited->true_peak);
    struct point before = {.gain_db = room_db, .lufs = unlimited->lufs + room_db};
    double gain_db = wish->lufs - unlimited->lufs;
    for (int i = 1; i < MEASURES_MAX; i++) {
        struct measured measured = {0};
        if (!measure_again(decoding, settings, wish->lowpass_hz, &measured, error))
            return false;
        if (!measured.has_loudness || fabs(wish->lufs - measured.lufs) <= NEAR_LU)
            break;
        const struct point last = {.gain_db = gain_db, .lufs = measured.lufs};
        gain_db = next_gain_db(&before, &last, wish->lufs);
        settings->gain = factor(gain_db);
        before = last;
    }
    return true;
}

/* The meter leaves out what is below -70 LUFS: so it hears such soft sound again as it will be. */
static bool mend_soft(const struct decoding *decoding, const struct volume_wish *wish,
                      struct limiter_settings settings, struct measured *measured,
                      struct error *error)
{
    double gain_db = wish->lufs - measured->lufs;
    struct measured louder = {0};
    settings.gain = factor(gain_db);
    if (!measure_again(decoding, &settings, wish->lowpass_hz, &louder, error))
        return false;
    if (louder.has_loudness)
        measured->lufs = louder.lufs - gain_db;
    return true;
}

bool volume_find(const struct decoding *decoding, const struct sound_part *first,
                 const struct volume_wish *wish, struct limiter_settings *out_settings,
                 struct error *error)
{
    struct measured measured = {0};
    struct limiter_settings settings = {
        .sample_rate_hz = decoding->sample_rate_hz,
        .channels = decoding->channels,
        .scale = 1,
    };
    if (!measure(decoding, first, NULL, wish->lowpass_hz, &measured, error))
        return false;
    if (measured.has_loudness && measured.lufs < SOFT_LUFS &&
        !mend_soft(decoding, wish, settings, &measured, error))
        return false;
    double ceiling = (double)SOUND_FULL_SCALE * factor(VOLUME_PEAK_MAX_DB);
    if (measured.has_loudness)
        settings.gain = factor(wish->lufs - measured.lufs);
    if (measured.true_peak * settings.gain > ceiling) {
        settings.ceiling = ceiling;
        if (!find_limited_gain(decoding, &measured, wish, &settings, error))
            return false;
    }
    *out_settings = settings;
    return true;
}
