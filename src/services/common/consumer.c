#include "services/common/consumer.h"

#include "base/clock.h"
#include "base/condition.h"
#include "base/fault.h"
#include "base/log.h"
#include "services/common/outage.h"
#include <pthread.h>
#include <stdlib.h>

#define OPEN_RETRY_MS 2000
#define ABLE_RETRY_MS 1000
#define QUEUE_RETRY_MS 1000
#define HOLD_FIRST_MS 100
#define HOLD_MOST_MS 2000
/* For one claim: what is longer is held and tried again, so that a stop is not waited for. */
#define CLAIM_TIMEOUT_MS 2000
#define SETTLE_TIMEOUT_MS 2000
#define SETTLE_RETRY_MS 500
#define JOBS_PER_LOOK 2

struct consumer {
    /* Set by consumer_open(), then read-only. */
    struct consumer_options options;
    pthread_t thread;

    /* The thread alone. */
    struct job_queue *queue;      /* owned; NULL while it rests */
    struct record_store *records; /* owned; NULL until it could be opened */
    struct outage outage;
    int64_t claimed_boot_ms;
    int64_t next_look_boot_ms;
    bool is_looking;      /* the last look found something: once more before waiting */
    bool has_look_failed; /* a claim of this look did, though the look was read */
    unsigned jobs_since_look;
    /* So that each is logged once. */
    bool is_unable, is_queue_failing, are_records_failing, is_holding;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* waits by CLOCK_MONOTONIC */
    bool is_over;
};

/* ---- What is logged once ---- */

static void note(bool is_failing, bool *was_failing, const char *event, const char *recovered,
                 const struct error *error)
{
    if (is_failing && !*was_failing)
        log_warning(event, FIELD_TEXT("reason", error->text));
    if (!is_failing && *was_failing)
        log_info(recovered);
    *was_failing = is_failing;
}

static void note_records(struct consumer *consumer, bool is_failing, const struct error *error)
{
    if (is_failing)
        consumer_note_outage(consumer);
    else
        outage_note_answer(&consumer->outage, clock_boot_ms());
    note(is_failing, &consumer->are_records_failing, "records do not answer: waiting for them",
         "records answer again", error);
}

/* Not the store but this one record, or our own bug: waiting would not help, and all that comes
 * behind it would wait too. It stays due, and is told of at each look. */
static bool is_for_good(const struct error *error)
{
    return error->kind == ERROR_INTERNAL || error->kind == ERROR_BAD_INPUT;
}

static void log_unusable(const char *id, const struct error *error)
{
    log_error("a record cannot be used: passed over", FIELD_TEXT("conversion", id),
              FIELD_TEXT("reason", error->text));
}

static void note_queue(struct consumer *consumer, bool is_failing, const struct error *error)
{
    note(is_failing, &consumer->is_queue_failing,
         "the queue cannot be reached: looking for work by its due time",
         "the queue can be reached again", error);
}

/* ---- Claims ---- */

struct taking {
    struct consumer *consumer;
    struct id holder; /* the same however often it is tried: by it we know our own late write */
    int64_t first_boot_ms, last_boot_ms; /* of the tries */
    bool is_overdue;                     /* found by a look and not by a message */
    bool is_taken;                       /* what was decided last makes the record ours */
};

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    struct taking *taking = context;
    const struct consumer *consumer = taking->consumer;
    const struct consumer_work *work = consumer->options.work;
    const struct conversion_policy *policy = &consumer->options.policy->conversion;
    taking->is_taken = false;
    if (id_is_equal(&record->holder, &taking->holder)) {
        taking->is_taken = true; /* a write of ours that landed after it was given up */
        taking->last_boot_ms = taking->first_boot_ms;
        return false;
    }
    if (taking->is_overdue && !conversion_is_due(record, work->role, now_ms))
        return false;
    if (taking->is_overdue && work->give_up(record, policy, now_ms, out_next))
        return true;
    taking->is_taken = work->claim(record, policy, now_ms, taking->holder, out_next);
    if (!taking->is_taken && taking->is_overdue &&
        outage_allows_take_over(&consumer->outage, clock_boot_ms(), policy->lease_ms))
        taking->is_taken = work->take_over(record, policy, now_ms, taking->holder, out_next);
    return taking->is_taken;
}

static struct taking taking_begin(struct consumer *consumer, bool is_overdue)
{
    int64_t boot_ms = clock_boot_ms();
    return (struct taking){
        .consumer = consumer,
        .holder = id_make_random(),
        .first_boot_ms = boot_ms,
        .last_boot_ms = boot_ms,
        .is_overdue = is_overdue,
    };
}

static void work_on(struct consumer *consumer, const struct taking *taking,
                    struct conversion *record)
{
    consumer->claimed_boot_ms = taking->last_boot_ms;
    log_request_set(record->trace.request);
    consumer->options.work->work(consumer->options.context, consumer, record);
    log_request_set(NULL);
    consumer->jobs_since_look++;
}

/* ---- Looks ---- */

static bool is_ours(enum record_outcome outcome, const struct taking *taking)
{
    return taking->is_taken && (outcome == RECORD_WRITTEN || outcome == RECORD_REFUSED);
}

static enum look_verdict take_overdue(void *context, struct conversion *record)
{
    struct consumer *consumer = context;
    if (stop_is_told(consumer->options.stop))
        return LOOK_STOP;
    outage_note_answer(&consumer->outage, clock_boot_ms()); /* it was read just now */
    struct error error = {0};
    struct taking taking = taking_begin(consumer, true);
    enum record_outcome outcome =
        records_change_read(consumer->records, record, decide, &taking, CLAIM_TIMEOUT_MS, &error);
    if (outcome == RECORD_UNKNOWN && is_for_good(&error)) {
        log_unusable(record->id.text, &error);
        return LOOK_GO_ON;
    }
    note_records(consumer, outcome == RECORD_UNKNOWN, &error);
    consumer->has_look_failed = outcome == RECORD_UNKNOWN;
    if (outcome == RECORD_UNKNOWN)
        return LOOK_STOP;
    if (is_ours(outcome, &taking)) {
        fault_point(consumer->options.work->claimed_point);
        work_on(consumer, &taking, record);
        consumer->is_looking = true;
        return LOOK_STOP;
    }
    if (outcome == RECORD_WRITTEN)
        consumer->options.work->given_up(consumer->options.context, record);
    return LOOK_GO_ON;
}

static bool is_look_due(const struct consumer *consumer)
{
    return consumer->is_looking || consumer->jobs_since_look >= JOBS_PER_LOOK ||
           clock_boot_ms() >= consumer->next_look_boot_ms;
}

static void look(struct consumer *consumer)
{
    struct error error = {0};
    consumer->is_looking = false;
    consumer->has_look_failed = false;
    bool is_read = records_look(consumer->records, consumer->options.work->role, take_overdue,
                                consumer, &error);
    note_records(consumer, !is_read || consumer->has_look_failed, &error);
    if (is_read && consumer->options.work->looked != NULL)
        consumer->options.work->looked(consumer->options.context, consumer->records);
    consumer->jobs_since_look = 0;
    consumer->next_look_boot_ms = clock_boot_ms() + consumer->options.policy->look_interval_ms;
}

/* ---- Messages ---- */

static void ack(struct consumer *consumer)
{
    struct error error = {0};
    /* What is not acked comes back, and then its record says that there is nothing to do. */
    if (!job_queue_ack(consumer->queue, &error))
        log_debug("message not acked", FIELD_TEXT("reason", error.text));
    else
        fault_point(consumer->options.work->acked_point);
}

static void bury(struct consumer *consumer, const char *reason)
{
    struct error error = {0};
    const char *queue = job_queue_name_text(consumer->options.work->queue);
    if (job_queue_bury(consumer->queue, reason, &error)) {
        log_warning("dead letter", FIELD_TEXT("queue", queue), FIELD_TEXT("reason", reason));
        return;
    }
    log_warning("message not buried: it will come back", FIELD_TEXT("queue", queue),
                FIELD_TEXT("reason", error.text));
    /* At once, as the queue can be read from. */
    (void)stop_wait(consumer->options.stop, QUEUE_RETRY_MS);
}

/* Holds the message for a while; *wait_ms grows. False: the service ends. A broker takes back what
 * is held by one whose heartbeats it misses: so the queue is asked something each time. */
static bool hold(struct consumer *consumer, int64_t *wait_ms)
{
    bool goes_on = stop_wait(consumer->options.stop, *wait_ms);
    *wait_ms = 2 * *wait_ms < HOLD_MOST_MS ? 2 * *wait_ms : HOLD_MOST_MS;
    if (goes_on)
        ignore_failure(job_queue_check(consumer->queue, NULL));
    return goes_on;
}

/* False: the message is dealt with, or the service ends. */
static bool find_record_id(struct consumer *consumer, const struct message *message,
                           struct id *out_id)
{
    if (!id_is_none(&message->conversion_id)) {
        *out_id = message->conversion_id;
        return true;
    }
    if (!consumer->options.policy->takes_original_messages) {
        bury(consumer, "no conversion_id, and messages.original is off");
        return false;
    }
    int64_t wait_ms = HOLD_FIRST_MS;
    do {
        struct error error = {0};
        enum consumer_adoption adoption = consumer->options.work->adopt(
            consumer->options.context, consumer->records, message, out_id, &error);
        bool is_later = adoption == CONSUMER_LATER && !is_for_good(&error);
        note(is_later, &consumer->is_holding, "a store does not answer: holding the message",
             "the message is held no longer", &error);
        if (adoption == CONSUMER_ADOPTED)
            return true;
        if (!is_later) {
            bury(consumer, error.text);
            return false;
        }
    } while (hold(consumer, &wait_ms));
    return false;
}

static void take_message(struct consumer *consumer, const struct id *id)
{
    struct conversion record;
    struct taking taking = taking_begin(consumer, false);
    struct error error = {0};
    enum record_outcome outcome;
    int64_t wait_ms = HOLD_FIRST_MS;
    do {
        taking.last_boot_ms = clock_boot_ms();
        outcome = records_change(consumer->records, id, decide, &taking, CLAIM_TIMEOUT_MS, &record,
                                 &error);
        if (outcome == RECORD_UNKNOWN && is_for_good(&error)) {
            log_unusable(id->text, &error);
            ack(consumer);
            return;
        }
        note_records(consumer, outcome == RECORD_UNKNOWN, &error);
    } while (outcome == RECORD_UNKNOWN && hold(consumer, &wait_ms));
    if (outcome == RECORD_UNKNOWN)
        return; /* the queue's end gives it back; a claim that lands yet ends with its lease */

    bool is_mine = is_ours(outcome, &taking);
    if (is_mine)
        fault_point(consumer->options.work->claimed_point);
    ack(consumer);
    if (outcome == RECORD_ABSENT)
        log_info("message about a conversion that is gone", FIELD_TEXT("conversion", id->text));
    if (is_mine)
        work_on(consumer, &taking, &record);
}

static void handle(struct consumer *consumer, const struct job_delivery *delivery)
{
    struct message message;
    struct error error = {0};
    struct id id;
    if (!message_parse(buffer_text(&delivery->body), delivery->body.size, &message, &error))
        bury(consumer, error.text);
    else if (find_record_id(consumer, &message, &id))
        take_message(consumer, &id);
}

static bool open_queue(struct consumer *consumer, struct error *error)
{
    return consumer->queue != NULL ||
           job_queue_open(consumer->options.config, consumer->options.work->queue, &consumer->queue,
                          error);
}

static void wait_for_message(struct consumer *consumer)
{
    struct error error = {0};
    int64_t wait_ms = consumer->is_looking ? 0 : consumer->next_look_boot_ms - clock_boot_ms();
    const struct job_delivery *delivery = NULL;
    bool is_taken = open_queue(consumer, &error) &&
                    job_queue_take(consumer->queue, wait_ms > 0 ? (int)wait_ms : 0,
                                   consumer->options.stop->fd, &delivery, &error);
    note_queue(consumer, !is_taken, &error);
    if (!is_taken) {
        if (!consumer->is_looking)
            (void)stop_wait(consumer->options.stop,
                            wait_ms < QUEUE_RETRY_MS ? wait_ms : QUEUE_RETRY_MS);
        consumer->next_look_boot_ms = 0;
        return;
    }
    if (delivery != NULL && !stop_is_told(consumer->options.stop))
        handle(consumer, delivery);
}

/* ---- The thread ---- */

static bool is_able(struct consumer *consumer)
{
    struct error error = {0};
    bool is_able = consumer->options.work->is_able(consumer->options.context, &error);
    note(!is_able, &consumer->is_unable, "cannot work now: waiting", "working again", &error);
    return is_able;
}

static bool open_all(struct consumer *consumer, bool *out_has_begun, struct error *error)
{
    if (consumer->records == NULL &&
        !record_store_open(consumer->options.config, &consumer->records, error))
        return false;
    if (!record_store_check(consumer->records, error)) {
        consumer_note_outage(consumer);
        return false;
    }
    outage_note_answer(&consumer->outage, clock_boot_ms());
    *out_has_begun = consumer->options.work->begin(consumer->options.context, error);
    return *out_has_begun;
}

/* False: the service ends. */
static bool open_patiently(struct consumer *consumer, bool *out_has_begun)
{
    bool was_failing = false;
    for (;;) {
        struct error error = {0};
        bool is_open = open_all(consumer, out_has_begun, &error);
        note(!is_open, &was_failing, "not ready: what it needs cannot be used yet",
             "what it needs can be used now", &error);
        if (is_open)
            return true;
        if (!stop_wait(consumer->options.stop, OPEN_RETRY_MS))
            return false;
    }
}

static void *consumer_main(void *context)
{
    struct consumer *consumer = context;
    bool has_begun = false;
    bool goes_on = open_patiently(consumer, &has_begun);
    while (goes_on && !stop_is_told(consumer->options.stop)) {
        if (!is_able(consumer)) {
            (void)stop_wait(consumer->options.stop, ABLE_RETRY_MS);
            continue;
        }
        if (is_look_due(consumer))
            look(consumer);
        if (!stop_is_told(consumer->options.stop))
            wait_for_message(consumer);
    }
    if (has_begun)
        consumer->options.work->end(consumer->options.context);
    job_queue_close(consumer->queue);
    record_store_close(consumer->records);
    condition_raise(&consumer->changed, &consumer->lock, &consumer->is_over);
    return NULL;
}

static void consumer_free(struct consumer *consumer)
{
    pthread_cond_destroy(&consumer->changed);
    pthread_mutex_destroy(&consumer->lock);
    free(consumer);
}

bool consumer_open(const struct consumer_options *options, struct consumer **out_consumer,
                   struct error *error)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        abort();
    consumer->options = *options;
    pthread_mutex_init(&consumer->lock, NULL);
    condition_init(&consumer->changed);
    if (pthread_create(&consumer->thread, NULL, consumer_main, consumer) != 0) {
        consumer_free(consumer);
        return error_set(error, ERROR_UNAVAILABLE, "cannot start a consumer's thread");
    }
    *out_consumer = consumer;
    return true;
}

bool consumer_wait(struct consumer *consumer, int64_t timeout_ms)
{
    struct timespec deadline = condition_deadline(timeout_ms);
    int outcome = 0;
    pthread_mutex_lock(&consumer->lock);
    while (!consumer->is_over && outcome == 0)
        outcome = pthread_cond_timedwait(&consumer->changed, &consumer->lock, &deadline);
    bool is_over = consumer->is_over;
    pthread_mutex_unlock(&consumer->lock);
    return is_over;
}

void consumer_close(struct consumer *consumer)
{
    if (consumer == NULL)
        return;
    pthread_join(consumer->thread, NULL);
    consumer_free(consumer);
}

struct record_store *consumer_records(struct consumer *consumer)
{
    return consumer->records;
}

void consumer_rest_queue(struct consumer *consumer)
{
    job_queue_close(consumer->queue);
    consumer->queue = NULL;
}

void consumer_note_outage(struct consumer *consumer)
{
    outage_note_failure(&consumer->outage, clock_boot_ms(),
                        consumer->options.policy->conversion.lease_ms);
}

int64_t consumer_claimed_boot_ms(const struct consumer *consumer)
{
    return consumer->claimed_boot_ms;
}

enum record_outcome consumer_settle(struct consumer *consumer, struct conversion *record,
                                    record_decision *decision, void *context)
{
    const struct stop *stop = consumer->options.stop;
    for (;;) {
        struct error error = {0};
        enum record_outcome outcome = records_change_read(consumer->records, record, decision,
                                                          context, SETTLE_TIMEOUT_MS, &error);
        note_records(consumer, outcome == RECORD_UNKNOWN, &error);
        if (outcome != RECORD_UNKNOWN)
            return outcome;
        if (is_for_good(&error) || !stop_linger(stop, SETTLE_RETRY_MS)) {
            log_error("the end of some work could not be written down: left to its lease",
                      FIELD_TEXT("conversion", record->id.text), FIELD_TEXT("reason", error.text));
            return outcome;
        }
    }
}
