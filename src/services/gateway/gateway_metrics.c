#include "services/gateway/gateway_metrics.h"

#include "net/http_metrics.h"
#include "net/metrics.h"
#include "net/ops.h"
#include "services/common/probes.h"

enum { UPLOADS_OPEN, RECEIVED, SENT, TRANSITIONS, GONE };

static const struct metric_family families[] = {
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
                     .help = "Conversions that this service brought into a state.",
                     .labels = {"state"}},
    [GONE] = {.name = "tapedeck_mp3_gone_total",
              .type = METRIC_COUNTER,
              .help = "Finished conversions whose MP3 was not in the store when it was asked for."},
    {0},
};

static void add(struct gateway *gateway, unsigned family, const char *const *values, double amount)
{
    metrics_add(ops_metrics(gateway->ops), &families[family], values, amount);
}

void gateway_observe(void *service, const struct http_observation *observation)
{
    struct gateway *gateway = service;
    http_metrics_observe(ops_metrics(gateway->ops), observation);
}

void gateway_count_upload(struct gateway *gateway, int change)
{
    add(gateway, UPLOADS_OPEN, NULL, change);
}

void gateway_count_received(struct gateway *gateway, uint64_t bytes)
{
    add(gateway, RECEIVED, NULL, (double)bytes);
}

void gateway_count_sent(struct gateway *gateway, uint64_t bytes)
{
    add(gateway, SENT, NULL, (double)bytes);
}

void gateway_count_transition(struct gateway *gateway, const char *state)
{
    add(gateway, TRANSITIONS, (const char *const[]){state}, 1);
}

void gateway_count_gone(struct gateway *gateway)
{
    add(gateway, GONE, NULL, 1);
}

/* Whether auth answers is the same for every gateway; that ours has never got the keys may be its
 * own fault, a wrong URL or a network policy. */
static bool check_auth(void *context, struct error *error)
{
    struct gateway *gateway = context;
    return tokens_check(gateway->tokens, error);
}

static const struct probes_plan plan = {
    .uses_blobs = true,
    .queue = JOB_QUEUE_VIDEO,
};

void gateway_metrics_open(struct gateway *gateway, struct ops *ops)
{
    gateway->ops = ops;
    http_metrics_register(ops_metrics(ops));
    metrics_register(ops_metrics(ops), families);
    probes_open(gateway->config, &plan, ops);
}

void gateway_metrics_check(struct gateway *gateway)
{
    gateway->checks[0] =
        (struct ops_check){.name = "auth", .check = check_auth, .context = gateway};
    ops_add_checks(gateway->ops, gateway->checks);
}

void gateway_metrics_close(struct gateway *gateway)
{
    if (gateway->checks[0].name != NULL)
        ops_remove_checks(gateway->ops, gateway->checks);
    probes_close(gateway->ops);
}
