#pragma once

/* "Waiting and work" of docs/conversion.md, the same for converter and notifier: one thread with a
 * queue handle and a record handle of its own, that takes one message, claims its record by one
 * compare-and-set, acks, and works; and that looks for overdue records every
 * recovery.look_interval, whatever messages come, where the queue cannot be reached, and before
 * every second job.
 *
 * Nothing is ever requeued. A message whose record cannot be claimed is acked; while the records do
 * not answer it is held; one that nobody can read is buried with the reason. */

#include "base/error.h"
#include "config/config.h"
#include "model/conversion.h"
#include "model/message.h"
#include "services/common/policy.h"
#include "services/common/records.h"
#include "services/common/stop.h"
#include "stores/job_queue/job_queue.h"
#include "stores/record_store/record_store.h"

struct consumer;

typedef bool consumer_taking(const struct conversion *record,
                             const struct conversion_policy *policy, int64_t now_ms,
                             struct id holder, struct conversion *out_next);

enum consumer_adoption {
    CONSUMER_ADOPTED,   /* there is a record with *out_id */
    CONSUMER_MALFORMED, /* error->text: why it is a dead letter */
    CONSUMER_LATER,     /* a store does not answer */
};

/* What the two services do differently. */
struct consumer_work {
    enum job_queue_name queue;
    enum conversion_role role;
    consumer_taking *claim;     /* row 6 or 14 */
    consumer_taking *take_over; /* row 7 or 15 */
    bool (*give_up)(const struct conversion *record, const struct conversion_policy *policy,
                    int64_t now_ms, struct conversion *out_next); /* row 12 or 17b */
    const char *claimed_point, *acked_point;                      /* fault_point() names */

    /* All below run in the consumer's thread. */

    /* Called until it succeeds, then once end(). */
    bool (*begin)(void *context, struct error *error);
    void (*end)(void *context);
    /* Before anything is taken: whether work could be done now. The error is logged. */
    bool (*is_able)(void *context, struct error *error);
    /* The record is ours (record->holder), and so is its end; returns when that is stored, or when
     * the record is somebody else's. */
    void (*work)(void *context, struct consumer *consumer, struct conversion *record);
    /* give_up() was stored. */
    void (*given_up)(void *context, const struct conversion *record);
    /* Rows 5 and 5b: a message without conversion_id, where messages.original is on. */
    enum consumer_adoption (*adopt)(void *context, struct record_store *records,
                                    const struct message *message, struct id *out_id,
                                    struct error *error);
    /* After each look. NULL: nothing. */
    void (*looked)(void *context, struct record_store *records);
};

/* All borrowed until consumer_close(). */
struct consumer_options {
    const struct config *config;
    const struct policy *policy;
    const struct stop *stop;
    const struct consumer_work *work;
    void *context;
};

/* Starts the thread; it opens its handles by itself, and again and again where that fails. */
MUST_CHECK bool consumer_open(const struct consumer_options *options,
                              struct consumer **out_consumer, struct error *error);
/* Once stop was told: waits at most timeout_ms for the thread. False: it still works. */
bool consumer_wait(struct consumer *consumer, int64_t timeout_ms);
void consumer_close(struct consumer *consumer); /* waits without a limit; NULL is fine */

/* ---- For work() ---- */

struct record_store *consumer_records(struct consumer *consumer);
/* A time before the claim: what the record's lease is counted from is not earlier. */
int64_t consumer_claimed_boot_ms(const struct consumer *consumer);
/* Gives the broker's connection back for the time of a long job, since nobody would answer its
 * heartbeats. It is opened again by itself. */
void consumer_rest_queue(struct consumer *consumer);
/* The records failed to answer. */
void consumer_note_outage(struct consumer *consumer);
/* Stores how the work ended: goes on until the outcome is known, or until the service must have
 * ended (RECORD_UNKNOWN, logged: left to the lease). */
MUST_CHECK enum record_outcome consumer_settle(struct consumer *consumer, struct conversion *record,
                                               record_decision *decide, void *context);
