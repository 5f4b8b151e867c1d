#include "stores/job_queue/rabbitmq.h"

#include "base/log.h"
#include "stores/job_queue/rabbitmq_table.h"
#include <amqp_framing.h>
#include <string.h>

/* Of one queue. A message more is refused: the record it hints at is found by its due time. */
#define LENGTH_MAX 20000
/* Dead letters of one queue; the oldest give way. */
#define DEAD_MAX 10000
/* Ours are tiny; what others write may be large. */
#define BYTES_MAX (INT64_C(256) * 1024 * 1024)
/* Since this version a quorum queue drops what came back 20 times, unless it is told otherwise: but
 * whoever looks at the dead letters gives them back each time. Earlier ones know no such value. */
#define VERSION_WITH_LIMIT '4'

static bool has_limit_by_default(const struct rabbitmq_queue *queue)
{
    const amqp_table_t *properties = amqp_get_server_properties(queue->connection.state);
    for (int i = 0; i < properties->num_entries; i++) {
        const amqp_table_entry_t *entry = &properties->entries[i];
        amqp_bytes_t version = entry->value.value.bytes;
        if (entry->key.len == 7 && memcmp(entry->key.bytes, "version", 7) == 0 &&
            entry->value.kind == AMQP_FIELD_KIND_UTF8 && version.len > 1)
            return ((const char *)version.bytes)[0] >= VERSION_WITH_LIMIT ||
                   ((const char *)version.bytes)[1] != '.';
    }
    return false;
}

static bool declare(struct rabbitmq_queue *queue, const char *name, bool is_passive,
                    amqp_table_t arguments, uint64_t *out_length, struct error *error)
{
    struct rabbitmq_connection *connection = &queue->connection;
    if (!rabbitmq_channel_open(connection, RABBITMQ_CONTROL, NULL, error))
        return false;
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(connection->state, RABBITMQ_CONTROL, amqp_cstring_bytes(name),
                           is_passive, 1, 0, 0, arguments);
    if (!rabbitmq_answered(connection, RABBITMQ_CONTROL, amqp_get_rpc_reply(connection->state),
                           error))
        return false;
    if (out_length != NULL)
        *out_length = ok->message_count;
    return true;
}

bool rabbitmq_measure(struct rabbitmq_queue *queue, const char *name, uint64_t *out_length,
                      struct error *error)
{
    return declare(queue, name, true, amqp_empty_table, out_length, error);
}

/* Made where it is missing. */
static bool require(struct rabbitmq_queue *queue, const char *name, amqp_table_t arguments,
                    struct error *error)
{
    struct error problem = {0};
    if (declare(queue, name, false, arguments, NULL, &problem))
        return true;
    if (problem.kind == ERROR_CONFLICT) {
        log_warning("a queue has other arguments than ours: used as it is",
                    FIELD_TEXT("queue", name), FIELD_TEXT("reason", problem.text));
        return true;
    }
    if (problem.kind != ERROR_DENIED || queue->connection.state == NULL)
        return error_set(error, problem.kind, "queue %s cannot be made: %s", name, problem.text);
    /* Who may not make it may use it. */
    if (rabbitmq_measure(queue, name, NULL, &problem))
        return true;
    if (problem.kind != ERROR_NOT_FOUND)
        return error_set(error, problem.kind, "queue %s: %s", name, problem.text);
    return error_set(error, ERROR_DENIED,
                     "queue %s is missing, and this account may not make it: `tapedeck migrate` "
                     "with one that may",
                     name);
}

bool rabbitmq_declare(struct rabbitmq_queue *queue, struct error *error)
{
    amqp_table_entry_t arguments[] = {
        rabbitmq_text("x-queue-type", "quorum"),
        rabbitmq_number("x-delivery-limit", JOB_QUEUE_DELIVERIES_MAX),
        rabbitmq_text("x-dead-letter-exchange", ""),
        rabbitmq_text("x-dead-letter-routing-key", queue->dead),
        rabbitmq_number("x-max-length", LENGTH_MAX),
        rabbitmq_number("x-max-length-bytes", BYTES_MAX),
        rabbitmq_text("x-overflow", "reject-publish"),
    };
    amqp_table_entry_t dead_arguments[] = {
        rabbitmq_text("x-queue-type", "quorum"),
        rabbitmq_number("x-max-length", DEAD_MAX),
        rabbitmq_number("x-max-length-bytes", BYTES_MAX),
        rabbitmq_number("x-delivery-limit", -1),
    };
    const amqp_table_t table = {.num_entries = ARRAY_COUNT(arguments), .entries = arguments};
    const amqp_table_t dead_table = {
        .num_entries = (int)ARRAY_COUNT(dead_arguments) - (has_limit_by_default(queue) ? 0 : 1),
        .entries = dead_arguments,
    };
    return require(queue, queue->dead, dead_table, error) &&
           require(queue, queue->name, table, error);
}

bool rabbitmq_inspect(struct rabbitmq_queue *queue, void *context, struct error *error)
{
    (void)context;
    const char *const names[] = {queue->name, queue->dead};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct error problem = {0};
        if (rabbitmq_measure(queue, names[i], NULL, &problem))
            continue;
        return problem.kind == ERROR_NOT_FOUND
                   ? error_set(error, ERROR_NOT_FOUND,
                               "queue %s is missing: `tapedeck migrate` makes it", names[i])
                   : error_set(error, problem.kind, "queue %s: %s", names[i], problem.text);
    }
    if (!queue->was_compared && !rabbitmq_declare(queue, error))
        return false;
    queue->was_compared = true;
    return true;
}
