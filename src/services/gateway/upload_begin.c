/* Row 1: the record of an upload, before its first byte. */

#include "services/gateway/upload.h"

#include "base/fault.h"

/* Every conflict is another request's progress under the same key: so many at the same moment are
 * no client's repeats any more. */
#define INSERTS_MAX 20

static struct conversion first_record(const struct upload *upload, int64_t now_ms)
{
    const struct upload_wish *wish = &upload->wish;
    bool is_size_known = wish->has_length && !wish->is_form;
    const struct conversion_upload row = {
        .id = id_make(),
        .owner_id = upload->claims.user_id,
        .owner_email = upload->claims.email,
        .request_key = wish->key,
        .trace_request = http_request_id(upload->request),
        .trace_parent = http_request_traceparent(upload->request),
        .video_name = upload->name,
        .options = &upload->options,
        .size_bytes = is_size_known ? (int64_t)wish->length : CONVERSION_SIZE_UNKNOWN,
        .holder = id_make_random(),
    };
    struct conversion record;
    conversion_begin_upload(&upload->gateway->policy.conversion, now_ms, &row, &record);
    return record;
}

static bool insert_once(struct upload *upload, struct record_store *records, struct error *error)
{
    int64_t now_ms = 0;
    if (!record_store_now(records, &now_ms, error))
        return false;
    upload->record = first_record(upload, now_ms);
    return record_store_insert(records, &upload->record, error);
}

/* Row 1. A key that somebody else took between our look and our insert is looked at again. */
static bool insert(struct upload *upload)
{
    struct record_store *records = gateway_records(upload->request);
    struct error error = {0};
    for (int i = 0; i < INSERTS_MAX; i++) {
        if (i > 0 && !upload_settle_key(upload->request, &upload->claims, &upload->wish))
            return false;
        if (insert_once(upload, records, &error)) {
            upload->is_settled = false;
            fault_point("gateway.after_insert");
            return true;
        }
        if (error.kind != ERROR_CONFLICT)
            break;
    }
    gateway_answer_store_error(upload->request, &error);
    return false;
}

static bool open_writer(struct upload *upload)
{
    struct error error = {0};
    struct blob_store *blobs = gateway_blobs(upload->request);
    if (blobs == NULL)
        return false;
    if (blob_writer_open(blobs, BLOB_VIDEO, &upload->record.id, upload->record.generation,
                         &upload->writer, &error))
        return true;
    upload_answer_blob_error(upload, &error);
    return false;
}

bool upload_begin(struct upload *upload)
{
    struct http_request *request = upload->request;
    return gateway_records(request) != NULL &&
           upload_settle_key(request, &upload->claims, &upload->wish) &&
           upload_admit(request, &upload->claims, &upload->wish, &upload->room) &&
           (!upload->wish.is_form || upload_open_form(upload)) && insert(upload) &&
           open_writer(upload);
}
