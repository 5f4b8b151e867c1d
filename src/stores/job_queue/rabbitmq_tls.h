#pragma once

/* TLS to the broker, and which of its promises was broken where it failed. The library checks names
 * by itself, but not addresses, and says of neither a chain nor a date what is wrong with it: so
 * OpenSSL checks all of it here. */

#include "stores/job_queue/rabbitmq_settings.h"

struct amqp_connection_state_t_;
struct amqp_socket_t_;

struct rabbitmq_tls {
    int problem; /* X509_V_ERR_…; X509_V_OK: none was found */
};

/* The socket belongs to the connection; *tls must live as long. */
MUST_CHECK bool rabbitmq_tls_prepare(struct amqp_connection_state_t_ *state,
                                     const struct rabbitmq_settings *settings,
                                     struct rabbitmq_tls *tls, struct amqp_socket_t_ **out_socket,
                                     struct error *error);
/* What is wrong with the certificate, as the end of a sentence, after a failed opening; NULL: it
 * was not the certificate. */
const char *rabbitmq_tls_complaint(const struct rabbitmq_tls *tls);
