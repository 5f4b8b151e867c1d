#include "stores/job_queue/job_queue.h"

#include "base/text.h"
#include "stores/job_queue/backend.h"
#include <assert.h>
#include <string.h>

static const struct job_queue_backend *const backends[] = {
    &job_queue_sqlite,
    &job_queue_rabbitmq,
};

static const char *const backend_names[] = {"sqlite", "rabbitmq", NULL};

struct job_queue_settings {
    const char *backend;
};

const struct config_option job_queue_options[] = {
    {
        .name = "stores.queue",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct job_queue_settings, backend, const char *),
        .standard = "sqlite",
        .choices = backend_names,
        .help = "Where the messages between the services wait. sqlite: a file below data.dir, for "
                "one host. rabbitmq: the broker of rabbitmq.uri.",
    },
    {0},
};

const char *job_queue_name_text(enum job_queue_name name)
{
    static const char *const names[] = {[JOB_QUEUE_VIDEO] = "video", [JOB_QUEUE_MP3] = "mp3"};
    return names[name];
}

static bool choose_backend(const struct config *config,
                           const struct job_queue_backend **out_backend, struct error *error)
{
    struct job_queue_settings settings = {0};
    if (!config_load(config, job_queue_options, &settings, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        if (strcmp(backends[i]->name, settings.backend) == 0) {
            *out_backend = backends[i];
            return true;
        }
    }
    return error_set(error, ERROR_BAD_INPUT, "stores.queue: no \"%s\" in this build",
                     settings.backend);
}

bool job_queue_open(const struct config *config, enum job_queue_name name,
                    struct job_queue **out_queue, struct error *error)
{
    const struct job_queue_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->open(config, name, out_queue, error);
}

void job_queue_close(struct job_queue *queue)
{
    if (queue != NULL)
        queue->backend->close(queue);
}

void job_queue_closep(struct job_queue **queue)
{
    job_queue_close(*queue);
    *queue = NULL;
}

bool job_queue_check(struct job_queue *queue, struct error *error)
{
    return queue->backend->check(queue, error);
}

bool job_queue_migrate(const struct config *config, struct error *error)
{
    const struct job_queue_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->migrate(config, error);
}

bool job_queue_backup(const struct config *config, const char *folder, struct error *error)
{
    const struct job_queue_backend *backend = NULL;
    return choose_backend(config, &backend, error) && backend->backup(config, folder, error);
}

static bool is_header(const char *header)
{
    return header == NULL || strlen(header) < JOB_QUEUE_HEADER_SIZE;
}

bool job_queue_publish(struct job_queue *queue, const struct job_message *message, int timeout_ms,
                       struct error *error)
{
    if (message->body_size > MESSAGE_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "message of %zu bytes, limit %d",
                         message->body_size, MESSAGE_SIZE_MAX);
    if (!is_header(message->message_id) || !is_header(message->traceparent))
        return error_set(error, ERROR_BAD_INPUT, "message with a header of %d bytes or more",
                         JOB_QUEUE_HEADER_SIZE);
    return queue->backend->publish(queue, message, timeout_ms, error);
}

bool job_queue_take(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                    const struct job_delivery **out_delivery, struct error *error)
{
    return queue->backend->take(queue, timeout_ms, interrupt_fd, out_delivery, error);
}

bool job_queue_ack(struct job_queue *queue, struct error *error)
{
    assert(queue->has_delivery);
    return queue->backend->ack(queue, error);
}

bool job_queue_bury(struct job_queue *queue, const char *reason, struct error *error)
{
    assert(queue->has_delivery);
    char cut[JOB_QUEUE_REASON_SIZE_MAX];
    text_copy(cut, sizeof cut, reason);
    return queue->backend->bury(queue, cut, error);
}

bool job_queue_length(struct job_queue *queue, uint64_t *out_length, struct error *error)
{
    return queue->backend->length(queue, out_length, error);
}

bool job_queue_browse_dead(struct job_queue *queue, size_t limit, job_queue_visit *visit,
                           void *context, struct error *error)
{
    return queue->backend->browse_dead(queue, limit, visit, context, error);
}
