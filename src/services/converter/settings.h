#pragma once

/* converter.* of the configuration, with what else bounds a conversion. */

#include "base/error.h"
#include "config/config.h"
#include <stdint.h>

#define CONVERTER_JOBS_MAX 64

struct converter_settings {
    uint64_t jobs;
    uint64_t threads; /* encoders of each job */
    int64_t stall_max_ms;
    int64_t deadline_max_ms;
    int64_t duration_max_ms;  /* limits.duration_max */
    uint64_t output_size_max; /* of an MP3 of that length */
};

extern const struct config_option converter_options[];

MUST_CHECK bool converter_settings_load(const struct config *config,
                                        struct converter_settings *out_settings,
                                        struct error *error);
