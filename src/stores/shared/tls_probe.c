#include "stores/shared/tls_probe.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define NAME_SIZE 256 /* of a host (RFC 1035, 2.3.4) */

struct probe {
    const struct tls_peer *peer; /* borrowed */
    int64_t end_at_boot_ms;
    int fd;       /* owned; -1: none */
    SSL_CTX *ctx; /* owned */
    SSL *ssl;     /* owned */
};

static void probe_finish(struct probe *probe)
{
    SSL_free(probe->ssl);
    SSL_CTX_free(probe->ctx);
    file_close(probe->fd);
    ERR_clear_error(); /* the thread's: its next user would take it for its own */
}

/* ---- Connecting ---- */

static bool wait_for(const struct probe *probe, short events)
{
    int64_t left_ms = probe->end_at_boot_ms - clock_boot_ms();
    struct pollfd ready = {.fd = probe->fd, .events = events};
    return left_ms > 0 && poll(&ready, 1, (int)left_ms) == 1;
}

static bool connect_to(struct probe *probe, const struct addrinfo *address)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    file_close(probe->fd);
    probe->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return false;
    if (connect(probe->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    return errno == EINPROGRESS && wait_for(probe, POLLOUT) &&
           getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0;
}

static bool connect_any(struct probe *probe, struct error *error)
{
    const struct tls_peer *peer = probe->peer;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int result = getaddrinfo(peer->host, peer->port, &hints, &addresses);
    if (result != 0)
        return error_set(error, ERROR_UNAVAILABLE, "%s: %s", peer->host, gai_strerror(result));
    bool is_connected = false;
    for (const struct addrinfo *one = addresses; one != NULL && !is_connected; one = one->ai_next)
        is_connected = connect_to(probe, one);
    freeaddrinfo(addresses);
    return is_connected || error_set(error, ERROR_UNAVAILABLE, "%s:%s cannot be connected to",
                                     peer->host, peer->port);
}

/* ---- The handshake ---- */

static bool load_authorities(SSL_CTX *ctx, const char *ca_file)
{
    return ca_file[0] == '\0' ? SSL_CTX_set_default_verify_paths(ctx) == 1
                              : SSL_CTX_load_verify_file(ctx, ca_file) == 1;
}

/* An address is looked for among the certificate's addresses, all else among its names. */
static bool expect_host(SSL *ssl, const char *host)
{
    char name[NAME_SIZE]; /* the macro below takes no const */
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ||
           (text_copy(name, sizeof name, host) && SSL_set1_host(ssl, name) == 1 &&
            SSL_set_tlsext_host_name(ssl, name) == 1);
}

static bool prepare(struct probe *probe, struct error *error)
{
    const struct tls_peer *peer = probe->peer;
    probe->ctx = SSL_CTX_new(TLS_client_method());
    if (probe->ctx == NULL || !load_authorities(probe->ctx, peer->ca_file))
        return error_set(error, ERROR_BAD_INPUT, "%.150s has no certificate of an authority",
                         peer->ca_file[0] == '\0' ? "the system" : peer->ca_file);
    SSL_CTX_set_verify(probe->ctx, SSL_VERIFY_PEER, NULL);
    probe->ssl = SSL_new(probe->ctx);
    if (probe->ssl == NULL || SSL_set_fd(probe->ssl, probe->fd) != 1 ||
        !expect_host(probe->ssl, peer->host))
        return error_set(error, ERROR_INTERNAL, "TLS cannot be prepared");
    return true;
}

const char *tls_complaint(long verdict)
{
    switch (verdict) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
        return "is not signed by one of the authorities (CA) that are trusted here";
    case X509_V_ERR_UNSPECIFIED:
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "is for another host name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "has expired, or the certificate of its authority has";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "is not valid yet: check the clocks of both hosts";
    default:
        return X509_verify_cert_error_string(verdict);
    }
}

static bool refuse(const struct probe *probe, struct error *error)
{
    const struct tls_peer *peer = probe->peer;
    long result = SSL_get_verify_result(probe->ssl);
    if (result == X509_V_OK)
        return error_set(error, ERROR_UNAVAILABLE, "%s:%s does not answer with TLS", peer->host,
                         peer->port);
    return error_set(error, ERROR_DENIED, "the certificate of %s:%s %s", peer->host, peer->port,
                     tls_complaint(result));
}

static bool shake_hands(const struct probe *probe, struct error *error)
{
    for (;;) {
        int result = SSL_connect(probe->ssl);
        if (result == 1)
            return true;
        int reason = SSL_get_error(probe->ssl, result);
        bool is_waiting = reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
        if (!is_waiting || !wait_for(probe, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT))
            return refuse(probe, error);
    }
}

bool tls_probe(const struct tls_peer *peer, int timeout_ms, struct error *error)
{
    CLEANUP(probe_finish)
    struct probe probe = {
        .peer = peer,
        .end_at_boot_ms = clock_boot_ms() + timeout_ms,
        .fd = -1,
    };
    return connect_any(&probe, error) && prepare(&probe, error) && shake_hands(&probe, error);
}

bool tls_check_ca_file(const char *option, const char *path, struct error *error)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool is_good = ctx != NULL && SSL_CTX_load_verify_file(ctx, path) == 1;
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return is_good || error_set(error, ERROR_BAD_INPUT,
                                "%s: %.120s cannot be read, or holds no certificate in PEM form",
                                option, path);
}
