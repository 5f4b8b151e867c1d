#include "services/common/limits.h"

#include "base/clock.h"

#define TEBIBYTE (UINT64_C(1) << 40)

const struct config_option limits_options[] = {
    {
        .name = "limits.upload_size_max",
        .type = CONFIG_SIZE,
        .field = CONFIG_FIELD(struct limits, upload_size_max, uint64_t),
        .standard = "4GiB",
        .least = 1,
        .most = TEBIBYTE,
        .help = "Size of the largest video that is taken.",
    },
    {
        .name = "limits.duration_max",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct limits, duration_max_ms, int64_t),
        .standard = "12h",
        .least = 1000,
        .most = 30 * (uint64_t)CLOCK_DAY_MS,
        .help = "Length of the longest video that is converted; a longer one fails as too_long.",
    },
    {
        .name = "limits.uploads_per_user",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct limits, uploads_per_user, uint64_t),
        .standard = "4",
        .least = 1,
        .most = 1000,
        .help = "Uploads that one user may have open at once.",
    },
    {
        .name = "limits.conversions_per_user_per_day",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct limits, conversions_per_user_per_day, uint64_t),
        .standard = "1000",
        .least = 0,
        .most = 1000000,
        .help = "Conversions that one user may begin within 24 hours; 0 is any number.",
    },
    {
        .name = "limits.storage_per_user_max",
        .type = CONFIG_SIZE,
        .field = CONFIG_FIELD(struct limits, storage_per_user_max, uint64_t),
        .standard = "off",
        .most = 1024 * TEBIBYTE,
        .help = "Bytes of videos and MP3s that one user may have stored; off is any number.",
    },
    {
        .name = "limits.queue_length_max",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct limits, queue_length_max, uint64_t),
        .standard = "10000",
        .least = 1,
        .most = 10000000,
        .help = "Conversions of all users that may wait for a converter; past it uploads are "
                "refused with queue_full.",
    },
    {
        .name = "limits.disk_free_min",
        .type = CONFIG_SIZE,
        .field = CONFIG_FIELD(struct limits, disk_free_min, uint64_t),
        .standard = "1GiB",
        .most = 1024 * TEBIBYTE,
        .help = "Space that uploads leave free where videos are stored, so that what is begun can "
                "be ended; past it they are refused with disk_full.",
    },
    {0},
};
