#pragma once

/* A message as it comes from the broker. Every property of it is the writer's, whoever that is. */

#include "stores/job_queue/backend.h"
#include "stores/job_queue/rabbitmq_connection.h"

/* What a dead letter carries; the rest is the message's own. */
#define RABBITMQ_REASON_HEADER "reason"
#define RABBITMQ_TRACE_HEADER "traceparent"

struct rabbitmq_message {
    struct job_delivery delivery;
    int64_t returns;                        /* how often it came back to its queue, where known */
    char reason[JOB_QUEUE_REASON_SIZE_MAX]; /* of a dead letter */
    int64_t buried_at_ms;                   /* 0: nobody says */
};

void rabbitmq_message_init(struct rabbitmq_message *message);
void rabbitmq_message_finish(struct rabbitmq_message *message);

/* After the method that announced it. */
MUST_CHECK bool rabbitmq_message_read(struct rabbitmq_connection *connection,
                                      enum rabbitmq_channel channel,
                                      struct rabbitmq_message *out_message, struct error *error);
