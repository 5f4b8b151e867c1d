/* Idempotency-Key: the same request sent again makes no second conversion. Per user, for as long as
 * the record lives. */

#include "services/gateway/upload.h"

#include "base/fault.h"
#include <stdio.h>

static bool decide_abandon(void *context, const struct conversion *record, int64_t now_ms,
                           struct conversion *out_next)
{
    const struct gateway *gateway = context;
    return conversion_abandon_upload(record, &gateway->policy.conversion, now_ms, false, out_next);
}

static void answer_earlier(struct http_request *request, const struct conversion *record)
{
    char location[64];
    snprintf(location, sizeof location, "/v1/conversions/%s", record->id.text);
    http_answer_header(request, "Location", location);
    gateway_answer_conversion(request, 202, record);
}

/* Row 20: the same client comes again while its first attempt hangs; that one is over. */
static bool take_key_over(struct http_request *request, struct conversion *record)
{
    struct gateway *gateway = gateway_of(request);
    struct error error = {0};
    enum record_outcome outcome =
        records_change_read(gateway_records(request), record, decide_abandon, gateway,
                            GATEWAY_WRITE_TIMEOUT_MS, &error);
    if (outcome == RECORD_UNKNOWN) {
        gateway_answer_store_error(request, &error);
        return false;
    }
    fault_point("gateway.after_take_over");
    if (outcome == RECORD_REFUSED && record->state != CONVERSION_DELETING) {
        /* Its upload has just ended well. */
        answer_earlier(request, record);
        return false;
    }
    cleaner_wake(gateway->cleaner);
    return true;
}

bool upload_settle_key(struct http_request *request, const struct claims *claims,
                       const struct upload_wish *wish)
{
    struct conversion record;
    struct error error = {0};
    if (wish->key == NULL)
        return true;
    if (!record_store_get_by_key(gateway_records(request), &claims->user_id, wish->key, &record,
                                 &error)) {
        if (error.kind == ERROR_NOT_FOUND)
            return true;
        gateway_answer_store_error(request, &error);
        return false;
    }
    if (record.state == CONVERSION_DELETING)
        return true;
    /* A form's own fields are in the record too; only those that the query names again count. */
    struct conversion_options asked = wish->is_form ? record.options : wish->options;
    if (wish->is_form && !upload_apply_query(request, &asked))
        return false;
    if (!upload_is_repeat(wish, &asked, &record))
        return gateway_refuse(request, &FAILURE_IDEMPOTENCY_MISMATCH, NULL);
    if (record.state == CONVERSION_UPLOADING && !record.is_resumable)
        return take_key_over(request, &record);
    answer_earlier(request, &record);
    return false;
}
