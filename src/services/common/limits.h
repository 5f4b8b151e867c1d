#pragma once

/* How much a user, and all of them together, may ask for: limits.* of the configuration. The
 * gateway refuses by them, the converter stops by duration_max. */

#include "config/config.h"
#include <stdint.h>

struct limits {
    uint64_t upload_size_max;              /* bytes of one video */
    int64_t duration_max_ms;               /* of one video */
    uint64_t uploads_per_user;             /* at once */
    uint64_t conversions_per_user_per_day; /* begun within 24 hours; 0: any number */
    uint64_t storage_per_user_max;         /* bytes of videos and MP3s; 0: off */
    uint64_t queue_length_max;             /* queued conversions of all users */
    uint64_t disk_free_min;                /* bytes that uploads leave free; 0: off */
};

extern const struct config_option limits_options[];
