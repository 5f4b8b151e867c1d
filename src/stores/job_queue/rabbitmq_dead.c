#include "stores/job_queue/rabbitmq.h"

#include "base/id.h"
#include <amqp_framing.h>
#include <sodium.h>
#include <string.h>

/* The broker gives its messages no names. The same letter has the same one whenever it is looked
 * at; two that cannot be told apart share theirs. */
static struct id name_letter(const struct rabbitmq_message *message)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    const struct job_delivery *delivery = &message->delivery;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)&message->buried_at_ms,
                              sizeof message->buried_at_ms);
    crypto_hash_sha256_update(&state, (const unsigned char *)delivery->message_id,
                              strlen(delivery->message_id) + 1);
    crypto_hash_sha256_update(&state, (const unsigned char *)message->reason,
                              strlen(message->reason) + 1);
    crypto_hash_sha256_update(&state, (const unsigned char *)buffer_text(&delivery->body),
                              delivery->body.size);
    crypto_hash_sha256_final(&state, digest);
    return id_from_bytes(digest);
}

/* *out_is_over: there is no more. */
static bool visit_next(struct rabbitmq_queue *queue, struct rabbitmq_message *message,
                       struct rabbitmq_browsing *browsing, bool *out_is_over, struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    amqp_maybe_release_buffers(connection->state);
    amqp_rpc_reply_t reply =
        amqp_basic_get(connection->state, RABBITMQ_BROWSE, amqp_cstring_bytes(queue->dead), 0);
    if (!rabbitmq_answered(connection, RABBITMQ_BROWSE, reply, error))
        return false;
    *out_is_over = reply.reply.id != AMQP_BASIC_GET_OK_METHOD;
    if (*out_is_over)
        return true;
    uint64_t tag = ((const amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag;
    if (!rabbitmq_message_read(connection, RABBITMQ_BROWSE, message, error))
        return false;
    const struct id id = name_letter(message);
    const struct job_queue_letter letter = {
        .id = id.text,
        .reason = message->reason,
        .buried_at_ms = message->buried_at_ms,
        .body = buffer_text(&message->delivery.body),
        .body_size = message->delivery.body.size,
    };
    browsing->has_seen = true;
    if (browsing->visit(browsing->visit_context, &letter) == JOB_QUEUE_KEEP)
        return true;
    browsing->has_dropped = true;
    return rabbitmq_sent(connection, amqp_basic_ack(connection->state, RABBITMQ_BROWSE, tag, 0),
                         error);
}

/* What is kept stays taken until the end, so that nothing is seen twice; the channel's end gives it
 * back. */
bool rabbitmq_browse_dead(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    struct rabbitmq_browsing *browsing = context;
    struct rabbitmq_connection *connection = &queue->connection;
    struct rabbitmq_message message;
    bool is_over = false;
    if (!rabbitmq_channel_open(connection, RABBITMQ_BROWSE, NULL, error))
        return false;
    rabbitmq_message_init(&message);
    bool succeeded = true;
    for (; succeeded && !is_over && browsing->left > 0; browsing->left--)
        succeeded = visit_next(queue, &message, browsing, &is_over, error);
    rabbitmq_message_finish(&message);
    /* The answer to this says that the broker has heard what was dropped. */
    if (succeeded && browsing->has_dropped)
        succeeded = rabbitmq_channel_close(connection, RABBITMQ_BROWSE, error);
    else
        ignore_failure(rabbitmq_channel_close(connection, RABBITMQ_BROWSE, NULL));
    if (browsing->has_seen)
        connection->has_ended = false;
    return succeeded;
}
