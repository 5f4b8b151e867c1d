#include "stores/job_queue/rabbitmq.h"

#include "base/clock.h"
#include "stores/job_queue/rabbitmq_table.h"
#include <amqp_framing.h>
#include <string.h>

#define PERSISTENT 2

static bool prepare_channel(struct rabbitmq_queue *queue, struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    bool is_new = false;
    if (!rabbitmq_channel_open(connection, RABBITMQ_PUBLISH, &is_new, error))
        return false;
    if (!is_new)
        return true;
    queue->published = 0;
    (void)amqp_confirm_select(connection->state, RABBITMQ_PUBLISH);
    return rabbitmq_answered(connection, RABBITMQ_PUBLISH, amqp_get_rpc_reply(connection->state),
                             error);
}

static void add_header(amqp_table_t *headers, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    headers->entries[headers->num_entries++] = rabbitmq_text(name, text);
}

static bool send(struct rabbitmq_queue *queue, const struct rabbitmq_publication *publication,
                 struct error *error)
{
    const struct job_message *message = &publication->message;
    amqp_table_entry_t headers[2];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_HEADERS_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = PERSISTENT,
        .timestamp = (uint64_t)(clock_wall_ms() / CLOCK_SECOND_MS),
        .headers.entries = headers,
    };
    add_header(&properties.headers, RABBITMQ_TRACE_HEADER, message->traceparent);
    add_header(&properties.headers, RABBITMQ_REASON_HEADER, publication->reason);
    if (message->message_id != NULL && message->message_id[0] != '\0') {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(message->message_id);
    }
    amqp_bytes_t body = {.len = message->body_size};
    /* The library takes what it only reads as changeable. */
    memcpy(&body.bytes, &message->body, sizeof body.bytes);
    queue->published++;
    int status =
        amqp_basic_publish(queue->connection.state, RABBITMQ_PUBLISH, amqp_empty_bytes,
                           amqp_cstring_bytes(publication->queue), 1, 0, &properties, body);
    return rabbitmq_sent(&queue->connection, status, error);
}

static bool read_return(struct rabbitmq_queue *queue, const amqp_basic_return_t *returned,
                        struct error *out_return, struct error *error)
{
    static const struct rabbitmq_sink nowhere = {0};
    char reason[80];
    bool is_missing = returned->reply_code == AMQP_NO_ROUTE;
    rabbitmq_copy_text(reason, sizeof reason, returned->reply_text);
    error_set(out_return, is_missing ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE,
              "the broker returned the message: %s", reason);
    return rabbitmq_read_content(&queue->connection, RABBITMQ_PUBLISH, &nowhere, error);
}

/* A message that no queue took is returned, and then acked all the same. */
static bool settle(struct rabbitmq_queue *queue, const amqp_method_t *method,
                   struct error *returned, bool *out_is_settled, struct error *error)
{
    switch (method->id) {
    case AMQP_BASIC_RETURN_METHOD:
        return read_return(queue, method->decoded, returned, error);
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method->decoded;
        *out_is_settled = ack->delivery_tag >= queue->published;
        return !*out_is_settled || returned->kind == ERROR_NONE ||
               error_set(error, returned->kind, "%s", returned->text);
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method->decoded;
        *out_is_settled = nack->delivery_tag >= queue->published;
        return !*out_is_settled || error_set(error, ERROR_TOO_LARGE,
                                             "the broker refuses the message: the queue is full");
    }
    default:
        return true;
    }
}

static bool fail_blocked(const struct rabbitmq_queue *queue, struct error *error)
{
    return error_set(error, ERROR_UNAVAILABLE, "the broker takes no messages now: %s",
                     queue->connection.blocked);
}

static bool wait_for_confirm(struct rabbitmq_queue *queue, int64_t until_boot_ms,
                             struct error *error)
{
    struct error returned = {0};
    bool is_settled = false;
    while (!is_settled) {
        amqp_frame_t frame;
        enum rabbitmq_event event;
        if (!rabbitmq_next(&queue->connection, RABBITMQ_PUBLISH, until_boot_ms, -1, &frame, &event,
                           error))
            return false;
        if (event == RABBITMQ_SILENCE) {
            /* Late, it would be taken for the next one's. */
            rabbitmq_connection_drop(&queue->connection);
            return error_set(error, ERROR_UNAVAILABLE, "no confirm from the broker in time");
        }
        if (event == RABBITMQ_OTHER && queue->connection.blocked[0] != '\0')
            return fail_blocked(queue, error);
        if (event == RABBITMQ_FRAME &&
            !settle(queue, &frame.payload.method, &returned, &is_settled, error))
            return false;
    }
    return true;
}

bool rabbitmq_publish(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    const struct rabbitmq_publication *publication = context;
    /* An alarm of the broker's; it says so when it is over. */
    if (queue->connection.blocked[0] != '\0')
        return fail_blocked(queue, error);
    return prepare_channel(queue, error) && send(queue, publication, error) &&
           wait_for_confirm(queue, publication->until_boot_ms, error);
}
