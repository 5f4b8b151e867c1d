#include "stores/job_queue/rabbitmq.h"

#include "base/clock.h"
#include <amqp_framing.h>

#define CONSUMER "tapedeck"

static bool prepare_channel(struct rabbitmq_queue *queue, struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    bool is_new = false;
    if (!rabbitmq_channel_open(connection, RABBITMQ_TAKE, &is_new, error))
        return false;
    if (!is_new)
        return true;
    (void)amqp_basic_qos(connection->state, RABBITMQ_TAKE, 0, 1, 0);
    return rabbitmq_answered(connection, RABBITMQ_TAKE, amqp_get_rpc_reply(connection->state),
                             error);
}

static bool receive(struct rabbitmq_queue *queue, uint64_t tag, struct error *error)
{
    if (!rabbitmq_message_read(&queue->connection, RABBITMQ_TAKE, &queue->message, error))
        return false;
    queue->tag = tag;
    queue->base.has_delivery = true;
    return true;
}

static bool get_waiting(struct rabbitmq_queue *queue, struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    amqp_rpc_reply_t reply =
        amqp_basic_get(connection->state, RABBITMQ_TAKE, amqp_cstring_bytes(queue->name), 0);
    if (!rabbitmq_answered(connection, RABBITMQ_TAKE, reply, error))
        return false;
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD)
        return true;
    const amqp_basic_get_ok_t *ok = reply.reply.decoded;
    return receive(queue, ok->delivery_tag, error);
}

/* Until there is a delivery, or the time is over. */
static bool wait_for_delivery(struct rabbitmq_queue *queue, int64_t until_boot_ms, int interrupt_fd,
                              struct error *error)
{
    for (;;) {
        amqp_frame_t frame;
        enum rabbitmq_event event;
        if (!rabbitmq_next(&queue->connection, RABBITMQ_TAKE, until_boot_ms, interrupt_fd, &frame,
                           &event, error))
            return false;
        if (event == RABBITMQ_SILENCE || event == RABBITMQ_INTERRUPT)
            return true;
        if (event != RABBITMQ_FRAME)
            continue;
        const amqp_method_t *method = &frame.payload.method;
        if (method->id == AMQP_BASIC_CANCEL_METHOD)
            return error_set(error, ERROR_NOT_FOUND, "queue %s was deleted", queue->name);
        if (method->id == AMQP_BASIC_DELIVER_METHOD) {
            const amqp_basic_deliver_t *deliver = method->decoded;
            return receive(queue, deliver->delivery_tag, error);
        }
    }
}

/* With a prefetch of one nothing more is on its way once there is a delivery. Without one the end
 * of the channel gives back at once what the broker may have sent meanwhile. */
static bool consume_one(struct rabbitmq_queue *queue, const struct rabbitmq_taking *taking,
                        struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    (void)amqp_basic_consume(connection->state, RABBITMQ_TAKE, amqp_cstring_bytes(queue->name),
                             amqp_cstring_bytes(CONSUMER), 0, 0, 0, amqp_empty_table);
    if (!rabbitmq_answered(connection, RABBITMQ_TAKE, amqp_get_rpc_reply(connection->state),
                           error) ||
        !wait_for_delivery(queue, taking->until_boot_ms, taking->interrupt_fd, error))
        return false;
    if (!queue->base.has_delivery)
        return rabbitmq_channel_close(connection, RABBITMQ_TAKE, error);
    (void)amqp_basic_cancel(connection->state, RABBITMQ_TAKE, amqp_cstring_bytes(CONSUMER));
    return rabbitmq_answered(connection, RABBITMQ_TAKE, amqp_get_rpc_reply(connection->state),
                             error);
}

bool rabbitmq_take(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    const struct rabbitmq_taking *taking = context;
    queue->base.has_delivery = false; /* of a try before, and gone with its channel */
    return prepare_channel(queue, error) && get_waiting(queue, error) &&
           (queue->base.has_delivery || clock_boot_ms() >= taking->until_boot_ms ||
            consume_one(queue, taking, error));
}

bool rabbitmq_is_held(const struct rabbitmq_queue *queue)
{
    return queue->base.has_delivery && queue->connection.is_open[RABBITMQ_TAKE];
}

void rabbitmq_give_back(struct rabbitmq_queue *queue)
{
    struct rabbitmq_connection *connection = &queue->connection;
    if (rabbitmq_is_held(queue)) {
        int status = amqp_basic_nack(connection->state, RABBITMQ_TAKE, queue->tag, 0, 1);
        ignore_failure(rabbitmq_sent(connection, status, NULL));
    }
    queue->base.has_delivery = false;
}
