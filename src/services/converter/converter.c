#include "services/converter/converter.h"

#include "base/clock.h"
#include "base/log.h"
#include "services/common/cleaner.h"
#include "services/converter/slot.h"
#include <stdlib.h>

/* Of the drain, for the messages about what ended in it. */
#define PUBLISH_LAST_MS 1000

struct converter {
    /* Set by converter_open(), then read-only. */
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
    (void)context;
    (void)report;
}

static void converter_close(void *state)
{
    struct converter *converter = state;
    if (!stop_is_told(&converter->stop))
        stop_tell(&converter->stop, 0);
    for (size_t i = 0; i < converter->slot_count; i++)
        slot_close(&converter->slots[i]);
    publisher_close(converter->publisher, PUBLISH_LAST_MS);
    cleaner_close(converter->cleaner);
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
    (void)ops;
    struct converter *converter = calloc(1, sizeof *converter);
    if (converter == NULL)
        abort();
    if (!stop_open(&converter->stop, error)) {
        free(converter);
        return false;
    }
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
    int64_t end_boot_ms = clock_boot_ms() + drain_max_ms;
    stop_tell(&converter->stop, drain_max_ms);
    for (size_t i = 0; i < converter->slot_count; i++) {
        int64_t left_ms = end_boot_ms - clock_boot_ms();
        if (!slot_wait(&converter->slots[i], left_ms > 0 ? left_ms : 0))
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
