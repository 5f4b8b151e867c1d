#include "net/metrics.h"

#include "base/compiler.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define COLLECTORS_MAX 8
#define FAMILIES_MAX 128

struct series {
    struct series *next;
    char *values[METRIC_LABELS_MAX]; /* owned */
    double value;                    /* a histogram's sum */
    uint64_t count;                  /* of a histogram's observations */
    uint64_t bucket_counts[];        /* a histogram's, each without those below */
};

struct family_state {
    const struct metric_family *family;
    struct series *first, *last; /* owned, in the order they appeared in */
    size_t count;
};

struct collector {
    metrics_collector *collect;
    void *context;
};

struct metrics {
    /* Set by metrics_open(), then read-only. */
    const char *service;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct collector collectors[COLLECTORS_MAX];
    size_t collector_count;
    struct family_state families[FAMILIES_MAX];
    size_t family_count;
};

struct metrics *metrics_open(const char *service)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        abort();
    metrics->service = service;
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (size_t i = 0; i < metrics->family_count; i++) {
        for (struct series *at = metrics->families[i].first, *next; at != NULL; at = next) {
            next = at->next;
            for (size_t label = 0; label < METRIC_LABELS_MAX; label++)
                free(at->values[label]);
            free(at);
        }
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* ---- Series: under the lock ---- */

static size_t label_count(const struct metric_family *family)
{
    size_t count = 0;
    while (count < METRIC_LABELS_MAX && family->labels[count] != NULL)
        count++;
    return count;
}

static struct series *find_series(const struct family_state *state, const char *const *values)
{
    size_t labels = label_count(state->family);
    for (struct series *at = state->first; at != NULL; at = at->next) {
        size_t same = 0;
        while (same < labels && strcmp(at->values[same], values[same]) == 0)
            same++;
        if (same == labels)
            return at;
    }
    return NULL;
}

static struct series *add_series(struct family_state *state, const char *const *values)
{
    struct series *series =
        calloc(1, sizeof *series + state->family->bucket_count * sizeof series->bucket_counts[0]);
    if (series == NULL)
        abort();
    for (size_t i = 0; i < label_count(state->family); i++) {
        series->values[i] = strdup(values[i]);
        if (series->values[i] == NULL)
            abort();
    }
    if (state->last != NULL)
        state->last->next = series;
    else
        state->first = series;
    state->last = series;
    state->count++;
    return series;
}

static struct series *need_series(struct metrics *metrics, const struct metric_family *family,
                                  const char *const *values)
{
    static const char *const others[METRIC_LABELS_MAX] = {"other", "other", "other"};
    struct family_state *state = NULL;
    for (size_t i = 0; i < metrics->family_count; i++) {
        if (metrics->families[i].family == family)
            state = &metrics->families[i];
    }
    assert(state != NULL); /* the family was never registered */
    struct series *series = find_series(state, values);
    if (series == NULL && state->count >= METRIC_SERIES_MAX) {
        values = others;
        series = find_series(state, values);
    }
    return series != NULL ? series : add_series(state, values);
}

/* ---- Changing ---- */

/* A family without labels is there from the start, so that a rate can be taken of its first
 * event. */
void metrics_register(struct metrics *metrics, const struct metric_family *families)
{
    static const char *const no_values[METRIC_LABELS_MAX] = {0};
    pthread_mutex_lock(&metrics->lock);
    for (const struct metric_family *family = families; family->name != NULL; family++) {
        assert(metrics->family_count < FAMILIES_MAX);
        metrics->families[metrics->family_count++].family = family;
        if (family->labels[0] == NULL)
            need_series(metrics, family, no_values);
    }
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_add(struct metrics *metrics, const struct metric_family *family,
                 const char *const *values, double amount)
{
    assert(family->type != METRIC_HISTOGRAM);
    pthread_mutex_lock(&metrics->lock);
    need_series(metrics, family, values)->value += amount;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_set(struct metrics *metrics, const struct metric_family *family,
                 const char *const *values, double value)
{
    assert(family->type == METRIC_GAUGE);
    pthread_mutex_lock(&metrics->lock);
    need_series(metrics, family, values)->value = value;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_observe(struct metrics *metrics, const struct metric_family *family,
                     const char *const *values, double value)
{
    assert(family->type == METRIC_HISTOGRAM);
    pthread_mutex_lock(&metrics->lock);
    struct series *series = need_series(metrics, family, values);
    series->value += value;
    series->count++;
    size_t bucket = 0;
    while (bucket < family->bucket_count && value > family->buckets[bucket])
        bucket++;
    if (bucket < family->bucket_count)
        series->bucket_counts[bucket]++;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_collect(struct metrics *metrics, metrics_collector *collector, void *context)
{
    pthread_mutex_lock(&metrics->lock);
    assert(metrics->collector_count < COLLECTORS_MAX);
    metrics->collectors[metrics->collector_count++] = (struct collector){collector, context};
    pthread_mutex_unlock(&metrics->lock);
}

/* Without the lock: collectors call back, and may wait for a store. */
void metrics_gather(struct metrics *metrics)
{
    struct collector collectors[COLLECTORS_MAX];
    pthread_mutex_lock(&metrics->lock);
    size_t count = metrics->collector_count;
    memcpy(collectors, metrics->collectors, sizeof collectors);
    pthread_mutex_unlock(&metrics->lock);
    for (size_t i = 0; i < count; i++)
        collectors[i].collect(collectors[i].context, metrics);
}

/* ---- The text ---- */

/* One line: `suffix` after the family's name, `more` after its labels ("" or `le="1"`). */
struct sample {
    const char *suffix;
    const char *more;
    double value;
};

static bool add_escaped(struct buffer *text, const char *value, struct error *error)
{
    for (; *value != '\0'; value++) {
        bool is_added;
        if (*value == '\n')
            is_added = buffer_append_text(text, "\\n", error);
        else if (*value == '"' || *value == '\\')
            is_added = buffer_append_format(text, error, "\\%c", *value);
        else
            is_added = buffer_append(text, value, 1, error);
        if (!is_added)
            return false;
    }
    return true;
}

static bool add_label(struct buffer *text, char *separator, const char *name, const char *value,
                      struct error *error)
{
    bool is_added = buffer_append_format(text, error, "%c%s=\"", *separator, name) &&
                    add_escaped(text, value, error) && buffer_append_text(text, "\"", error);
    *separator = ',';
    return is_added;
}

static bool add_sample(const struct metrics *metrics, const struct metric_family *family,
                       const struct series *series, const struct sample *sample,
                       struct buffer *text, struct error *error)
{
    char separator = '{';
    if (!buffer_append_format(text, error, "%s%s", family->name, sample->suffix))
        return false;
    if (metrics->service != NULL &&
        !add_label(text, &separator, "service", metrics->service, error))
        return false;
    for (size_t i = 0; i < label_count(family); i++) {
        if (!add_label(text, &separator, family->labels[i], series->values[i], error))
            return false;
    }
    if (sample->more[0] != '\0') {
        if (!add_label(text, &separator, "le", sample->more, error))
            return false;
    }
    return buffer_append_format(text, error, "%s %.15g\n", separator == ',' ? "}" : "",
                                sample->value);
}

static bool add_histogram(const struct metrics *metrics, const struct metric_family *family,
                          const struct series *series, struct buffer *text, struct error *error)
{
    uint64_t below = 0;
    for (size_t i = 0; i < family->bucket_count; i++) {
        CLEANUP(buffer_finish) struct buffer bound = BUFFER_WITH_MAX(64);
        below += series->bucket_counts[i];
        if (!buffer_append_format(&bound, error, "%.15g", family->buckets[i]))
            return false;
        const struct sample sample = {"_bucket", buffer_text(&bound), (double)below};
        if (!add_sample(metrics, family, series, &sample, text, error))
            return false;
    }
    const struct sample rest[] = {
        {"_bucket", "+Inf", (double)series->count},
        {"_sum", "", series->value},
        {"_count", "", (double)series->count},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rest); i++) {
        if (!add_sample(metrics, family, series, &rest[i], text, error))
            return false;
    }
    return true;
}

static bool add_family(const struct metrics *metrics, const struct family_state *state,
                       struct buffer *text, struct error *error)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metric_family *family = state->family;
    if (!buffer_append_format(text, error, "# HELP %s %s\n# TYPE %s %s\n", family->name,
                              family->help, family->name, types[family->type]))
        return false;
    for (const struct series *at = state->first; at != NULL; at = at->next) {
        const struct sample sample = {"", "", at->value};
        bool is_added = family->type == METRIC_HISTOGRAM
                            ? add_histogram(metrics, family, at, text, error)
                            : add_sample(metrics, family, at, &sample, text, error);
        if (!is_added)
            return false;
    }
    return true;
}

bool metrics_format(struct metrics *metrics, struct buffer *out_text, struct error *error)
{
    bool is_added = true;
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->family_count && is_added; i++) {
        if (metrics->families[i].first != NULL)
            is_added = add_family(metrics, &metrics->families[i], out_text, error);
    }
    pthread_mutex_unlock(&metrics->lock);
    return is_added;
}
