/* DELETE /v1/conversions/{id}: video, MP3 and record go, whatever state they are in. */

#include "services/gateway/gateway.h"

#include "base/fault.h"
#include "services/gateway/gateway_metrics.h"

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct gateway *gateway = context;
    return conversion_delete(record, &gateway->policy.conversion, now_ms, out_next);
}

void gateway_delete(struct http_request *request)
{
    struct conversion record;
    if (!gateway_change_in_path(request, decide, &FAILURE_NOT_FOUND, &record))
        return;
    fault_point("gateway.after_delete");
    gateway_count_transition(gateway_of(request), "deleting");
    cleaner_wake(gateway_of(request)->cleaner);
    http_answer_empty(request, 204);
}
