#include "services/gateway/erasure.h"

#include "base/fault.h"
#include "base/log.h"
#include "services/common/records.h"

#define DELETIONS_AT_ONCE 100
#define WRITE_TIMEOUT_MS 1000

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct erasure *erasure = context;
    return conversion_delete(record, &erasure->policy->conversion, now_ms, out_next);
}

/* *out_is_empty: there was none. */
static bool delete_newest(struct erasure *erasure, const struct id *owner_id, bool *out_is_empty,
                          struct error *error)
{
    const struct record_filter filter = {.owner_id = *owner_id};
    struct conversion record;
    size_t count = 0;
    if (!record_store_list(erasure->records, &filter, 1, &record, &count, error))
        return false;
    *out_is_empty = count == 0;
    if (count == 0)
        return true;
    if (records_change_read(erasure->records, &record, decide, erasure, WRITE_TIMEOUT_MS, error) ==
        RECORD_UNKNOWN)
        return false;
    fault_point("gateway.after_erase");
    return true;
}

static bool delete_some(struct erasure *erasure, const struct id *owner_id, bool *out_is_empty,
                        struct error *error)
{
    if (erasure->records == NULL && !record_store_open(erasure->config, &erasure->records, error))
        return false;
    *out_is_empty = false;
    for (int i = 0; i < DELETIONS_AT_ONCE && !*out_is_empty; i++)
        if (!delete_newest(erasure, owner_id, out_is_empty, error))
            return false;
    return true;
}

bool erasure_run(struct erasure *erasure, const struct id *owner_id)
{
    bool is_empty = false;
    struct error error = {0};
    if (!delete_some(erasure, owner_id, &is_empty, &error))
        log_warning("what an erased account owns cannot be deleted yet",
                    FIELD_TEXT("user", owner_id->text), FIELD_TEXT("reason", error.text));
    cleaner_wake(erasure->cleaner);
    return is_empty;
}

void erasure_finish(struct erasure *erasure)
{
    record_store_close(erasure->records);
}
