#pragma once

/* The cleaning half of every record's life (rows 17b to 24): expiry, abandoned uploads, MP3s of
 * lost claims, deletion. A thread of the gateway and of the converter; any number may run side by
 * side.
 *
 * It looks every recovery.look_interval ± 20 %, removes only ids that a record names, and never
 * what a foreign service wrote. */

#include "base/error.h"
#include "config/config.h"
#include "services/common/policy.h"

struct cleaner;

/* Starts the thread, with store handles of its own. */
MUST_CHECK bool cleaner_open(const struct config *config, const struct policy *policy,
                             struct cleaner **out_cleaner, struct error *error);
void cleaner_wake(struct cleaner *cleaner);  /* look now: something was deleted */
void cleaner_close(struct cleaner *cleaner); /* ends after the step that runs; NULL is fine */
