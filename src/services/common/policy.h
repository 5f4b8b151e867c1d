#pragma once

/* How long things take and are kept: recovery.*, retention.* and what else the record's rows read,
 * from the configuration into the policy that model/conversion.h is given. */

#include "base/error.h"
#include "config/config.h"
#include "model/conversion.h"
#include <stdint.h>

struct policy {
    struct conversion_policy conversion;
    int64_t look_interval_ms;
    bool takes_original_messages; /* messages.original */
};

/* recovery.lease .look_interval .grace .notice_age_max, retention.mp3 .video .upload_abandoned,
 * mail.timeout, limits.conversion_age_max, converter.attempts_max, messages.original */
extern const struct config_option policy_options[];

MUST_CHECK bool policy_load(const struct config *config, struct policy *out_policy,
                            struct error *error);
