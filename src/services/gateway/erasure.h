#pragma once

/* What accounts that are being erased own goes as their owners would delete it: row 21. */

#include "base/id.h"
#include "services/common/cleaner.h"
#include "services/common/policy.h"
#include "stores/record_store/record_store.h"
#include <stdbool.h>

/* Of one thread. */
struct erasure {
    const struct config *config;
    const struct policy *policy;
    struct cleaner *cleaner;      /* borrowed */
    struct record_store *records; /* owned; NULL until it could be opened */
};

/* Deletes some of what the account owns, so that its caller is not held up for long. True: nothing
 * is left. It logs what fails; asking again goes on. */
bool erasure_run(struct erasure *erasure, const struct id *owner_id);
void erasure_finish(struct erasure *erasure);
