#include "services/gateway/gateway_metrics.h"

#include "net/metrics.h"
#include "net/ops.h"
#include "services/common/records.h"
#include <stdio.h>
#include <stdlib.h>

static const double duration_buckets[] = {0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600};

enum {
    REQUESTS,
    DURATION,
    UPLOADS_OPEN,
    RECEIVED,
    SENT,
    TRANSITIONS,
    GONE,
    OVERDUE,
};

static const struct metric_family families[] = {
    [REQUESTS] = {.name = "tapedeck_http_requests_total",
                  .type = METRIC_COUNTER,
                  .help = "Requests that ended, by route, method and status.",
                  .labels = {"route", "method", "status"}},
    [DURATION] = {.name = "tapedeck_http_request_duration_seconds",
                  .type = METRIC_HISTOGRAM,
                  .help = "How long requests took, transfers with them.",
                  .labels = {"route"},
                  .buckets = duration_buckets,
                  .bucket_count = ARRAY_COUNT(duration_buckets)},
    [UPLOADS_OPEN] = {.name = "tapedeck_uploads_in_flight",
                      .type = METRIC_GAUGE,
                      .help = "Uploads that are open."},
    [RECEIVED] = {.name = "tapedeck_video_received_bytes_total",
                  .type = METRIC_COUNTER,
                  .help = "Bytes of videos that were taken."},
    [SENT] = {.name = "tapedeck_mp3_sent_bytes_total",
              .type = METRIC_COUNTER,
              .help = "Bytes of MP3s that were read to be sent."},
    [TRANSITIONS] = {.name = "tapedeck_conversion_transitions_total",
                     .type = METRIC_COUNTER,
                     .help = "Conversions that this gateway brought into a state.",
                     .labels = {"state"}},
    [GONE] = {.name = "tapedeck_mp3_gone_total",
              .type = METRIC_COUNTER,
              .help = "Finished conversions whose MP3 was not in the store when it was asked for."},
    [OVERDUE] = {.name = "tapedeck_overdue_seconds",
                 .type = METRIC_GAUGE,
                 .help = "Age of the oldest record that waits past its time, by who is to take it.",
                 .labels = {"role"}},
    {0},
};

void gateway_observe(void *service, const struct http_observation *observation)
{
    struct gateway *gateway = service;
    struct metrics *metrics = ops_metrics(gateway->ops);
    char status[12];
    snprintf(status, sizeof status, "%d", observation->status);
    metrics_add(metrics, &families[REQUESTS],
                (const char *const[]){observation->route, observation->method, status}, 1);
    metrics_observe(metrics, &families[DURATION], (const char *const[]){observation->route},
                    (double)observation->duration_ms / 1000);
}

/* Counters that handlers keep as plain numbers are set where they are read. */
static void set(struct metrics *metrics, unsigned family, const char *label, atomic_ullong *number)
{
    metrics_set(metrics, &families[family], (const char *const[]){label},
                (double)atomic_load(number));
}

static void collect(void *context, struct metrics *metrics)
{
    struct gateway *gateway = context;
    set(metrics, UPLOADS_OPEN, NULL, &gateway->uploads_open);
    set(metrics, RECEIVED, NULL, &gateway->bytes_received);
    set(metrics, SENT, NULL, &gateway->bytes_sent);
    set(metrics, GONE, NULL, &gateway->gone);
    set(metrics, TRANSITIONS, "queued", &gateway->uploads_queued);
    set(metrics, TRANSITIONS, "abandoned", &gateway->uploads_abandoned);
    set(metrics, TRANSITIONS, "cancelled", &gateway->cancelled);
    set(metrics, TRANSITIONS, "deleting", &gateway->deleted);

    /* A handle of its own: any thread of the operations port may be the one that asks. */
    struct error error = {0};
    double seconds = 0;
    CLEANUP(record_store_closep) struct record_store *records = NULL;
    if (record_store_open(gateway->config, &records, &error) &&
        records_overdue_seconds(records, CONVERSION_DUE_CLEAN, &seconds, &error))
        metrics_set(metrics, &families[OVERDUE], (const char *const[]){"clean"}, seconds);
}

static bool check_records(void *context, struct error *error)
{
    struct gateway *gateway = context;
    CLEANUP(record_store_closep) struct record_store *records = NULL;
    return record_store_open(gateway->config, &records, error) &&
           record_store_check(records, error);
}

static bool check_blobs(void *context, struct error *error)
{
    struct gateway *gateway = context;
    CLEANUP(blob_store_closep) struct blob_store *blobs = NULL;
    return blob_store_open(gateway->config, &blobs, error) && blob_store_check(blobs, error);
}

/* Whether auth answers is the same for every gateway; that ours has never got the keys may be its
 * own fault, a wrong URL or a new network policy. */
static bool check_auth(void *context, struct error *error)
{
    struct gateway *gateway = context;
    return tokens_check(gateway->tokens, error);
}

void gateway_metrics_open(struct gateway *gateway, struct ops *ops)
{
    gateway->ops = ops;
    metrics_register(ops_metrics(ops), families);
}

void gateway_metrics_check(struct gateway *gateway)
{
    gateway->checks[0] = (struct ops_check){
        .name = "records", .check = check_records, .context = gateway, .is_shared = true};
    gateway->checks[1] = (struct ops_check){
        .name = "blobs", .check = check_blobs, .context = gateway, .is_shared = true};
    gateway->checks[2] =
        (struct ops_check){.name = "auth", .check = check_auth, .context = gateway};
    ops_add_checks(gateway->ops, gateway->checks);
    metrics_collect(ops_metrics(gateway->ops), collect, gateway);
}

void gateway_metrics_close(struct gateway *gateway)
{
    ops_remove_checks(gateway->ops, gateway->checks);
}
