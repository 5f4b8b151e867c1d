/* What handlers do before they do their own: find out who asks, reach the stores, find the record.
 */

#include "services/gateway/gateway.h"

#include "base/log.h"
#include "base/text.h"
#include "model/conversion_document.h"

static struct gateway_thread *thread_of(const struct http_request *request)
{
    return http_request_thread(request);
}

struct gateway *gateway_of(const struct http_request *request)
{
    return http_request_service(request);
}

bool gateway_refuse(struct http_request *request, const struct failure *failure, const char *detail)
{
    http_answer_failure(request, failure, detail);
    return false;
}

void gateway_answer_store_error(struct http_request *request, const struct error *error)
{
    if (error->failure == &FAILURE_DISK_FULL) {
        log_error("the disk is full", FIELD_TEXT("reason", error->text));
        http_answer_failure(request, &FAILURE_DISK_FULL, NULL);
    } else {
        log_warning("a store failed", FIELD_TEXT("reason", error->text));
        http_answer_failure(request, &FAILURE_STORE_UNAVAILABLE, NULL);
    }
}

struct record_store *gateway_records(struct http_request *request)
{
    struct gateway_thread *thread = thread_of(request);
    struct error error = {0};
    if (thread->records == NULL &&
        !record_store_open(thread->gateway->config, &thread->records, &error))
        gateway_answer_store_error(request, &error);
    return thread->records;
}

struct blob_store *gateway_blobs(struct http_request *request)
{
    struct gateway_thread *thread = thread_of(request);
    struct error error = {0};
    if (thread->blobs == NULL && !blob_store_open(thread->gateway->config, &thread->blobs, &error))
        gateway_answer_store_error(request, &error);
    return thread->blobs;
}

bool gateway_authenticate(struct http_request *request, struct claims *out_claims)
{
    const char *token = http_request_bearer_token(request);
    if (token == NULL)
        return gateway_refuse(request, &FAILURE_MISSING_CREDENTIALS, NULL);
    struct error error = {0};
    if (tokens_verify(gateway_of(request)->tokens, token, out_claims, &error))
        return true;
    return gateway_refuse(request, error.failure, NULL);
}

bool gateway_is_owner(const struct claims *claims, const struct conversion *record)
{
    if (!id_is_none(&record->owner.id))
        return id_is_equal(&record->owner.id, &claims->user_id);
    /* A foreign record knows an email only. An account made after it may be somebody else's who has
     * the address now. */
    return text_equals_ignoring_case(record->owner.email, claims->email) &&
           id_made_ms(&claims->user_id) <= record->created_at_ms;
}

bool gateway_find_own(struct http_request *request, const struct claims *claims,
                      const char *id_text, struct conversion *out_record)
{
    struct record_store *records = gateway_records(request);
    if (records == NULL)
        return false;
    struct error error = {0};
    struct id id;
    bool is_found =
        id_parse(id_text, &id, &error) && record_store_get(records, &id, out_record, &error);
    if (is_found && out_record->state != CONVERSION_DELETING &&
        gateway_is_owner(claims, out_record))
        return true;
    if (is_found || error.kind == ERROR_NOT_FOUND || error.kind == ERROR_BAD_INPUT)
        return gateway_refuse(request, &FAILURE_NOT_FOUND, NULL);
    gateway_answer_store_error(request, &error);
    return false;
}

bool gateway_find_in_path(struct http_request *request, struct conversion *out_record)
{
    struct claims claims;
    return gateway_authenticate(request, &claims) &&
           gateway_find_own(request, &claims, http_request_path_parameter(request, "id"),
                            out_record);
}

bool gateway_change(struct http_request *request, record_decision *decide,
                    const struct failure *refused, struct conversion *record)
{
    struct error error = {0};
    switch (records_change_read(gateway_records(request), record, decide, gateway_of(request),
                                GATEWAY_WRITE_TIMEOUT_MS, &error)) {
    case RECORD_WRITTEN:
        return true;
    case RECORD_REFUSED:
        if (record->state == CONVERSION_DELETING) /* somebody else just did */
            refused = &FAILURE_NOT_FOUND;
        http_answer_failure(request, refused, NULL);
        break;
    case RECORD_ABSENT:
        http_answer_failure(request, &FAILURE_NOT_FOUND, NULL);
        break;
    case RECORD_UNKNOWN:
        gateway_answer_store_error(request, &error);
        break;
    }
    return false;
}

void gateway_answer_conversion(struct http_request *request, int status,
                               const struct conversion *record)
{
    json_t *json = conversion_to_public_json(record);
    http_answer_header(request, "Cache-Control", "no-store");
    http_answer_json(request, status, json);
    json_decref(json);
}
