#include "stores/job_queue/rabbitmq_tls.h"

#include "stores/shared/tls_probe.h"
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static int note_problem(int is_verified, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct rabbitmq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (is_verified == 0)
        tls->problem = X509_STORE_CTX_get_error(store);
    return is_verified;
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool demand_host(SSL_CTX *context, const char *host)
{
    X509_VERIFY_PARAM *demand = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_hostflags(demand, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(demand, host) == 1
                            : X509_VERIFY_PARAM_set1_host(demand, host, 0) == 1;
}

static bool load_authorities(SSL_CTX *context, const char *ca_file, struct error *error)
{
    if (ca_file[0] == '\0')
        return SSL_CTX_set_default_verify_paths(context) == 1 ||
               error_set(error, ERROR_UNAVAILABLE, "the system's authorities cannot be read");
    return SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1 ||
           error_set(error, ERROR_BAD_INPUT,
                     "rabbitmq.ca_file: %.120s cannot be read, or holds no certificate", ca_file);
}

bool rabbitmq_tls_prepare(amqp_connection_state_t state, const struct rabbitmq_settings *settings,
                          struct rabbitmq_tls *tls, amqp_socket_t **out_socket, struct error *error)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(state);
    if (socket == NULL)
        return error_set(error, ERROR_INTERNAL, "no TLS in this build of librabbitmq");
    SSL_CTX *context = amqp_ssl_socket_get_context(socket);
    *tls = (struct rabbitmq_tls){.problem = X509_V_OK};
    amqp_ssl_socket_set_verify_hostname(socket, 0); /* demand_host() does */
    SSL_CTX_set_app_data(context, tls);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_problem);
    if (!load_authorities(context, settings->ca_file, error))
        return false;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        !demand_host(context, settings->uri.host))
        abort();
    *out_socket = socket;
    return true;
}

const char *rabbitmq_tls_complaint(const struct rabbitmq_tls *tls)
{
    return tls->problem == X509_V_OK ? NULL : tls_complaint(tls->problem);
}
