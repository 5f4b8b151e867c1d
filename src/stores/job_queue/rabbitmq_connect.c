#include "stores/job_queue/rabbitmq_connection.h"

#include "base/clock.h"
#include "base/text.h"
#include "stores/job_queue/rabbitmq_table.h"
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECT_MS 3000
#define HEARTBEAT_S 30
/* What was sent and is not even received by the other machine for so long, never will be. */
#define UNRECEIVED_MS 10000U

struct timeval rabbitmq_timeval(int64_t ms)
{
    int64_t positive_ms = ms > 1 ? ms : 1;
    return (struct timeval){.tv_sec = (time_t)(positive_ms / 1000),
                            .tv_usec = (suseconds_t)(positive_ms % 1000 * 1000)};
}

static bool open_socket(struct rabbitmq_connection *connection, const struct timeval *timeout,
                        struct error *error)
{
    const struct rabbitmq_settings *settings = &connection->settings;
    amqp_socket_t *socket = NULL;
    if (settings->has_tls) {
        if (!rabbitmq_tls_prepare(connection->state, settings, &connection->tls, &socket, error))
            return false;
    } else {
        socket = amqp_tcp_socket_new(connection->state);
        if (socket == NULL)
            abort();
    }
    int status = amqp_socket_open_noblock(socket, settings->uri.host, settings->uri.port, timeout);
    if (status == AMQP_STATUS_OK) {
        unsigned unreceived_ms = UNRECEIVED_MS;
        (void)setsockopt(amqp_socket_get_sockfd(socket), IPPROTO_TCP, TCP_USER_TIMEOUT,
                         &unreceived_ms, sizeof unreceived_ms);
        return true;
    }
    char reason[160] = "";
    const char *complaint = settings->has_tls ? rabbitmq_tls_complaint(&connection->tls) : NULL;
    if (complaint != NULL)
        snprintf(reason, sizeof reason, "its certificate %s", complaint);
    else if (status == AMQP_STATUS_SSL_CONNECTION_FAILED)
        text_copy(reason, sizeof reason, "does not speak TLS on this port, or none that both know");
    else if (status == AMQP_STATUS_SOCKET_ERROR)
        text_copy(reason, sizeof reason, "cannot be connected to");
    return reason[0] != '\0' ? rabbitmq_lose(connection, ERROR_UNAVAILABLE, reason, error)
                             : rabbitmq_sent(connection, status, error);
}

static bool log_in(struct rabbitmq_connection *connection, struct error *error)
{
    const struct rabbitmq_settings *settings = &connection->settings;
    amqp_table_entry_t capabilities[] = {
        rabbitmq_yes("connection.blocked"),
        rabbitmq_yes("consumer_cancel_notify"),
        rabbitmq_yes("publisher_confirms"),
        rabbitmq_yes("basic.nack"),
    };
    amqp_table_entry_t properties[] = {
        rabbitmq_text("product", "Tapedeck"),
        rabbitmq_text("version", TAPEDECK_VERSION),
        rabbitmq_text("connection_name", connection->name),
        {.key = amqp_cstring_bytes("capabilities")},
    };
    properties[3].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[3].value.value.table =
        (amqp_table_t){.num_entries = ARRAY_COUNT(capabilities), .entries = capabilities};
    const amqp_table_t table = {.num_entries = ARRAY_COUNT(properties), .entries = properties};
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        connection->state, settings->vhost, RABBITMQ_CHANNEL_COUNT, AMQP_DEFAULT_FRAME_SIZE,
        HEARTBEAT_S, &table, AMQP_SASL_METHOD_PLAIN, settings->uri.user, settings->uri.password);
    return rabbitmq_answered(connection, RABBITMQ_CONTROL, reply, error);
}

bool rabbitmq_connect(struct rabbitmq_connection *connection, int64_t until_boot_ms,
                      struct error *error)
{
    int64_t left_ms = until_boot_ms - clock_boot_ms();
    struct timeval timeout = rabbitmq_timeval(left_ms < CONNECT_MS ? left_ms : CONNECT_MS);
    connection->state = amqp_new_connection();
    if (connection->state == NULL)
        abort();
    if (amqp_set_handshake_timeout(connection->state, &timeout) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(connection->state, &timeout) != AMQP_STATUS_OK)
        abort();
    if (open_socket(connection, &timeout, error) && log_in(connection, error))
        return true;
    rabbitmq_connection_drop(connection);
    return false;
}
