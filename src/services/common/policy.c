#include "services/common/policy.h"

#include "base/clock.h"

#define TEN_YEARS_MS (3652 * CLOCK_DAY_MS)

struct policy_settings {
    struct policy policy;
    uint64_t attempts_max;
};

#define CONVERSION_DURATION(member)                                                                \
    CONFIG_FIELD(struct policy_settings, policy.conversion.member, int64_t)

/* The least values are for tests, which do not want to wait; what an operator needs is longer. */
const struct config_option policy_options[] = {
    {
        .name = "recovery.lease",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(lease_ms),
        .standard = "30s",
        .least = 300,
        .most = CLOCK_HOUR_MS,
        .help = "How long a service may be silent about what it works on before another takes "
                "over. Renewed every third of it.",
    },
    {
        .name = "recovery.look_interval",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct policy_settings, policy.look_interval_ms, int64_t),
        .standard = "10s",
        .least = 50,
        .most = CLOCK_HOUR_MS,
        .help = "How often a service looks for records whose time has come, where no message told "
                "it to. A lost message costs this at most, after recovery.lease.",
    },
    {
        .name = "recovery.grace",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(grace_ms),
        .standard = "1h",
        .least = 100,
        .most = 30 * CLOCK_DAY_MS,
        .help = "How long the bytes of something expired stay, so that a download that has begun "
                "can end, and how long after a removal it is repeated.",
    },
    {
        .name = "recovery.notice_age_max",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(notice_age_max_ms),
        .standard = "48h",
        .least = CLOCK_SECOND_MS,
        .most = 30 * CLOCK_DAY_MS,
        .help = "How long after a conversion's end its email is still tried.",
    },
    {
        .name = "retention.mp3",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(mp3_retention_ms),
        .standard = "30d",
        .least = CLOCK_SECOND_MS,
        .most = TEN_YEARS_MS,
        .help = "How long an MP3, and the record of a conversion that has ended, are kept.",
    },
    {
        .name = "retention.video",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(video_retention_ms),
        .standard = "1d",
        .least = CLOCK_SECOND_MS,
        .most = TEN_YEARS_MS,
        .help = "How long a video is kept once its conversion has ended.",
    },
    {
        .name = "retention.upload_abandoned",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(upload_abandoned_ms),
        .standard = "24h",
        .least = CLOCK_SECOND_MS,
        .most = 30 * CLOCK_DAY_MS,
        .help = "How long a resumable upload may rest before it is removed; no call makes one yet.",
    },
    {
        .name = "limits.conversion_age_max",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(conversion_age_max_ms),
        .standard = "7d",
        .least = CLOCK_SECOND_MS,
        .most = 365 * CLOCK_DAY_MS,
        .help = "A conversion that has not ended this long after it was queued fails (timed_out).",
    },
    {
        .name = "mail.timeout",
        .type = CONFIG_DURATION,
        .field = CONVERSION_DURATION(mail_timeout_ms),
        .standard = "60s",
        .least = 500,
        .most = 10 * CLOCK_MINUTE_MS,
        .help = "How long the whole dialogue with the mail server may take.",
    },
    {
        .name = "converter.attempts_max",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct policy_settings, attempts_max, uint64_t),
        .standard = "3",
        .least = 1,
        .most = 100,
        .help = "How often a video may crash or stall the worker before its conversion fails.",
    },
    {
        .name = "messages.original",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct policy_settings, policy.takes_original_messages, bool),
        .standard = "off",
        .help = "Whether messages without a conversion_id, as the original system's services "
                "write them, are worked on. Otherwise they are dead letters.",
    },
    {0},
};

bool policy_load(const struct config *config, struct policy *out_policy, struct error *error)
{
    struct policy_settings settings = {0};
    if (!config_load(config, policy_options, &settings, error))
        return false;
    settings.policy.conversion.attempts_max = (int64_t)settings.attempts_max;
    *out_policy = settings.policy;
    return true;
}
