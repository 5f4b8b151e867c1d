#pragma once

/* Why a server's certificate is refused. The libraries that talk to servers verify it, but mostly
 * say only that the handshake failed; this makes one more handshake, and names what is wrong with
 * it: the authority, the host name, or the dates. */

#include "base/error.h"

struct tls_peer {
    const char *host;    /* a name or an address, as the certificate has to say it */
    const char *port;    /* decimal; TLS has to be spoken there from the first byte */
    const char *ca_file; /* PEM; "": the system's authorities */
};

/* Blocks for at most timeout_ms, and for what the name service takes. ERROR_DENIED: the certificate
 * is refused. ERROR_UNAVAILABLE: nobody answers in time, or not with TLS. ERROR_BAD_INPUT: the CA
 * file cannot be read. */
MUST_CHECK bool tls_probe(const struct tls_peer *peer, int timeout_ms, struct error *error);

/* What is wrong with a certificate, as the end of a sentence, by OpenSSL's verdict (X509_V_ERR_…):
 * for libraries that tell no more than this. X509_V_ERR_UNSPECIFIED is taken for the host name's:
 * libcurl compares that by itself, last, and then leaves this. */
const char *tls_complaint(long verdict);

/* For options: a PEM file with at least one certificate in it? */
MUST_CHECK bool tls_check_ca_file(const char *option, const char *path, struct error *error);
