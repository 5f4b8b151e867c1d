#pragma once

/* Between the files of the backend rabbitmq: one handle, and what it does with its connection. */

#include "stores/job_queue/backend.h"
#include "stores/job_queue/rabbitmq_connection.h"
#include "stores/job_queue/rabbitmq_message.h"

#define RABBITMQ_NAME_SIZE 16

struct rabbitmq_queue {
    struct job_queue base;
    char name[RABBITMQ_NAME_SIZE]; /* "video" */
    char dead[RABBITMQ_NAME_SIZE]; /* "video.dead" */
    char client[32];               /* what an operator sees */
    struct rabbitmq_connection connection;
    bool was_compared; /* our arguments with those that the broker has */

    /* Of the outstanding delivery. */
    struct rabbitmq_message message;
    uint64_t tag;

    uint64_t published; /* by the open channel: the number of the last confirm that will come */
};

struct rabbitmq_queue *rabbitmq_queue_of(struct job_queue *queue);

/* Does the work on a connection that is ready, and again on a new one where the broker has ended
 * the old one meanwhile: that costs nobody anything. What must exist is made where it is missing.
 */
typedef bool rabbitmq_work(struct rabbitmq_queue *queue, void *context, struct error *error);
enum rabbitmq_missing { RABBITMQ_MAKE_MISSING, RABBITMQ_REPORT_MISSING };
MUST_CHECK bool rabbitmq_try(struct rabbitmq_queue *queue, int64_t until_boot_ms,
                             enum rabbitmq_missing missing, rabbitmq_work *work, void *context,
                             struct error *error);

/* ---- rabbitmq_declare.c ---- */

/* The queue and its dead letters, where they are missing. One that is there with other arguments is
 * used as it is, with a warning in the log. */
MUST_CHECK bool rabbitmq_declare(struct rabbitmq_queue *queue, struct error *error);
/* ERROR_NOT_FOUND: it is missing. */
MUST_CHECK bool rabbitmq_measure(struct rabbitmq_queue *queue, const char *name,
                                 uint64_t *out_length, struct error *error);
/* Are both there? Warns, once, where one is not as we would make it. */
rabbitmq_work rabbitmq_inspect;

/* ---- rabbitmq_publish.c ---- */

struct rabbitmq_publication {
    const char *queue;
    struct job_message message;
    const char *reason; /* of a dead letter; NULL: it is none */
    int64_t until_boot_ms;
};
/* context is a struct rabbitmq_publication. True: confirmed, and not returned. */
rabbitmq_work rabbitmq_publish;

/* ---- rabbitmq_take.c ---- */

struct rabbitmq_taking {
    int64_t until_boot_ms;
    int interrupt_fd;
};
/* context is a struct rabbitmq_taking. */
rabbitmq_work rabbitmq_take;
/* Can it still be acked? Otherwise it comes back by itself. Only the next take opens its channel
 * anew. */
bool rabbitmq_is_held(const struct rabbitmq_queue *queue);
/* To its queue, at once. */
void rabbitmq_give_back(struct rabbitmq_queue *queue);

/* ---- rabbitmq_dead.c ---- */

struct rabbitmq_browsing {
    size_t left; /* letters yet to visit */
    job_queue_visit *visit;
    void *visit_context;
    bool has_seen, has_dropped; /* any letter */
};
/* context is a struct rabbitmq_browsing. Is not tried again once a letter was seen. */
rabbitmq_work rabbitmq_browse_dead;
