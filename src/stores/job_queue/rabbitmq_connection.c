#include "stores/job_queue/rabbitmq_connection.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include <amqp_framing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_MS 1000
#define STALE_CLOSE_MS 200
#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS 5000

static const struct rabbitmq_sink nowhere = {0};

/* ---- Failing ---- */

void rabbitmq_copy_text(char *out_text, size_t size, amqp_bytes_t bytes)
{
    CLEANUP(buffer_finish) struct buffer cleaned = BUFFER_WITH_MAX(4 * 1024);
    size_t length = bytes.len < 1024 ? bytes.len : 1024;
    ignore_failure(text_clean(bytes.bytes, length, &cleaned, NULL));
    text_copy(out_text, size, buffer_text(&cleaned));
}

void rabbitmq_connection_drop(struct rabbitmq_connection *connection)
{
    if (connection->state != NULL)
        amqp_destroy_connection(connection->state);
    connection->state = NULL;
    connection->blocked[0] = '\0';
    memset(connection->is_open, 0, sizeof connection->is_open);
}

bool rabbitmq_lose(struct rabbitmq_connection *connection, enum error_kind kind, const char *reason,
                   struct error *error)
{
    const struct server_uri *uri = &connection->settings.uri;
    rabbitmq_connection_drop(connection);
    return error_set(error, kind, "broker %.100s:%u: %s", uri->host, uri->port, reason);
}

static bool lose_by_status(struct rabbitmq_connection *connection, int status, struct error *error)
{
    /* One that is silent now would be silent at a second try. */
    connection->has_ended = status != AMQP_STATUS_TIMEOUT;
    return rabbitmq_lose(
        connection, ERROR_UNAVAILABLE,
        status == AMQP_STATUS_TIMEOUT ? "no answer in time" : amqp_error_string2(status), error);
}

/* AMQP 0-9-1, "reply-code". */
static enum error_kind kind_of(uint16_t code)
{
    switch (code) {
    case AMQP_NOT_FOUND:
        return ERROR_NOT_FOUND;
    case AMQP_ACCESS_REFUSED:
    case AMQP_NOT_ALLOWED:
        return ERROR_DENIED;
    case AMQP_PRECONDITION_FAILED:
        return ERROR_CONFLICT;
    default:
        return ERROR_UNAVAILABLE;
    }
}

static bool confirm_end(struct rabbitmq_connection *connection, amqp_channel_t channel,
                        struct error *error)
{
    amqp_channel_close_ok_t ok = {0};
    connection->has_ended = true;
    if (channel < RABBITMQ_CHANNEL_COUNT)
        connection->is_open[channel] = false;
    return rabbitmq_sent(
        connection, amqp_send_method(connection->state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok),
        error);
}

static bool end_channel(struct rabbitmq_connection *connection, amqp_channel_t channel,
                        const amqp_channel_close_t *end, struct error *error)
{
    char reason[160];
    enum error_kind kind = kind_of(end->reply_code);
    rabbitmq_copy_text(reason, sizeof reason, end->reply_text);
    return confirm_end(connection, channel, error) &&
           error_set(error, kind, "the broker says: %s", reason);
}

static bool end_connection(struct rabbitmq_connection *connection,
                           const amqp_connection_close_t *end, struct error *error)
{
    char reason[160];
    amqp_connection_close_ok_t ok = {0};
    bool is_denied = kind_of(end->reply_code) == ERROR_DENIED;
    rabbitmq_copy_text(reason, sizeof reason, end->reply_text);
    connection->has_ended = true;
    (void)amqp_send_method(connection->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    return rabbitmq_lose(connection, is_denied ? ERROR_DENIED : ERROR_UNAVAILABLE, reason, error);
}

bool rabbitmq_sent(struct rabbitmq_connection *connection, int status, struct error *error)
{
    return status == AMQP_STATUS_OK || lose_by_status(connection, status, error);
}

bool rabbitmq_answered(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                       amqp_rpc_reply_t reply, struct error *error)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        connection->served_boot_ms = clock_boot_ms();
        return true;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
            return end_channel(connection, (amqp_channel_t)channel, reply.reply.decoded, error);
        return end_connection(connection, reply.reply.decoded, error);
    default:
        return lose_by_status(connection, reply.library_error, error);
    }
}

/* ---- Frames ---- */

static int64_t heartbeat_ms(const struct rabbitmq_connection *connection)
{
    int seconds = amqp_get_heartbeat(connection->state);
    return seconds > 0 ? seconds * CLOCK_SECOND_MS : INT32_MAX;
}

/* Until something can be read, heartbeats are due, or the time is over. True: interrupted. */
static bool wait_for_bytes(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                           int interrupt_fd)
{
    struct pollfd fds[] = {
        {.fd = amqp_get_sockfd(connection->state), .events = POLLIN},
        {.fd = interrupt_fd, .events = POLLIN},
    };
    int64_t wait_ms = heartbeat_ms(connection) / 4;
    int64_t left_ms = until_boot_ms - clock_boot_ms();
    if (wait_ms > left_ms)
        wait_ms = left_ms > 0 ? left_ms : 0;
    return poll(fds, ARRAY_COUNT(fds), (int)wait_ms) > 0 && (fds[1].revents & POLLIN) != 0;
}

/* The library sees to heartbeats within its own calls alone. */
static bool read_frame(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                       int interrupt_fd, amqp_frame_t *out_frame, enum rabbitmq_event *out_event,
                       struct error *error)
{
    bool is_interrupted = false;
    for (;;) {
        struct timeval no_time = {0};
        int status = amqp_simple_wait_frame_noblock(connection->state, out_frame, &no_time);
        if (status != AMQP_STATUS_OK && status != AMQP_STATUS_TIMEOUT)
            return lose_by_status(connection, status, error);
        connection->served_boot_ms = clock_boot_ms();
        if (status == AMQP_STATUS_OK || is_interrupted ||
            connection->served_boot_ms >= until_boot_ms) {
            *out_event = status == AMQP_STATUS_OK ? RABBITMQ_FRAME
                         : is_interrupted         ? RABBITMQ_INTERRUPT
                                                  : RABBITMQ_SILENCE;
            return true;
        }
        is_interrupted = wait_for_bytes(connection, until_boot_ms, interrupt_fd);
    }
}

static bool see_to_connection(struct rabbitmq_connection *connection, const amqp_method_t *method,
                              struct error *error)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD)
        return end_connection(connection, method->decoded, error);
    if (method->id == AMQP_CONNECTION_BLOCKED_METHOD) {
        const amqp_connection_blocked_t *blocked = method->decoded;
        rabbitmq_copy_text(connection->blocked, sizeof connection->blocked, blocked->reason);
        if (connection->blocked[0] == '\0')
            text_copy(connection->blocked, sizeof connection->blocked, "no reason given");
    } else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
        connection->blocked[0] = '\0';
    }
    return true;
}

/* A delivery that came while its consumer was ended: it goes back at once, not at our end. */
static bool return_stray(struct rabbitmq_connection *connection, amqp_channel_t channel,
                         const amqp_basic_deliver_t *deliver, struct error *error)
{
    uint64_t tag = deliver->delivery_tag;
    return rabbitmq_read_content(connection, (enum rabbitmq_channel)channel, &nowhere, error) &&
           rabbitmq_sent(connection, amqp_basic_nack(connection->state, channel, tag, 0, 1), error);
}

/* What nobody waits for. False: the connection is gone. */
static bool see_to(struct rabbitmq_connection *connection, const amqp_frame_t *frame,
                   struct error *error)
{
    if (frame->frame_type != AMQP_FRAME_METHOD)
        return rabbitmq_lose(connection, ERROR_UNAVAILABLE, "a piece of a message out of place",
                             error);
    const amqp_method_t *method = &frame->payload.method;
    if (frame->channel == 0)
        return see_to_connection(connection, method, error);
    switch (method->id) {
    case AMQP_CHANNEL_CLOSE_METHOD:
        return confirm_end(connection, frame->channel, error);
    case AMQP_BASIC_DELIVER_METHOD:
        return return_stray(connection, frame->channel, method->decoded, error);
    case AMQP_BASIC_RETURN_METHOD:
        return rabbitmq_read_content(connection, (enum rabbitmq_channel)frame->channel, &nowhere,
                                     error);
    default:
        return true; /* a late confirm */
    }
}

bool rabbitmq_next(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                   int64_t until_boot_ms, int interrupt_fd, amqp_frame_t *out_frame,
                   enum rabbitmq_event *out_event, struct error *error)
{
    if (!read_frame(connection, until_boot_ms, interrupt_fd, out_frame, out_event, error))
        return false;
    if (*out_event != RABBITMQ_FRAME)
        return true;
    bool is_ours = out_frame->frame_type == AMQP_FRAME_METHOD && out_frame->channel == channel;
    const amqp_method_t *method = &out_frame->payload.method;
    if (is_ours && method->id == AMQP_CHANNEL_CLOSE_METHOD)
        return end_channel(connection, out_frame->channel, method->decoded, error);
    if (is_ours)
        return true;
    *out_event = RABBITMQ_OTHER;
    return see_to(connection, out_frame, error);
}

/* The next frame of the content; those of the connection itself may come in between. */
static bool next_piece(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                       uint8_t type, amqp_frame_t *out_frame, struct error *error)
{
    int64_t until_ms = clock_boot_ms() + RABBITMQ_ANSWER_MS;
    enum rabbitmq_event event;
    for (;;) {
        if (!read_frame(connection, until_ms, -1, out_frame, &event, error))
            return false;
        if (event != RABBITMQ_FRAME)
            return lose_by_status(connection, AMQP_STATUS_TIMEOUT, error);
        if (out_frame->channel == channel && out_frame->frame_type == type)
            return true;
        if (out_frame->channel != 0 || out_frame->frame_type != AMQP_FRAME_METHOD)
            return lose_by_status(connection, AMQP_STATUS_WRONG_METHOD, error);
        if (!see_to_connection(connection, &out_frame->payload.method, error))
            return false;
    }
}

bool rabbitmq_read_content(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                           const struct rabbitmq_sink *sink, struct error *error)
{
    amqp_frame_t frame;
    if (!next_piece(connection, channel, AMQP_FRAME_HEADER, &frame, error))
        return false;
    uint64_t left = frame.payload.properties.body_size;
    if (sink->begin != NULL)
        sink->begin(sink->context, frame.payload.properties.decoded);
    while (left > 0) {
        if (!next_piece(connection, channel, AMQP_FRAME_BODY, &frame, error))
            return false;
        amqp_bytes_t piece = frame.payload.body_fragment;
        if (piece.len > left)
            return lose_by_status(connection, AMQP_STATUS_BAD_AMQP_DATA, error);
        if (sink->add != NULL)
            sink->add(sink->context, piece.bytes, piece.len);
        left -= piece.len;
        /* A body of any size is read in the memory of one frame. */
        amqp_maybe_release_buffers_on_channel(connection->state, (amqp_channel_t)channel);
    }
    return true;
}

/* ---- Channels ---- */

bool rabbitmq_channel_open(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                           bool *out_is_new, struct error *error)
{
    if (out_is_new != NULL)
        *out_is_new = !connection->is_open[channel];
    if (connection->is_open[channel])
        return true;
    (void)amqp_channel_open(connection->state, (amqp_channel_t)channel);
    if (!rabbitmq_answered(connection, channel, amqp_get_rpc_reply(connection->state), error))
        return false;
    connection->is_open[channel] = true;
    return true;
}

/* The library keeps what came while the channel was being closed. It went back with the channel:
 * answered on a channel that is closed, or opened anew, it would end the connection. */
static bool drop_kept_frames(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                             struct error *error)
{
    while (amqp_frames_enqueued(connection->state)) {
        amqp_frame_t frame;
        enum rabbitmq_event event;
        if (!read_frame(connection, 0, -1, &frame, &event, error) ||
            (frame.channel != (amqp_channel_t)channel && !see_to(connection, &frame, error)))
            return false;
    }
    return true;
}

bool rabbitmq_channel_close(struct rabbitmq_connection *connection, enum rabbitmq_channel channel,
                            struct error *error)
{
    if (connection->state == NULL || !connection->is_open[channel])
        return true;
    connection->is_open[channel] = false;
    return rabbitmq_answered(
               connection, channel,
               amqp_channel_close(connection->state, (amqp_channel_t)channel, AMQP_REPLY_SUCCESS),
               error) &&
           drop_kept_frames(connection, channel, error);
}

/* ---- Connecting ---- */

/* Doubled with each failure; where many lost the same broker, each comes back at another time. */
static int64_t backoff_ms(unsigned failures)
{
    int64_t most_ms = RETRY_MOST_MS;
    if (failures < 16 && RETRY_FIRST_MS << failures < RETRY_MOST_MS)
        most_ms = RETRY_FIRST_MS << failures;
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    return most_ms / 2 + (int64_t)(random % (uint32_t)(most_ms / 2));
}

static bool connect_or_wait(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                            struct error *error)
{
    if (clock_boot_ms() >= connection->retry_boot_ms) {
        if (rabbitmq_connect(connection, until_boot_ms, &connection->failure)) {
            connection->failures = 0;
            connection->retry_boot_ms = 0;
            return true;
        }
        connection->retry_boot_ms = clock_boot_ms() + backoff_ms(connection->failures++);
    }
    return error_set(error, connection->failure.kind, "%s", connection->failure.text);
}

static bool see_to_all(struct rabbitmq_connection *connection, struct error *error)
{
    amqp_frame_t frame;
    enum rabbitmq_event event;
    amqp_maybe_release_buffers(connection->state);
    for (;;) {
        if (!read_frame(connection, 0, -1, &frame, &event, error))
            return false;
        if (event != RABBITMQ_FRAME)
            return true;
        if (!see_to(connection, &frame, error))
            return false;
    }
}

bool rabbitmq_connection_rest(struct rabbitmq_connection *connection, int64_t ms,
                              struct error *error)
{
    amqp_frame_t frame;
    enum rabbitmq_event event = RABBITMQ_OTHER;
    for (int64_t until_ms = clock_boot_ms() + ms; event != RABBITMQ_SILENCE;) {
        if (!read_frame(connection, until_ms, -1, &frame, &event, error) ||
            (event == RABBITMQ_FRAME && !see_to(connection, &frame, error)))
            return false;
    }
    return true;
}

/* One that is blocked is not read by the broker: nobody would answer. */
static void end_in_order(struct rabbitmq_connection *connection, int64_t timeout_ms)
{
    struct timeval timeout = rabbitmq_timeval(timeout_ms);
    if (connection->state != NULL && connection->blocked[0] == '\0' &&
        amqp_set_rpc_timeout(connection->state, &timeout) == AMQP_STATUS_OK)
        (void)amqp_connection_close(connection->state, AMQP_REPLY_SUCCESS);
    rabbitmq_connection_drop(connection);
}

bool rabbitmq_connection_ready(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                               struct error *error)
{
    /* The broker has closed it by now or is about to, or something between us has forgotten it. */
    if (connection->state != NULL &&
        clock_boot_ms() - connection->served_boot_ms > heartbeat_ms(connection))
        end_in_order(connection, STALE_CLOSE_MS);
    if (connection->state != NULL)
        ignore_failure(see_to_all(connection, NULL));
    if (connection->state == NULL && !connect_or_wait(connection, until_boot_ms, error))
        return false;
    int64_t left_ms = until_boot_ms - clock_boot_ms();
    struct timeval answer =
        rabbitmq_timeval(left_ms < RABBITMQ_ANSWER_MS ? left_ms : RABBITMQ_ANSWER_MS);
    if (amqp_set_rpc_timeout(connection->state, &answer) != AMQP_STATUS_OK)
        abort();
    connection->has_ended = false;
    return true;
}

bool rabbitmq_connection_init(struct rabbitmq_connection *connection, const struct config *config,
                              const char *name, struct error *error)
{
    *connection = (struct rabbitmq_connection){.name = name};
    return rabbitmq_settings_load(config, &connection->settings, error);
}

void rabbitmq_connection_finish(struct rabbitmq_connection *connection)
{
    end_in_order(connection, CLOSE_MS);
}
