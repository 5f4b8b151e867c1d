#include "services/converter/settings.h"

#include "base/clock.h"
#include "sandbox/worker_process.h"
#include "services/common/limits.h"
#include <unistd.h>

/* MPEG audio's greatest bit rate, 320 kbit/s, and room for tags, a cover and the Info frame. */
#define MP3_BYTES_PER_MS 40
#define MP3_TAGS_SIZE_MAX (UINT64_C(32) << 20)
#define MP3_SIZE_MAX UINT64_C(0xffffffff) /* what an MP3's own header can count */

const struct config_option converter_options[] = {
    {
        .name = "converter.jobs",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct converter_settings, jobs, uint64_t),
        .standard = "1",
        .least = 1,
        .most = CONVERTER_JOBS_MAX,
        .help = "Conversions at once, each in a worker process of its own.",
    },
    {
        .name = "converter.threads",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct converter_settings, threads, uint64_t),
        .standard = "0",
        .most = WORKER_THREADS_MAX,
        .help = "Encoder threads of each conversion; 0 is the number of cores divided by "
                "converter.jobs.",
    },
    {
        .name = "converter.stall_max",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct converter_settings, stall_max_ms, int64_t),
        .standard = "60s",
        .least = 500,
        .most = CLOCK_HOUR_MS,
        .help =
            "How long a worker may go without output while it waits for nothing of ours, "
            "before it is killed and its video counts as accused (converter.attempts_max). Sound "
            "that is decoded in search of start_seconds, or measured, counts as output.",
    },
    {
        .name = "converter.deadline_max",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct converter_settings, deadline_max_ms, int64_t),
        .standard = "12h",
        .least = CLOCK_SECOND_MS,
        .most = 30 * CLOCK_DAY_MS,
        .help = "How long one conversion may take, waits for the stores included. As long as "
                "limits.duration_max by default: a worker slower than the sound is long has run "
                "away.",
    },
    {0},
};

static uint64_t threads_for(uint64_t jobs)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = cores > 0 ? (uint64_t)cores / jobs : 1;
    if (threads > WORKER_THREADS_MAX)
        return WORKER_THREADS_MAX;
    return threads > 0 ? threads : 1;
}

bool converter_settings_load(const struct config *config, struct converter_settings *out_settings,
                             struct error *error)
{
    struct converter_settings settings = {0};
    struct limits limits = {0};
    if (!config_load(config, converter_options, &settings, error) ||
        !config_load(config, limits_options, &limits, error))
        return false;
    if (settings.threads == 0)
        settings.threads = threads_for(settings.jobs);
    settings.duration_max_ms = limits.duration_max_ms;
    settings.output_size_max =
        (uint64_t)limits.duration_max_ms * MP3_BYTES_PER_MS + MP3_TAGS_SIZE_MAX;
    if (settings.output_size_max > MP3_SIZE_MAX)
        settings.output_size_max = MP3_SIZE_MAX;
    *out_settings = settings;
    return true;
}
