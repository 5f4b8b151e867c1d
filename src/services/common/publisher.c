#include "services/common/publisher.h"

#include "base/clock.h"
#include "base/condition.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/message.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Nobody would answer the heartbeats of a broker's connection while there is nothing to send. */
#define REST_AFTER_MS (20 * CLOCK_SECOND_MS)
#define REST_LOOK_MS 500

struct waiting_message {
    struct message message;
    char traceparent[CONVERSION_TRACE_SIZE];
};

struct publisher {
    /* Set by publisher_open(), then read-only. */
    const struct config *config; /* borrowed */
    enum job_queue_name name;
    pthread_t thread;

    /* The thread alone, between publisher_open() and publisher_close(). */
    struct job_queue *queue; /* owned; NULL while it rests */
    bool is_failing;         /* so that an outage is two lines in the log and not thousands */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;       /* waits by CLOCK_MONOTONIC */
    struct waiting_message *ring; /* owned; PUBLISHER_WAITING_MAX of them */
    size_t first, count;
    uint64_t dropped;
    bool is_closing;
    int64_t close_by_ms; /* boot time */
};

static bool has_time(const struct publisher *publisher)
{
    return !publisher->is_closing || clock_boot_ms() < publisher->close_by_ms;
}

enum wait_outcome {
    WAIT_MESSAGE,
    WAIT_NOTHING, /* for so long that the queue may rest */
    WAIT_OVER,    /* nothing is left to do, ever */
};

static enum wait_outcome wait_for_message(struct publisher *publisher,
                                          struct waiting_message *out_waiting)
{
    int64_t rest_boot_ms = clock_boot_ms() + REST_AFTER_MS;
    enum wait_outcome outcome = WAIT_NOTHING;
    pthread_mutex_lock(&publisher->lock);
    while (publisher->count == 0 && !publisher->is_closing) {
        struct timespec deadline = condition_deadline(REST_LOOK_MS);
        if (publisher->queue == NULL)
            pthread_cond_wait(&publisher->changed, &publisher->lock);
        else if (clock_boot_ms() < rest_boot_ms)
            pthread_cond_timedwait(&publisher->changed, &publisher->lock, &deadline);
        else
            break;
    }
    if (publisher->count != 0 && has_time(publisher)) {
        *out_waiting = publisher->ring[publisher->first];
        publisher->first = (publisher->first + 1) % PUBLISHER_WAITING_MAX;
        publisher->count--;
        outcome = WAIT_MESSAGE;
    } else if (publisher->is_closing) {
        outcome = WAIT_OVER;
    }
    pthread_mutex_unlock(&publisher->lock);
    return outcome;
}

static int time_left_ms(struct publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    int64_t left_ms =
        publisher->is_closing ? publisher->close_by_ms - clock_boot_ms() : PUBLISHER_TIMEOUT_MS;
    pthread_mutex_unlock(&publisher->lock);
    if (left_ms > PUBLISHER_TIMEOUT_MS)
        return PUBLISHER_TIMEOUT_MS;
    return left_ms > 1 ? (int)left_ms : 1;
}

static void note_outcome(struct publisher *publisher, bool was_sent, const struct error *error)
{
    if (!was_sent && !publisher->is_failing)
        log_warning("cannot publish: conversions are found by their due time until the queue is "
                    "back",
                    FIELD_TEXT("reason", error->text));
    if (was_sent && publisher->is_failing)
        log_info("publishing again");
    publisher->is_failing = !was_sent;
}

static bool open_queue(struct publisher *publisher, struct error *error)
{
    return publisher->queue != NULL ||
           job_queue_open(publisher->config, publisher->name, &publisher->queue, error);
}

static void publish(struct publisher *publisher, const struct waiting_message *waiting)
{
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(MESSAGE_SIZE_MAX);
    message_format(&waiting->message, &body);
    const struct job_message message = {
        .body = buffer_text(&body),
        .body_size = body.size,
        .message_id = waiting->message.conversion_id.text,
        .traceparent = waiting->traceparent[0] != '\0' ? waiting->traceparent : NULL,
    };
    struct error error = {0};
    bool was_sent = open_queue(publisher, &error) &&
                    job_queue_publish(publisher->queue, &message, time_left_ms(publisher), &error);
    if (was_sent)
        fault_point("publisher.after_publish");
    note_outcome(publisher, was_sent, &error);
}

static void *publisher_main(void *context)
{
    struct publisher *publisher = context;
    struct waiting_message waiting;
    for (;;) {
        switch (wait_for_message(publisher, &waiting)) {
        case WAIT_MESSAGE:
            publish(publisher, &waiting);
            break;
        case WAIT_NOTHING:
            job_queue_close(publisher->queue);
            publisher->queue = NULL;
            break;
        case WAIT_OVER:
            return NULL;
        }
    }
}

bool publisher_open(const struct config *config, enum job_queue_name queue,
                    struct publisher **out_publisher, struct error *error)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    struct waiting_message *ring = calloc(PUBLISHER_WAITING_MAX, sizeof *ring);
    if (publisher == NULL || ring == NULL)
        abort();
    publisher->config = config;
    publisher->name = queue;
    publisher->ring = ring;
    pthread_mutex_init(&publisher->lock, NULL);
    condition_init(&publisher->changed);
    bool is_open = open_queue(publisher, error);
    if (is_open && pthread_create(&publisher->thread, NULL, publisher_main, publisher) != 0)
        is_open = error_set(error, ERROR_UNAVAILABLE, "cannot start the publisher's thread");
    if (!is_open) {
        job_queue_close(publisher->queue);
        free(publisher->ring);
        free(publisher);
        return error_prefix(error, "publisher to %s", job_queue_name_text(queue));
    }
    *out_publisher = publisher;
    return true;
}

void publisher_send(struct publisher *publisher, const struct conversion *record)
{
    struct waiting_message waiting = {
        .message = {.video_id = record->id, .mp3_id = record->mp3.id, .conversion_id = record->id},
    };
    memcpy(waiting.message.username, record->owner.email, sizeof waiting.message.username);
    memcpy(waiting.traceparent, record->trace.parent, sizeof record->trace.parent);

    pthread_mutex_lock(&publisher->lock);
    bool is_full = publisher->count == PUBLISHER_WAITING_MAX || publisher->is_closing;
    if (is_full) {
        publisher->dropped++;
    } else {
        publisher->ring[(publisher->first + publisher->count) % PUBLISHER_WAITING_MAX] = waiting;
        publisher->count++;
        pthread_cond_signal(&publisher->changed);
    }
    pthread_mutex_unlock(&publisher->lock);
}

void publisher_close(struct publisher *publisher, int timeout_ms)
{
    if (publisher == NULL)
        return;
    pthread_mutex_lock(&publisher->lock);
    publisher->is_closing = true;
    publisher->close_by_ms = clock_boot_ms() + timeout_ms;
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    pthread_join(publisher->thread, NULL);

    if (publisher->count + publisher->dropped != 0)
        log_info("left to their due time: messages not sent",
                 FIELD_COUNT("count", publisher->count + publisher->dropped));
    job_queue_close(publisher->queue);
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher->ring);
    free(publisher);
}
