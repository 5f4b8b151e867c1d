#include "stores/job_queue/rabbitmq_message.h"

#include "base/clock.h"
#include "base/text.h"
#include <amqp_framing.h>
#include <string.h>

void rabbitmq_message_init(struct rabbitmq_message *message)
{
    *message = (struct rabbitmq_message){
        .delivery.body = BUFFER_WITH_MAX(JOB_QUEUE_BODY_SIZE_MAX),
    };
}

void rabbitmq_message_finish(struct rabbitmq_message *message)
{
    buffer_finish(&message->delivery.body);
}

/* NULL: no such entry. */
static const amqp_field_value_t *find(const amqp_table_t *table, const char *name)
{
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];
        if (entry->key.len == strlen(name) && memcmp(entry->key.bytes, name, entry->key.len) == 0)
            return &entry->value;
    }
    return NULL;
}

static void copy_text(const amqp_table_t *table, const char *name, char *out_text, size_t size)
{
    const amqp_field_value_t *value = find(table, name);
    if (value != NULL &&
        (value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES))
        rabbitmq_copy_text(out_text, size, value->value.bytes);
}

/* A quorum queue counts; a classic one does not. */
static int64_t read_returns(const amqp_table_t *headers)
{
    const amqp_field_value_t *value = find(headers, "x-delivery-count");
    if (value == NULL)
        return 0;
    switch (value->kind) {
    case AMQP_FIELD_KIND_I64:
        return value->value.i64;
    case AMQP_FIELD_KIND_I32:
        return value->value.i32;
    case AMQP_FIELD_KIND_I16:
        return value->value.i16;
    case AMQP_FIELD_KIND_I8:
        return value->value.i8;
    default:
        return 0;
    }
}

/* What the broker itself put among the dead letters carries no reason of ours, but its own note:
 * https://www.rabbitmq.com/docs/dlx#effects. */
static void read_death(const amqp_table_t *headers, struct rabbitmq_message *message)
{
    const amqp_field_value_t *deaths = find(headers, "x-death");
    if (deaths == NULL || deaths->kind != AMQP_FIELD_KIND_ARRAY ||
        deaths->value.array.num_entries < 1)
        return;
    const amqp_field_value_t *last = &deaths->value.array.entries[0];
    if (last->kind != AMQP_FIELD_KIND_TABLE)
        return;
    char reason[64] = "";
    copy_text(&last->value.table, "reason", reason, sizeof reason);
    text_copy(message->reason, sizeof message->reason, "by the broker: ");
    size_t size = strlen(message->reason);
    text_copy(message->reason + size, sizeof message->reason - size, reason);
    const amqp_field_value_t *time = find(&last->value.table, "time");
    if (time != NULL && time->kind == AMQP_FIELD_KIND_TIMESTAMP &&
        time->value.u64 < INT64_MAX / CLOCK_SECOND_MS)
        message->buried_at_ms = (int64_t)time->value.u64 * CLOCK_SECOND_MS;
}

static void begin(void *context, const amqp_basic_properties_t *properties)
{
    struct rabbitmq_message *message = context;
    struct job_delivery *delivery = &message->delivery;
    bool has_headers = (properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    const amqp_table_t *headers = has_headers ? &properties->headers : &amqp_empty_table;
    buffer_clear(&delivery->body);
    delivery->message_id[0] = delivery->traceparent[0] = message->reason[0] = '\0';
    message->buried_at_ms = 0;
    if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0)
        rabbitmq_copy_text(delivery->message_id, sizeof delivery->message_id,
                           properties->message_id);
    copy_text(headers, RABBITMQ_TRACE_HEADER, delivery->traceparent, sizeof delivery->traceparent);
    message->returns = read_returns(headers);
    if ((properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 &&
        properties->timestamp < INT64_MAX / CLOCK_SECOND_MS)
        message->buried_at_ms = (int64_t)properties->timestamp * CLOCK_SECOND_MS;
    copy_text(headers, RABBITMQ_REASON_HEADER, message->reason, sizeof message->reason);
    if (message->reason[0] == '\0')
        read_death(headers, message);
}

/* What does not fit is left out, and so makes the message malformed. */
static void add(void *context, const void *bytes, size_t size)
{
    struct rabbitmq_message *message = context;
    struct buffer *body = &message->delivery.body;
    size_t room = body->size_max - body->size;
    ignore_failure(buffer_append(body, bytes, size < room ? size : room, NULL));
}

bool rabbitmq_message_read(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                           struct rabbitmq_message *out_message, struct error *error)
{
    const struct rabbitmq_sink sink = {.begin = begin, .add = add, .context = out_message};
    return rabbitmq_read_content(connection, channel, &sink, error);
}
