#include "services/converter/slot.h"

#include "base/fault.h"
#include "base/log.h"

static bool begin(void *context, struct error *error)
{
    struct slot *slot = context;
    if (slot->blobs == NULL && !blob_store_open(slot->config, &slot->blobs, error))
        return false;
    return slot->worker != NULL || worker_process_open(&slot->worker, error);
}

static void end(void *context)
{
    struct slot *slot = context;
    worker_process_close(slot->worker);
    blob_store_close(slot->blobs);
    slot->worker = NULL;
    slot->blobs = NULL;
}

/* What is claimed should be worked on at once: with blobs that answer, and a worker that waits. */
static bool is_able(void *context, struct error *error)
{
    struct slot *slot = context;
    if (slot->are_blobs_failing && !blob_store_check(slot->blobs, error))
        return error_prefix(error, "blob store");
    slot->are_blobs_failing = false;
    return worker_process_prepare(slot->worker, error) || error_prefix(error, "worker");
}

static void work(void *context, struct consumer *consumer, struct conversion *record)
{
    struct slot *slot = context;
    const struct job_tools tools = {
        .settings = slot->settings,
        .policy = slot->policy,
        .stop = slot->stop,
        .consumer = consumer,
        .records = consumer_records(consumer),
        .blobs = slot->blobs,
        .worker = slot->worker,
    };
    struct job_report report = job_run(&tools, record);
    slot->are_blobs_failing = report.are_blobs_failing;
    /* Failures have no message: the record's due time tells of them. */
    if (report.outcome == JOB_DONE && record->notice.state == CONVERSION_NOTICE_PENDING)
        publisher_send(slot->publisher, record);
    slot->observe(slot->observer, &report);
}

static void given_up(void *context, const struct conversion *record)
{
    struct slot *slot = context;
    fault_point("converter.after_give_up");
    log_warning("conversion given up", FIELD_TEXT("conversion", record->id.text),
                FIELD_TEXT("request", record->trace.request),
                FIELD_TEXT("code", record->error.code), FIELD_COUNT("lost", record->lost));
    const struct job_report report = {.outcome = JOB_FAILED};
    slot->observe(slot->observer, &report);
}

/* Row 5: the video of an original gateway gets a record. */
static bool insert_record(const struct slot *slot, struct record_store *records,
                          const struct message *message, uint64_t size, struct error *error)
{
    struct conversion record;
    int64_t now_ms;
    if (!record_store_now(records, &now_ms, error))
        return false;
    conversion_adopt_video(&slot->policy->conversion, now_ms, &message->video_id, message->username,
                           (int64_t)size, &record);
    struct error failure = {0};
    if (record_store_insert(records, &record, &failure)) {
        fault_point("converter.after_adopt");
        log_info("conversion of an original service", FIELD_TEXT("conversion", record.id.text));
        return true;
    }
    if (failure.kind == ERROR_CONFLICT)
        return true; /* by another converter, or by us and unanswered */
    *error = failure;
    return false;
}

static enum consumer_adoption adopt(void *context, struct record_store *records,
                                    const struct message *message, struct id *out_id,
                                    struct error *error)
{
    struct slot *slot = context;
    if (id_is_none(&message->video_id)) {
        (void)error_set(error, ERROR_BAD_INPUT, "neither conversion_id nor video_fid");
        return CONSUMER_MALFORMED;
    }
    struct blob_reader *reader = NULL;
    struct blob_metadata metadata = {0};
    uint64_t size = 0;
    if (!blob_reader_open(slot->blobs, BLOB_VIDEO, &message->video_id, &reader, &size, &metadata,
                          error))
        return error->kind == ERROR_NOT_FOUND ? CONSUMER_MALFORMED : CONSUMER_LATER;
    blob_reader_close(reader);
    if (!id_is_none(&metadata.conversion_id)) {
        (void)error_set(error, ERROR_BAD_INPUT, "the video belongs to conversion %s",
                        metadata.conversion_id.text);
        return CONSUMER_MALFORMED;
    }
    if (!insert_record(slot, records, message, size, error))
        return CONSUMER_LATER;
    *out_id = message->video_id;
    return CONSUMER_ADOPTED;
}

static const struct consumer_work converter_work = {
    .queue = JOB_QUEUE_VIDEO,
    .role = CONVERSION_DUE_CONVERT,
    .claim = conversion_claim,
    .take_over = conversion_take_over,
    .give_up = conversion_give_up,
    .claimed_point = "converter.after_claim",
    .acked_point = "converter.after_ack",
    .begin = begin,
    .end = end,
    .is_able = is_able,
    .work = work,
    .given_up = given_up,
    .adopt = adopt,
};

bool slot_open(struct slot *slot, struct error *error)
{
    const struct consumer_options options = {
        .config = slot->config,
        .policy = slot->policy,
        .stop = slot->stop,
        .work = &converter_work,
        .context = slot,
    };
    return consumer_open(&options, &slot->consumer, error);
}
