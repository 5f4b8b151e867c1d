#include "stores/job_queue/rabbitmq.h"

#include "base/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define REACH_MS 5000 /* to connect and to be answered, where the caller names no time */
#define BURY_MS 2000
/* A queue that is made within some 30 ms of its deletion keeps the consumers of the one before, and
 * gives them messages that they never get (seen with RabbitMQ 3.10.8). */
#define DELETION_MS 200

struct rabbitmq_queue *rabbitmq_queue_of(struct job_queue *queue)
{
    assert(queue->backend == &job_queue_rabbitmq);
    return (struct rabbitmq_queue *)queue;
}

static bool make_missing(struct rabbitmq_queue *queue, int64_t until_boot_ms, struct error *error)
{
    return rabbitmq_connection_ready(&queue->connection, until_boot_ms, error) &&
           rabbitmq_connection_rest(&queue->connection, DELETION_MS, error) &&
           rabbitmq_declare(queue, error);
}

bool rabbitmq_try(struct rabbitmq_queue *queue, int64_t until_boot_ms,
                  enum rabbitmq_missing missing, rabbitmq_work *work, void *context,
                  struct error *error)
{
    struct error problem = {0};
    for (int tries = 0; tries < 2; tries++) {
        if (!rabbitmq_connection_ready(&queue->connection, until_boot_ms, error))
            return false;
        if (work(queue, context, &problem))
            return true;
        bool is_missing = problem.kind == ERROR_NOT_FOUND && missing == RABBITMQ_MAKE_MISSING;
        if (!is_missing && !queue->connection.has_ended)
            break;
        if (is_missing && !make_missing(queue, until_boot_ms, error))
            return false;
    }
    return error_set(error, problem.kind, "%s", problem.text);
}

static int64_t soon(void)
{
    return clock_boot_ms() + REACH_MS;
}

static bool rabbitmq_open(const struct config *config, enum job_queue_name name,
                          struct job_queue **out_queue, struct error *error)
{
    struct rabbitmq_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        abort();
    queue->base.backend = &job_queue_rabbitmq;
    rabbitmq_message_init(&queue->message);
    CLEANUP(job_queue_closep) struct job_queue *owned = &queue->base;
    snprintf(queue->name, sizeof queue->name, "%s", job_queue_name_text(name));
    snprintf(queue->dead, sizeof queue->dead, "%s.dead", job_queue_name_text(name));
    snprintf(queue->client, sizeof queue->client, "tapedeck %s", queue->name);
    if (!rabbitmq_connection_init(&queue->connection, config, queue->client, error))
        return false;
    *out_queue = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static void rabbitmq_close(struct job_queue *queue)
{
    struct rabbitmq_queue *rabbitmq = rabbitmq_queue_of(queue);
    rabbitmq_give_back(rabbitmq);
    rabbitmq_connection_finish(&rabbitmq->connection);
    rabbitmq_message_finish(&rabbitmq->message);
    free(rabbitmq);
}

static bool rabbitmq_check(struct job_queue *queue, struct error *error)
{
    return rabbitmq_try(rabbitmq_queue_of(queue), soon(), RABBITMQ_REPORT_MISSING, rabbitmq_inspect,
                        NULL, error);
}

static bool make(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    (void)context;
    return rabbitmq_declare(queue, error);
}

static bool rabbitmq_migrate(const struct config *config, struct error *error)
{
    static const enum job_queue_name names[] = {JOB_QUEUE_VIDEO, JOB_QUEUE_MP3};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(job_queue_closep) struct job_queue *queue = NULL;
        if (!rabbitmq_open(config, names[i], &queue, error) ||
            !rabbitmq_try(rabbitmq_queue_of(queue), soon(), RABBITMQ_REPORT_MISSING, make, NULL,
                          error))
            return false;
    }
    return true;
}

static bool rabbitmq_backup(const struct config *config, const char *folder, struct error *error)
{
    (void)config;
    (void)folder;
    return error_set(error, ERROR_BAD_INPUT,
                     "messages: they are RabbitMQ's, and nothing is lost with them");
}

static bool rabbitmq_queue_publish(struct job_queue *queue, const struct job_message *message,
                                   int timeout_ms, struct error *error)
{
    struct rabbitmq_queue *rabbitmq = rabbitmq_queue_of(queue);
    struct rabbitmq_publication publication = {
        .queue = rabbitmq->name,
        .message = *message,
        .until_boot_ms = clock_boot_ms() + timeout_ms,
    };
    return rabbitmq_try(rabbitmq, publication.until_boot_ms, RABBITMQ_MAKE_MISSING,
                        rabbitmq_publish, &publication, error);
}

static bool rabbitmq_queue_ack(struct job_queue *queue, struct error *error)
{
    struct rabbitmq_queue *rabbitmq = rabbitmq_queue_of(queue);
    struct rabbitmq_connection *connection = &rabbitmq->connection;
    bool is_held = rabbitmq_is_held(rabbitmq);
    queue->has_delivery = false;
    if (!is_held)
        return error_set(error, ERROR_UNAVAILABLE,
                         "the broker ended what the message came by: it comes back");
    return rabbitmq_sent(connection,
                         amqp_basic_ack(connection->state, RABBITMQ_TAKE, rabbitmq->tag, 0), error);
}

static bool rabbitmq_queue_bury(struct job_queue *queue, const char *reason, struct error *error)
{
    struct rabbitmq_queue *rabbitmq = rabbitmq_queue_of(queue);
    const struct job_delivery *delivery = &rabbitmq->message.delivery;
    struct rabbitmq_publication publication = {
        .queue = rabbitmq->dead,
        .message =
            {
                .body = buffer_text(&delivery->body),
                .body_size = delivery->body.size,
                .message_id = delivery->message_id,
                .traceparent = delivery->traceparent,
            },
        .reason = reason,
        .until_boot_ms = clock_boot_ms() + BURY_MS,
    };
    return rabbitmq_try(rabbitmq, publication.until_boot_ms, RABBITMQ_MAKE_MISSING,
                        rabbitmq_publish, &publication, error) &&
           rabbitmq_queue_ack(queue, error);
}

static bool rabbitmq_queue_take(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                                const struct job_delivery **out_delivery, struct error *error)
{
    struct rabbitmq_queue *rabbitmq = rabbitmq_queue_of(queue);
    struct rabbitmq_taking taking = {
        .until_boot_ms = clock_boot_ms() + timeout_ms,
        .interrupt_fd = interrupt_fd,
    };
    rabbitmq_give_back(rabbitmq);
    for (;;) {
        if (!rabbitmq_try(rabbitmq, soon(), RABBITMQ_MAKE_MISSING, rabbitmq_take, &taking, error)) {
            queue->has_delivery = false;
            return false;
        }
        if (!queue->has_delivery || rabbitmq->message.returns < JOB_QUEUE_DELIVERIES_MAX)
            break;
        if (!rabbitmq_queue_bury(queue, "delivered 20 times and never settled", error))
            return false;
    }
    *out_delivery = queue->has_delivery ? &rabbitmq->message.delivery : NULL;
    return true;
}

static bool measure(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    return rabbitmq_measure(queue, queue->name, context, error);
}

static bool rabbitmq_length(struct job_queue *queue, uint64_t *out_length, struct error *error)
{
    return rabbitmq_try(rabbitmq_queue_of(queue), soon(), RABBITMQ_REPORT_MISSING, measure,
                        out_length, error);
}

static bool rabbitmq_queue_browse_dead(struct job_queue *queue, size_t limit,
                                       job_queue_visit *visit, void *context, struct error *error)
{
    struct rabbitmq_browsing browsing = {
        .left = limit,
        .visit = visit,
        .visit_context = context,
    };
    return rabbitmq_try(rabbitmq_queue_of(queue), soon(), RABBITMQ_MAKE_MISSING,
                        rabbitmq_browse_dead, &browsing, error);
}

const struct job_queue_backend job_queue_rabbitmq = {
    .name = "rabbitmq",
    .open = rabbitmq_open,
    .close = rabbitmq_close,
    .check = rabbitmq_check,
    .migrate = rabbitmq_migrate,
    .backup = rabbitmq_backup,
    .publish = rabbitmq_queue_publish,
    .take = rabbitmq_queue_take,
    .ack = rabbitmq_queue_ack,
    .bury = rabbitmq_queue_bury,
    .length = rabbitmq_length,
    .browse_dead = rabbitmq_queue_browse_dead,
};
