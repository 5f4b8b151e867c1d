#pragma once

/* For those who implement a job queue; everybody else includes job_queue.h, which says what each
 * function promises. job_queue.c checks messages before it calls these, and that there is a
 * delivery to ack or bury. */

#include "stores/job_queue/job_queue.h"

/* A message that came back so often goes to the dead letters by itself. */
#define JOB_QUEUE_DELIVERIES_MAX 20
#define JOB_QUEUE_BODY_SIZE_MAX ((size_t)1024 * 1024) /* taken; a longer one arrives cut */
#define JOB_QUEUE_REASON_SIZE_MAX 512

struct job_queue_backend {
    const char *name; /* value of stores.queue */
    bool (*open)(const struct config *config, enum job_queue_name name,
                 struct job_queue **out_queue, struct error *error);
    void (*close)(struct job_queue *queue); /* also frees it; never given NULL */
    bool (*check)(struct job_queue *queue, struct error *error);
    bool (*migrate)(const struct config *config, struct error *error);
    bool (*backup)(const struct config *config, const char *folder, struct error *error);
    bool (*publish)(struct job_queue *queue, const struct job_message *message, int timeout_ms,
                    struct error *error);
    bool (*take)(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                 const struct job_delivery **out_delivery, struct error *error);
    bool (*ack)(struct job_queue *queue, struct error *error);
    bool (*bury)(struct job_queue *queue, const char *reason, struct error *error);
    bool (*length)(struct job_queue *queue, uint64_t *out_length, struct error *error);
    bool (*browse_dead)(struct job_queue *queue, size_t limit, job_queue_visit *visit,
                        void *context, struct error *error);
};

/* First member of every backend's own struct. */
struct job_queue {
    const struct job_queue_backend *backend;
    bool has_delivery; /* taken, not yet acked or buried */
};

extern const struct job_queue_backend job_queue_rabbitmq;
extern const struct job_queue_backend job_queue_sqlite;
