#pragma once

/* The queues `video` and `mp3`: hints that there is something to do. The record says what.
 *
 * Services include only this file; the option stores.queue chooses the backend (sqlite, rabbitmq).
 * A message may be lost, doubled, late or out of order; what is taken and not acked comes back. One
 * handle is one queue with at most one outstanding delivery, and belongs to one thread. */

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"
#include "model/message.h"
#include <stddef.h>
#include <stdint.h>

enum job_queue_name { JOB_QUEUE_VIDEO, JOB_QUEUE_MP3 };

struct job_queue;

#define JOB_QUEUE_HEADER_SIZE 65

struct job_message {
    const void *body; /* at most MESSAGE_SIZE_MAX bytes */
    size_t body_size;
    const char *message_id;  /* the conversion's id; NULL: none */
    const char *traceparent; /* NULL: none */
};

/* Taken, not yet acked; belongs to the queue and is valid until its ack, bury or the next take. */
struct job_delivery {
    struct buffer body; /* a body over 1 MiB arrives cut, and so malformed */
    char message_id[JOB_QUEUE_HEADER_SIZE];
    char traceparent[JOB_QUEUE_HEADER_SIZE];
};

extern const struct config_option job_queue_options[]; /* stores.queue */

/* Opens even where the broker cannot be reached: every call then tries again by itself. */
MUST_CHECK bool job_queue_open(const struct config *config, enum job_queue_name name,
                               struct job_queue **out_queue, struct error *error);
void job_queue_close(
    struct job_queue *queue); /* NULL is fine; the outstanding delivery comes back */
void job_queue_closep(struct job_queue **queue);
/* Can it be reached, and is it there? A message that is held stays so. ERROR_NOT_FOUND: a queue of
 * a broker is missing. Here and below, where a call names no time, a broker is waited for 3 s for a
 * connection and 2 s for each answer. */
MUST_CHECK bool job_queue_check(struct job_queue *queue, struct error *error);
/* Makes what is missing. */
MUST_CHECK bool job_queue_migrate(const struct config *config, struct error *error);
/* A consistent copy of an embedded queue into the folder, while others use it. */
MUST_CHECK bool job_queue_backup(const struct config *config, const char *folder,
                                 struct error *error);

/* True: it is durable in the queue. Within timeout_ms. */
MUST_CHECK bool job_queue_publish(struct job_queue *queue, const struct job_message *message,
                                  int timeout_ms, struct error *error);

/* Waits at most timeout_ms, or until interrupt_fd (-1: none) is readable. *out_delivery is NULL
 * where there was nothing. A message that is published wakes a waiter within 50 ms.
 * ERROR_UNAVAILABLE at once where the queue cannot be reached: the caller waits. */
MUST_CHECK bool job_queue_take(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                               const struct job_delivery **out_delivery, struct error *error);
MUST_CHECK bool job_queue_ack(struct job_queue *queue, struct error *error);
/* To the dead letters, with the reason, then acked. */
MUST_CHECK bool job_queue_bury(struct job_queue *queue, const char *reason, struct error *error);

/* Messages waiting: for metrics. */
MUST_CHECK bool job_queue_length(struct job_queue *queue, uint64_t *out_length,
                                 struct error *error);

/* Dead letters of the queue, oldest first, at most limit. visit says what becomes of each. */
enum job_queue_verdict { JOB_QUEUE_KEEP, JOB_QUEUE_DROP };
struct job_queue_letter {
    const char *id; /* for `queue dead drop ID` */
    const char *reason;
    int64_t buried_at_ms;
    const void *body;
    size_t body_size;
};
typedef enum job_queue_verdict job_queue_visit(void *context,
                                               const struct job_queue_letter *letter);
MUST_CHECK bool job_queue_browse_dead(struct job_queue *queue, size_t limit, job_queue_visit *visit,
                                      void *context, struct error *error);

const char *job_queue_name_text(enum job_queue_name name); /* "video" */
