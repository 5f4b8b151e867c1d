/* GET /download?fid= and GET /v1/conversions/{id}/mp3: the MP3 to its owner, whole or a range of it
 * (RFC 9110 §13, §14). */

#include "services/gateway/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/content_disposition.h"
#include "net/range.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/video_name.h"
#include <stdio.h>
#include <stdlib.h>

struct transfer {
    struct blob_reader *reader; /* owned */
    struct id conversion_id;
    uint64_t offset; /* of the answer's first byte */
    int64_t looked_at_ms;
};

/* A transfer that outlasts the conversion's deletion is cut. */
static bool is_deleted(const struct http_request *request, struct transfer *transfer)
{
    struct gateway_thread *thread = http_request_thread(request);
    struct conversion record;
    struct error error = {0};
    int64_t now_ms = clock_boot_ms();
    if (now_ms - transfer->looked_at_ms < thread->gateway->tick_interval_ms ||
        thread->records == NULL)
        return false;
    transfer->looked_at_ms = now_ms;
    if (record_store_get(thread->records, &transfer->conversion_id, &record, &error))
        return record.state == CONVERSION_DELETING;
    return error.kind == ERROR_NOT_FOUND;
}

static enum http_read transfer_read(struct http_request *request, void *state, uint64_t offset,
                                    void *buffer, size_t size, size_t *out_size)
{
    struct transfer *transfer = state;
    struct error error = {0};
    if (is_deleted(request, transfer)) {
        log_info("transfer cut: the conversion was deleted",
                 FIELD_TEXT("conversion", transfer->conversion_id.text));
        return HTTP_READ_FAIL;
    }
    if (!blob_reader_read(transfer->reader, transfer->offset + offset, buffer, size, out_size,
                          &error)) {
        log_warning("transfer cut: the MP3 cannot be read",
                    FIELD_TEXT("conversion", transfer->conversion_id.text),
                    FIELD_TEXT("reason", error.text));
        return HTTP_READ_FAIL;
    }
    gateway_count_sent(gateway_of(request), *out_size);
    return HTTP_READ_MORE;
}

static void transfer_close(struct http_request *request, void *state)
{
    (void)request;
    struct transfer *transfer = state;
    blob_reader_close(transfer->reader);
    free(transfer);
}

static const struct http_body_source transfer_source = {
    .read = transfer_read,
    .close = transfer_close,
};

static const struct failure *failure_of_state(enum conversion_state state)
{
    switch (state) {
    case CONVERSION_DONE:
        return NULL;
    case CONVERSION_FAILED:
        return &FAILURE_CONVERSION_FAILED;
    case CONVERSION_CANCELLED:
        return &FAILURE_CONVERSION_CANCELLED;
    case CONVERSION_DELETING:
        return &FAILURE_NOT_FOUND;
    case CONVERSION_UPLOADING:
    case CONVERSION_QUEUED:
    case CONVERSION_CONVERTING:
        break;
    }
    return &FAILURE_NOT_READY;
}

static void answer_open_error(struct http_request *request, const struct conversion *record,
                              const struct error *error)
{
    if (error->kind != ERROR_NOT_FOUND) {
        gateway_answer_store_error(request, error);
        return;
    }
    gateway_count_gone(gateway_of(request));
    log_error("the MP3 of a finished conversion is not there",
              FIELD_TEXT("conversion", record->id.text), FIELD_TEXT("mp3", record->mp3.id.text));
    http_answer_failure(request, &FAILURE_GONE, NULL);
}

static void add_headers(struct http_request *request, const struct conversion *record,
                        const char *etag)
{
    char mp3_name[CONVERSION_NAME_SIZE];
    CLEANUP(buffer_finish)
    struct buffer disposition = BUFFER_WITH_MAX(CONTENT_DISPOSITION_SIZE_MAX);
    const char *name = record->video.name[0] != '\0' ? record->video.name : record->mp3.id.text;
    video_name_to_mp3(name, mp3_name);
    if (content_disposition_format(mp3_name, &disposition, NULL))
        http_answer_header(request, "Content-Disposition", buffer_text(&disposition));
    http_answer_header(request, "ETag", etag);
    http_answer_header(request, "Accept-Ranges", "bytes");
    http_answer_header(request, "Cache-Control", "private, no-cache");
    http_answer_header(request, "X-Content-Type-Options", "nosniff");
}

static void answer_range(struct http_request *request, const struct conversion *record,
                         struct transfer *transfer, uint64_t size, const char *etag)
{
    struct range range;
    char content_range[RANGE_TEXT_SIZE];
    int status = 200;
    /* Ranges are of GET alone (RFC 9110 §14.2). */
    const char *wanted =
        http_request_is_head(request) ? NULL : http_request_header(request, "Range");
    switch (range_parse(wanted, http_request_header(request, "If-Range"), etag, size, &range)) {
    case RANGE_UNSATISFIABLE:
        range_format(NULL, size, content_range);
        http_answer_header(request, "Content-Range", content_range);
        http_answer_failure(request, &FAILURE_RANGE_NOT_SATISFIABLE, NULL);
        transfer_close(request, transfer);
        return;
    case RANGE_PART:
        range_format(&range, size, content_range);
        http_answer_header(request, "Content-Range", content_range);
        status = 206;
        break;
    case RANGE_WHOLE:
        break;
    }
    transfer->offset = range.offset;
    add_headers(request, record, etag);
    http_answer_stream(request, status, "audio/mpeg", range.length, &transfer_source, transfer);
}

static void answer_mp3(struct http_request *request, const struct conversion *record)
{
    const struct failure *failure = failure_of_state(record->state);
    if (failure != NULL) {
        http_answer_failure(request, failure,
                            record->state == CONVERSION_FAILED ? record->error.message : NULL);
        return;
    }
    struct blob_store *blobs = gateway_blobs(request);
    if (blobs == NULL)
        return;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        abort();
    transfer->conversion_id = record->id;
    transfer->looked_at_ms = clock_boot_ms();
    uint64_t size = 0;
    struct blob_metadata metadata;
    struct error error = {0};
    if (!blob_reader_open(blobs, BLOB_MP3, &record->mp3.id, &transfer->reader, &size, &metadata,
                          &error)) {
        free(transfer);
        answer_open_error(request, record, &error);
        return;
    }
    char etag[sizeof record->mp3.id.text + 2];
    snprintf(etag, sizeof etag, "\"%s\"", record->mp3.id.text);
    if (etag_matches_weakly(http_request_header(request, "If-None-Match"), etag)) {
        transfer_close(request, transfer);
        add_headers(request, record, etag);
        http_answer_empty(request, 304);
        return;
    }
    answer_range(request, record, transfer, size, etag);
}

void gateway_mp3(struct http_request *request)
{
    struct conversion record;
    if (gateway_find_in_path(request, &record))
        answer_mp3(request, &record);
}

/* An MP3's id, as the original system's emails have it, or a conversion's. */
void gateway_download(struct http_request *request)
{
    struct claims claims;
    struct conversion record;
    struct error error = {0};
    struct id id;
    const char *fid = http_request_query(request, "fid");
    if (!gateway_authenticate(request, &claims))
        return;
    if (fid == NULL || fid[0] == '\0') {
        http_answer_failure(request, &FAILURE_FID_REQUIRED, NULL);
        return;
    }
    struct record_store *records = gateway_records(request);
    if (records == NULL)
        return;
    bool is_mp3 =
        id_parse(fid, &id, &error) && record_store_get_by_mp3(records, &id, &record, &error);
    if (is_mp3 && gateway_is_owner(&claims, &record))
        answer_mp3(request, &record);
    else if (!is_mp3 && error.kind != ERROR_NOT_FOUND && error.kind != ERROR_BAD_INPUT)
        gateway_answer_store_error(request, &error);
    else if (gateway_find_own(request, &claims, fid, &record))
        answer_mp3(request, &record);
}
