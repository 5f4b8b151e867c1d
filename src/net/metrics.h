#pragma once

/* Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4).
 *
 * Families are constant tables. Labels come from small fixed sets: what would be unbounded, such as
 * a user or a path as it was sent, is none. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX 3
#define METRIC_SERIES_MAX 512 /* of one family; what is beyond is counted under "other" */

struct metric_family {
    const char *name; /* "tapedeck_http_requests_total"; NULL ends the table */
    enum metric_type type;
    const char *help;
    const char *labels[METRIC_LABELS_MAX]; /* names; NULL where there are fewer */
    const double *buckets;                 /* of a histogram: upper bounds, ascending, … */
    size_t bucket_count;                   /* … without the infinite one */
};

struct metrics; /* thread-safe */

/* `service` becomes a label of every series; NULL: none. */
struct metrics *metrics_open(const char *service);
void metrics_close(struct metrics *metrics); /* NULL is fine */
/* A table of families, which must outlive it; at most 128 families in all. */
void metrics_register(struct metrics *metrics, const struct metric_family *families);

/* Adds to a counter or gauge. `values` has one text for each label of the family; copied. */
void metrics_add(struct metrics *metrics, const struct metric_family *family,
                 const char *const *values, double amount);
void metrics_set(struct metrics *metrics, const struct metric_family *family,
                 const char *const *values, double value); /* a gauge */
void metrics_observe(struct metrics *metrics, const struct metric_family *family,
                     const char *const *values, double value); /* a histogram */

/* What is read only when it is asked for, as a queue's length: called by metrics_gather(). At most
 * 8. */
typedef void metrics_collector(void *context, struct metrics *metrics);
void metrics_collect(struct metrics *metrics, metrics_collector *collector, void *context);
/* Calls all collectors, in this thread; blocks as long as they do. */
void metrics_gather(struct metrics *metrics);

/* As it was last gathered. */
MUST_CHECK bool metrics_format(struct metrics *metrics, struct buffer *out_text,
                               struct error *error);
