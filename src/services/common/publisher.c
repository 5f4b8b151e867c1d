#include "services/common/publisher.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/message.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct waiting_message {
    struct message message;
    char traceparent[CONVERSION_TRACE_SIZE];
};

struct publisher {
    /* Set by publisher_open(), then read-only. */
    struct job_queue *queue; /* owned; used by the thread alone */
    pthread_t thread;

    /* The thread alone. */
    bool is_failing; /* so that an outage is two lines in the log and not thousands */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
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

/* False: nothing is left to do, ever. */
static bool wait_for_message(struct publisher *publisher, struct waiting_message *out_waiting)
{
    pthread_mutex_lock(&publisher->lock);
    while (publisher->count == 0 && !publisher->is_closing)
        pthread_cond_wait(&publisher->changed, &publisher->lock);
    bool has_one = publisher->count != 0 && has_time(publisher);
    if (has_one) {
        *out_waiting = publisher->ring[publisher->first];
        publisher->first = (publisher->first + 1) % PUBLISHER_WAITING_MAX;
        publisher->count--;
    }
    pthread_mutex_unlock(&publisher->lock);
    return has_one;
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
    bool was_sent = job_queue_publish(publisher->queue, &message, time_left_ms(publisher), &error);
    if (was_sent)
        fault_point("publisher.after_publish");
    note_outcome(publisher, was_sent, &error);
}

static void *publisher_main(void *context)
{
    struct publisher *publisher = context;
    struct waiting_message waiting;
    while (wait_for_message(publisher, &waiting))
        publish(publisher, &waiting);
    return NULL;
}

bool publisher_open(const struct config *config, enum job_queue_name queue,
                    struct publisher **out_publisher, struct error *error)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    struct waiting_message *ring = calloc(PUBLISHER_WAITING_MAX, sizeof *ring);
    if (publisher == NULL || ring == NULL)
        abort();
    publisher->ring = ring;
    pthread_mutex_init(&publisher->lock, NULL);
    pthread_cond_init(&publisher->changed, NULL);
    bool is_open = job_queue_open(config, queue, &publisher->queue, error);
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
