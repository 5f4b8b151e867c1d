/* POST /upload and POST /v1/conversions: the life of an upload. The record is inserted before the
 * first byte (row 1, upload_begin.c) and queued after the last (row 4); between them it says every
 * few seconds that somebody is there (row 3); and whatever ends it early, row 20 gives its bytes to
 * the cleaner. */

#include "services/gateway/upload.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "services/gateway/gateway_metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tick must not hold up its thread's other requests while the store is down. */
#define TICK_TIMEOUT_MS 1000
#define ABANDON_TIMEOUT_MS 3000
/* So often is the disk looked at while bytes come. */
#define SPACE_STEP_BYTES (UINT64_C(16) << 20)

static void upload_free(struct upload *upload)
{
    blob_writer_close(upload->writer);
    multipart_close(upload->form);
    buffer_finish(&upload->field_value);
    free(upload);
}

static bool is_mine(const struct upload *upload, const struct conversion *record)
{
    return record->state == CONVERSION_UPLOADING &&
           record->generation == upload->record.generation &&
           id_is_equal(&record->holder, &upload->record.holder);
}

/* ---- Ending ---- */

static bool decide_abandon(void *context, const struct conversion *record, int64_t now_ms,
                           struct conversion *out_next)
{
    const struct upload *upload = context;
    return is_mine(upload, record) &&
           conversion_abandon_upload(record, &upload->gateway->policy.conversion, now_ms, false,
                                     out_next);
}

/* Noting that an upload is over takes room as well, and there may be none but what its own bytes
 * have. Nobody but this upload could have finished them. */
static void give_room_back(struct upload *upload)
{
    struct gateway_thread *thread = http_request_thread(upload->request);
    struct error error = {0};
    if (!blob_store_remove(thread->blobs, BLOB_VIDEO, &upload->record.id, &error))
        log_warning("cannot remove what was uploaded: it will be repeated",
                    FIELD_TEXT("conversion", upload->record.id.text),
                    FIELD_TEXT("reason", error.text));
}

/* Row 20. Where the store does not answer, the record's due time does it later. */
static void upload_abandon(struct upload *upload)
{
    struct conversion record;
    struct error error = {0};
    if (upload->is_settled)
        return;
    upload->is_settled = true;
    blob_writer_close(upload->writer);
    upload->writer = NULL;
    if (upload->has_no_room)
        give_room_back(upload);
    switch (records_change(gateway_records(upload->request), &upload->record.id, decide_abandon,
                           upload, ABANDON_TIMEOUT_MS, &record, &error)) {
    case RECORD_WRITTEN:
        fault_point("gateway.after_abandon");
        gateway_count_transition(upload->gateway, "abandoned");
        cleaner_wake(upload->gateway->cleaner);
        log_info("upload abandoned", FIELD_TEXT("conversion", upload->record.id.text),
                 FIELD_COUNT("size_bytes", upload->size));
        break;
    case RECORD_REFUSED:
    case RECORD_ABSENT:
        break;
    case RECORD_UNKNOWN:
        log_warning("upload left to its due time", FIELD_TEXT("conversion", upload->record.id.text),
                    FIELD_TEXT("reason", error.text));
        break;
    }
}

/* The record is no longer this upload's: deleted, cancelled, or its key was used again. */
static void answer_not_mine(struct upload *upload, const struct conversion *record)
{
    upload->is_settled = true;
    if (record != NULL && record->state == CONVERSION_CANCELLED)
        http_answer_failure(upload->request, &FAILURE_CONVERSION_CANCELLED, NULL);
    else
        http_answer_failure(upload->request, &FAILURE_UPLOAD_TAKEN_OVER, NULL);
}

void upload_answer_blob_error(struct upload *upload, const struct error *error)
{
    upload->has_no_room = error->failure == &FAILURE_DISK_FULL;
    if (error->kind == ERROR_CONFLICT)
        http_answer_failure(upload->request, &FAILURE_UPLOAD_TAKEN_OVER, NULL);
    else
        gateway_answer_store_error(upload->request, error);
}

/* ---- Beginning ---- */

static void begin(struct http_request *request, bool must_be_form)
{
    struct claims claims;
    struct upload_wish wish;
    if (!gateway_authenticate(request, &claims) || !upload_wish_read(request, must_be_form, &wish))
        return;
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        abort();
    upload->request = request;
    upload->gateway = gateway_of(request);
    upload->claims = claims;
    upload->wish = wish;
    upload->options = wish.options;
    upload->is_settled = true; /* until the record is there */
    snprintf(upload->name, sizeof upload->name, "%s", wish.has_name ? wish.name : "video");
    if (!upload_begin(upload)) {
        upload_abandon(upload);
        upload_free(upload);
        return;
    }
    gateway_count_upload(upload->gateway, 1);
    http_request_set_state(request, upload);
}

static void begin_form(struct http_request *request)
{
    begin(request, true);
}

static void begin_any(struct http_request *request)
{
    begin(request, false);
}

/* ---- Bytes ---- */

/* What was let in may use half of the reserve, since others were let in beside it; past that it
 * must not take the room that ending things needs. */
static bool has_space(struct upload *upload)
{
    bool is_known = false;
    uint64_t free_bytes = 0;
    struct error error = {0};
    if (upload->size - upload->space_checked_at < SPACE_STEP_BYTES)
        return true;
    upload->space_checked_at = upload->size;
    struct gateway_thread *thread = http_request_thread(upload->request);
    if (!blob_store_space(thread->blobs, &is_known, &free_bytes, &error) || !is_known ||
        free_bytes >= upload->gateway->limits.disk_free_min / 2)
        return true;
    upload->has_no_room = true;
    log_error("the disk is nearly full", FIELD_COUNT("free_bytes", free_bytes));
    return gateway_refuse(upload->request, &FAILURE_DISK_FULL, NULL);
}

bool upload_write(struct upload *upload, const void *bytes, size_t size)
{
    struct error error = {0};
    if (size > upload->room.size_max - upload->size)
        return gateway_refuse(upload->request, upload->room.failure, NULL);
    if (!blob_writer_write(upload->writer, upload->size, bytes, size, &error)) {
        upload_answer_blob_error(upload, &error);
        return false;
    }
    upload->size += size;
    gateway_count_received(upload->gateway, size);
    return has_space(upload);
}

static void take_body(struct http_request *request, const void *bytes, size_t size)
{
    struct upload *upload = http_request_state(request);
    upload->request = request;
    if (upload->form != NULL)
        ignore_failure(upload_feed_form(upload, bytes, size));
    else
        ignore_failure(upload_write(upload, bytes, size));
}

static bool decide_commit(void *context, const struct conversion *record, int64_t now_ms,
                          struct conversion *out_next)
{
    const struct upload *upload = context;
    return is_mine(upload, record) &&
           conversion_commit_upload(record, &upload->gateway->policy.conversion, now_ms,
                                    upload->record.generation, (int64_t)upload->size, out_next);
}

/* Row 3, without a flush: a lease, and what the owner is shown. Without new bytes it only reads
 * whether the record is still ours. */
static void tick(struct http_request *request)
{
    struct upload *upload = http_request_state(request);
    upload->request = request;
    struct conversion record;
    struct error error = {0};
    switch (records_change(gateway_records(request), &upload->record.id, decide_commit, upload,
                           TICK_TIMEOUT_MS, &record, &error)) {
    case RECORD_WRITTEN:
        upload->record = record;
        break;
    case RECORD_REFUSED:
        if (!is_mine(upload, &record))
            answer_not_mine(upload, &record);
        break;
    case RECORD_ABSENT:
        answer_not_mine(upload, NULL);
        break;
    case RECORD_UNKNOWN: /* perhaps it is back when the last byte has come */
        break;
    }
}

/* ---- The end ---- */

static bool decide_finish(void *context, const struct conversion *record, int64_t now_ms,
                          struct conversion *out_next)
{
    const struct upload *upload = context;
    const struct conversion_arrival arrival = {
        .generation = upload->record.generation,
        .size_bytes = (int64_t)upload->size,
        .video_name = upload->name,
        .options = &upload->options,
    };
    return is_mine(upload, record) &&
           conversion_finish_upload(record, &upload->gateway->policy.conversion, now_ms, &arrival,
                                    out_next);
}

static bool finish_blob(struct upload *upload)
{
    const struct blob_metadata metadata = {
        .conversion_id = upload->record.id,
        .owner_id = upload->claims.user_id,
    };
    struct error error = {0};
    if (!blob_writer_finish(upload->writer, upload->size, &metadata, &error)) {
        upload_answer_blob_error(upload, &error);
        return false;
    }
    fault_point("gateway.after_finish");
    return true;
}

static void answer_queued(struct upload *upload, const struct conversion *record)
{
    char location[64];
    upload->is_settled = true;
    fault_point("gateway.after_queue");
    gateway_count_transition(upload->gateway, "queued");
    snprintf(location, sizeof location, "/v1/conversions/%s", record->id.text);
    http_answer_header(upload->request, "Location", location);
    gateway_answer_conversion(upload->request, 202, record);
    publisher_send(upload->gateway->publisher, record);
    log_info("upload stored", FIELD_TEXT("conversion", record->id.text),
             FIELD_COUNT("size_bytes", upload->size));
}

/* A write of row 4 whose outcome was not known can have landed, and a converter have taken the
 * record before we saw it again: nobody else could have queued it. */
static bool was_queued(const struct conversion *record)
{
    return record->queued_at_ms != 0 && record->state != CONVERSION_DELETING;
}

/* Row 4. */
static void queue(struct upload *upload)
{
    struct conversion record;
    struct error error = {0};
    switch (records_change(gateway_records(upload->request), &upload->record.id, decide_finish,
                           upload, GATEWAY_WRITE_TIMEOUT_MS, &record, &error)) {
    case RECORD_WRITTEN:
        answer_queued(upload, &record);
        break;
    case RECORD_REFUSED:
        if (was_queued(&record))
            answer_queued(upload, &record);
        else if (is_mine(upload, &record))
            http_answer_failure(upload->request, &FAILURE_BAD_REQUEST,
                                "The body had another length than was declared.");
        else
            answer_not_mine(upload, &record);
        break;
    case RECORD_ABSENT:
        answer_not_mine(upload, NULL);
        break;
    case RECORD_UNKNOWN:
        /* It may be queued, or land as that later: nothing may be taken back. */
        upload->is_settled = true;
        gateway_answer_store_error(upload->request, &error);
        break;
    }
}

static void end(struct http_request *request)
{
    struct upload *upload = http_request_state(request);
    upload->request = request;
    bool is_complete = upload->form == NULL || upload_end_form(upload);
    if (is_complete && upload->size == 0)
        is_complete = gateway_refuse(request, &FAILURE_EMPTY_FILE, NULL);
    if (is_complete && finish_blob(upload))
        queue(upload);
    upload_abandon(upload);
    gateway_count_upload(upload->gateway, -1);
    upload_free(upload);
}

static void abort_upload(struct http_request *request)
{
    struct upload *upload = http_request_state(request);
    upload->request = request;
    upload_abandon(upload);
    gateway_count_upload(upload->gateway, -1);
    upload_free(upload);
}

const struct http_upload gateway_upload_form = {
    .begin = begin_form,
    .body = take_body,
    .tick = tick,
    .end = end,
    .abort = abort_upload,
};

const struct http_upload gateway_upload_any = {
    .begin = begin_any,
    .body = take_body,
    .tick = tick,
    .end = end,
    .abort = abort_upload,
};
