/* DELETE /v1/conversions/{id}: video, MP3 and record go, whatever state they are in. */

#include "services/gateway/gateway.h"

#include "base/fault.h"
#include "base/log.h"
#include "services/gateway/gateway_metrics.h"

/* What a store needs, at the very most, to write that a record goes. */
#define ROOM_TO_NOTE_BYTES (UINT64_C(1) << 20)

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct gateway *gateway = context;
    return conversion_delete(record, &gateway->policy.conversion, now_ms, out_next);
}

/* Of an upload that runs its writer is in the way, and adopted ones are not ours to remove. */
static bool may_remove_first(const struct conversion *record)
{
    return record->foreign == CONVERSION_OWN && record->state != CONVERSION_UPLOADING;
}

/* On a full disk there is no room to note that it goes, but what its own bytes have: whoever wants
 * to make room must be able to. Otherwise the note comes first, so that nobody sees half of it. */
static void make_room(struct http_request *request, const struct conversion *record)
{
    bool is_known = false;
    uint64_t free_bytes = 0;
    struct error error = {0};
    struct gateway_thread *thread = http_request_thread(request);
    if (!may_remove_first(record) ||
        (thread->blobs == NULL &&
         !blob_store_open(thread->gateway->config, &thread->blobs, &error)) ||
        !blob_store_space(thread->blobs, &is_known, &free_bytes, &error) || !is_known ||
        free_bytes >= ROOM_TO_NOTE_BYTES)
        return;
    if (!blob_store_remove(thread->blobs, BLOB_VIDEO, &record->id, &error) ||
        (!id_is_none(&record->mp3.id) &&
         !blob_store_remove(thread->blobs, BLOB_MP3, &record->mp3.id, &error)))
        log_warning("cannot make room", FIELD_TEXT("conversion", record->id.text),
                    FIELD_TEXT("reason", error.text));
}

void gateway_delete(struct http_request *request)
{
    struct conversion record;
    if (!gateway_find_in_path(request, &record))
        return;
    make_room(request, &record);
    if (!gateway_change(request, decide, &FAILURE_NOT_FOUND, &record))
        return;
    fault_point("gateway.after_delete");
    gateway_count_transition(gateway_of(request), "deleting");
    cleaner_wake(gateway_of(request)->cleaner);
    http_answer_empty(request, 204);
}
