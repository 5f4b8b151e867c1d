#include "services/notifier/sending.h"

#include "base/fault.h"
#include "base/log.h"

static bool begin(void *context, struct error *error)
{
    struct sending *sending = context;
    return sending->sender != NULL || mail_sender_open(sending->config, &sending->sender, error);
}

static void end(void *context)
{
    struct sending *sending = context;
    mail_sender_close(sending->sender);
    sending->sender = NULL;
}

/* Asking first would cost every mail a connection more. But a server that did not take the last one
 * is asked before the next is claimed: while it is down no mail uses up its attempts. */
static bool is_able(void *context, struct error *error)
{
    struct sending *sending = context;
    if (sending->is_mail_failing && !mail_sender_check(sending->sender, error))
        return error_prefix(error, "mail");
    sending->is_mail_failing = false;
    return true;
}

static void work(void *context, struct consumer *consumer, struct conversion *record)
{
    struct sending *sending = context;
    const struct notice_tools tools = {
        .policy = sending->policy,
        .identity = sending->identity,
        .consumer = consumer,
        .sender = sending->sender,
    };
    enum notice_outcome outcome = notice_run(&tools, record);
    sending->is_mail_failing = outcome == NOTICE_POSTPONED;
    sending->observe(sending->observer, outcome);
}

static void given_up(void *context, const struct conversion *record)
{
    struct sending *sending = context;
    fault_point("notifier.after_give_up");
    log_error("mail given up", FIELD_TEXT("conversion", record->id.text),
              FIELD_TEXT("request", record->trace.request),
              FIELD_TEXT("reason", record->notice.error));
    sending->observe(sending->observer, NOTICE_FAILED);
}

/* Row 5b: the MP3 of an original converter gets a record. */
static bool insert_record(const struct sending *sending, struct record_store *records,
                          const struct message *message, struct error *error)
{
    struct conversion record;
    int64_t now_ms;
    if (!record_store_now(records, &now_ms, error))
        return false;
    conversion_adopt_mp3(&sending->policy->conversion, now_ms, &message->mp3_id, message->username,
                         &record);
    struct error failure = {0};
    if (record_store_insert(records, &record, &failure)) {
        fault_point("notifier.after_adopt");
        log_info("MP3 of an original service", FIELD_TEXT("conversion", record.id.text));
        return true;
    }
    if (failure.kind == ERROR_CONFLICT)
        return true; /* by another notifier, or by us and unanswered */
    *error = failure;
    return false;
}

static enum consumer_adoption adopt(void *context, struct record_store *records,
                                    const struct message *message, struct id *out_id,
                                    struct error *error)
{
    struct sending *sending = context;
    if (id_is_none(&message->mp3_id)) {
        (void)error_set(error, ERROR_BAD_INPUT, "neither conversion_id nor mp3_fid");
        return CONSUMER_MALFORMED;
    }
    struct conversion record;
    struct error failure = {0};
    if (record_store_get_by_mp3(records, &message->mp3_id, &record, &failure)) {
        *out_id = record.id; /* of one of ours, or adopted before */
        return CONSUMER_ADOPTED;
    }
    if (failure.kind != ERROR_NOT_FOUND) {
        *error = failure;
        return CONSUMER_LATER;
    }
    if (!insert_record(sending, records, message, error))
        return CONSUMER_LATER;
    *out_id = message->mp3_id;
    return CONSUMER_ADOPTED;
}

/* ---- Records of row 5b ---- */

struct tidying {
    const struct sending *sending;
    struct record_store *records;
};

static bool tidy(void *context, const struct conversion *record, int64_t now_ms,
                 struct conversion *out_next)
{
    const struct tidying *tidying = context;
    const struct conversion_policy *policy = &tidying->sending->policy->conversion;
    return conversion_expire(record, policy, now_ms, out_next) ||
           conversion_note_sweep(record, policy, now_ms, out_next) ||
           conversion_clean(record, policy, now_ms, out_next);
}

/* Nothing of theirs is ours to delete, so that no blob store is needed. */
static enum look_verdict tidy_one(void *context, struct conversion *record)
{
    struct tidying *tidying = context;
    struct error error = {0};
    int64_t now_ms;
    if (stop_is_told(tidying->sending->stop) ||
        !record_store_now(tidying->records, &now_ms, &error))
        return LOOK_STOP;
    if (record->foreign != CONVERSION_FOREIGN_MP3)
        return LOOK_GO_ON;
    bool is_done;
    if (conversion_is_removable(record, now_ms))
        is_done = record_store_remove(tidying->records, &record->id, record->version, &error);
    else
        is_done = records_change_read(tidying->records, record, tidy, tidying, 0, &error) !=
                  RECORD_UNKNOWN;
    return is_done || error.kind == ERROR_CONFLICT ? LOOK_GO_ON : LOOK_STOP;
}

/* A notifier beside original services is the only one here that cleans up after itself. */
static void looked(void *context, struct record_store *records)
{
    struct sending *sending = context;
    if (!sending->policy->takes_original_messages)
        return;
    struct tidying tidying = {.sending = sending, .records = records};
    struct error error = {0};
    if (!records_look(records, CONVERSION_DUE_CLEAN, tidy_one, &tidying, &error))
        log_debug("records not tidied", FIELD_TEXT("reason", error.text));
}

static const struct consumer_work notifier_work = {
    .queue = JOB_QUEUE_MP3,
    .role = CONVERSION_DUE_NOTIFY,
    .claim = conversion_claim_notice,
    .take_over = conversion_take_over_notice,
    .give_up = conversion_give_up_notice,
    .claimed_point = "notifier.after_claim",
    .acked_point = "notifier.after_ack",
    .begin = begin,
    .end = end,
    .is_able = is_able,
    .work = work,
    .given_up = given_up,
    .adopt = adopt,
    .looked = looked,
};

bool sending_open(struct sending *sending, struct error *error)
{
    const struct consumer_options options = {
        .config = sending->config,
        .policy = sending->policy,
        .stop = sending->stop,
        .work = &notifier_work,
        .context = sending,
    };
    return consumer_open(&options, &sending->consumer, error);
}
