#include "net/http_metrics.h"

#include "net/metrics.h"
#include <stdio.h>
#include <string.h>

static const double duration_buckets[] = {0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600};

enum { FAMILY_REQUESTS, FAMILY_DURATION, FAMILY_RECEIVED, FAMILY_SENT };

static const struct metric_family families[] = {
    [FAMILY_REQUESTS] = {.name = "tapedeck_http_requests_total",
                         .type = METRIC_COUNTER,
                         .help = "Requests that ended; status 499: the client went first.",
                         .labels = {"method", "route", "status"}},
    [FAMILY_DURATION] = {.name = "tapedeck_http_request_duration_seconds",
                         .type = METRIC_HISTOGRAM,
                         .help = "From the request's first line to the end of its answer.",
                         .labels = {"method", "route"},
                         .buckets = duration_buckets,
                         .bucket_count = ARRAY_COUNT(duration_buckets)},
    [FAMILY_RECEIVED] = {.name = "tapedeck_http_received_bytes_total",
                         .type = METRIC_COUNTER,
                         .help = "Bytes of requests' bodies."},
    [FAMILY_SENT] = {.name = "tapedeck_http_sent_bytes_total",
                     .type = METRIC_COUNTER,
                     .help = "Bytes of answers' bodies."},
    {0},
};

/* A method is whatever the client wrote: only those that somebody serves become a label. */
static const char *method_label(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcmp(method, known[i]) == 0)
            return known[i];
    }
    return "other";
}

void http_metrics_register(struct metrics *metrics)
{
    metrics_register(metrics, families);
}

void http_metrics_observe(struct metrics *metrics, const struct http_observation *observation)
{
    char status[12];
    snprintf(status, sizeof status, "%d", observation->status);
    const char *const labels[] = {method_label(observation->method), observation->route, status};
    metrics_add(metrics, &families[FAMILY_REQUESTS], labels, 1);
    metrics_observe(metrics, &families[FAMILY_DURATION], labels,
                    (double)observation->duration_ms / 1000);
    metrics_add(metrics, &families[FAMILY_RECEIVED], NULL, (double)observation->received);
    metrics_add(metrics, &families[FAMILY_SENT], NULL, (double)observation->sent);
}
