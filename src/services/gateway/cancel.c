/* POST /v1/conversions/{id}/cancel */

#include "services/gateway/gateway.h"

#include "base/fault.h"
#include "services/gateway/gateway_metrics.h"

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct gateway *gateway = context;
    return conversion_cancel(record, &gateway->policy.conversion, now_ms, out_next);
}

void gateway_cancel(struct http_request *request)
{
    struct conversion record;
    if (!gateway_find_in_path(request, &record) ||
        !gateway_change(request, decide, &FAILURE_ALREADY_ENDED, &record))
        return;
    fault_point("gateway.after_cancel");
    gateway_count_transition(gateway_of(request), "cancelled");
    gateway_answer_conversion(request, 200, &record);
}
