#include "services/converter/converter.h"

#include "base/log.h"
#include "net/metrics.h"
#include "net/ops.h"
#include "services/common/cleaner.h"
#include "sandbox/worker_process.h"
#include "services/common/probes.h"
#include "services/converter/slot.h"
#include <stdlib.h>

/* Of the drain, for the messages about what ended in it. */
#define PUBLISH_LAST_MS 1000

static const struct probes_plan plan = {
    .uses_blobs = true,
    .queue = JOB_QUEUE_VIDEO,
};

enum { ENDED, SECONDS, MEDIA_SECONDS };

static const double seconds_buckets[] = {0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400};

static const struct metric_family families[] = {
    [ENDED] =
        {
            .name = "tapedeck_conversions_ended_total",
            .type = METRIC_COUNTER,
            .help = "Takings of a conversion that ended, by how: done, failed, accused (to be "
                    "tried again), handed_back, lost (cancelled, deleted or taken over), "
                    "unsettled.",
            .labels = {"outcome"},
        },
    [SECONDS] =
        {
            .name = "tapedeck_conversion_seconds",
            .type = METRIC_HISTOGRAM,
            .help = "From a conversion's claim to its MP3.",
            .buckets = seconds_buckets,
            .bucket_count = ARRAY_COUNT(seconds_buckets),
        },
    [MEDIA_SECONDS] =
        {
            .name = "tapedeck_media_seconds_total",
            .type = METRIC_COUNTER,
            .help = "Length of the MP3s made.",
        },
    {0},
};

/* Another host's converter may have one. */
static bool check_worker(void *context, struct error *error)
{
    CLEANUP(worker_process_closep) struct worker_process *process = NULL;
    (void)context;
    return worker_process_open(&process, error);
}

static const struct ops_check checks[] = {
    {.name = "worker", .check = check_worker},
    {0},
};

struct converter {
    /* Set by converter_open(), then read-only. */
    struct ops *ops; /* borrowed */
    struct converter_settings settings;
    struct policy policy;

    struct stop stop; /* safe from any thread */

    /* Main thread only. */
    struct publisher *publisher; /* owned */
    struct cleaner *cleaner;     /* owned */
    struct slot slots[CONVERTER_JOBS_MAX];
    size_t slot_count; /* that were opened */
};

static void observe(void *context, const struct job_report *report)
{
    struct converter *converter = context;
    struct metrics *metrics = ops_metrics(converter->ops);
    const char *outcome = job_outcome_name(report->outcome);
    metrics_add(metrics, &families[ENDED], &outcome, 1);
    if (report->outcome != JOB_DONE)
        return;
    metrics_observe(metrics, &families[SECONDS], NULL, report->seconds);
    metrics_add(metrics, &families[MEDIA_SECONDS], NULL, report->media_seconds);
}

static void converter_close(void *state)
{
    struct converter *converter = state;
    if (!stop_is_told(&converter->stop))
        stop_tell(&converter->stop, 0);
    for (size_t i = 0; i < converter->slot_count; i++)
        consumer_close(converter->slots[i].consumer);
    publisher_close(converter->publisher, PUBLISH_LAST_MS);
    cleaner_close(converter->cleaner);
    ops_remove_checks(converter->ops, checks);
    probes_close(converter->ops);
    stop_close(&converter->stop);
    free(converter);
}

static bool open_slots(struct converter *converter, const struct config *config,
                       struct error *error)
{
    for (size_t i = 0; i < converter->settings.jobs; i++) {
        converter->slots[i] = (struct slot){
            .config = config,
            .settings = &converter->settings,
            .policy = &converter->policy,
            .stop = &converter->stop,
            .publisher = converter->publisher,
            .observe = observe,
            .observer = converter,
        };
        if (!slot_open(&converter->slots[i], error))
            return false;
        converter->slot_count = i + 1;
    }
    return true;
}

static bool open_all(struct converter *converter, const struct config *config, struct error *error)
{
    return converter_settings_load(config, &converter->settings, error) &&
           policy_load(config, &converter->policy, error) &&
           publisher_open(config, JOB_QUEUE_MP3, &converter->publisher, error) &&
           cleaner_open(config, &converter->policy, &converter->cleaner, error) &&
           open_slots(converter, config, error);
}

static bool converter_open(const struct config *config, struct ops *ops, void **out_state,
                           struct error *error)
{
    struct converter *converter = calloc(1, sizeof *converter);
    if (converter == NULL)
        abort();
    converter->ops = ops;
    if (!stop_open(&converter->stop, error)) {
        free(converter);
        return false;
    }
    metrics_register(ops_metrics(ops), families);
    probes_open(config, &plan, ops);
    ops_add_checks(ops, checks);
    if (!open_all(converter, config, error)) {
        converter_close(converter);
        return false;
    }
    log_info("converting", FIELD_COUNT("jobs", converter->settings.jobs),
             FIELD_COUNT("threads", converter->settings.threads));
    *out_state = converter;
    return true;
}

static void converter_drain(void *state, int64_t drain_max_ms)
{
    struct converter *converter = state;
    stop_tell(&converter->stop, drain_max_ms);
    for (size_t i = 0; i < converter->slot_count; i++) {
        if (!consumer_wait(converter->slots[i].consumer, stop_left_ms(&converter->stop)))
            log_warning("a slot still works past stop.drain_max", FIELD_COUNT("slot", i));
    }
}

const struct service converter_service = {
    .name = "converter",
    .summary = "Turns queued videos into MP3s. Needs the stores of blobs, records and messages, "
               "and\ntapedeck-worker beside this program or where it was installed.",
    .open = converter_open,
    .drain = converter_drain,
    .close = converter_close,
};
