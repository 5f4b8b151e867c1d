/* POST /v1/conversions/{id}/cancel */

#include "services/gateway/gateway.h"

#include "base/fault.h"
#include "services/common/records.h"
#include "services/gateway/gateway_metrics.h"

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct gateway *gateway = context;
    return conversion_cancel(record, &gateway->policy.conversion, now_ms, out_next);
}

void gateway_cancel(struct http_request *request)
{
    struct gateway *gateway = gateway_of(request);
    struct claims claims;
    struct conversion record;
    if (!gateway_authenticate(request, &claims) ||
        !gateway_find_own(request, &claims, http_request_path_parameter(request, "id"), &record))
        return;
    struct error error = {0};
    switch (records_change_read(gateway_records(request), &record, decide, gateway,
                                GATEWAY_WRITE_TIMEOUT_MS, &error)) {
    case RECORD_WRITTEN:
        fault_point("gateway.after_cancel");
        gateway_count_transition(gateway, "cancelled");
        gateway_answer_conversion(request, 200, &record);
        break;
    case RECORD_REFUSED:
        if (record.state == CONVERSION_DELETING)
            http_answer_failure(request, &FAILURE_NOT_FOUND, NULL);
        else
            http_answer_failure(request, &FAILURE_ALREADY_ENDED, NULL);
        break;
    case RECORD_ABSENT:
        http_answer_failure(request, &FAILURE_NOT_FOUND, NULL);
        break;
    case RECORD_UNKNOWN:
        gateway_answer_store_error(request, &error);
        break;
    }
}
