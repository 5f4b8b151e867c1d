#pragma once

/* Where a server is and how to log in there, as one URI: scheme://user:password@host:port/path.
 * User, password and path may hold any byte as %XX (RFC 3986); a host may be [v6]. Pure. */

#include "base/error.h"
#include <stdint.h>

#define SERVER_URI_PART_SIZE 256

struct server_uri {
    char scheme[16];
    char user[SERVER_URI_PART_SIZE];     /* "": none */
    char password[SERVER_URI_PART_SIZE]; /* "": none */
    char host[SERVER_URI_PART_SIZE];     /* without brackets */
    uint16_t port;                       /* 0: none was given */
    char path[SERVER_URI_PART_SIZE];     /* without the first slash */
};

/* ERROR_BAD_INPUT says what is wrong, and repeats nothing of the URI, which may hold a password. A
 * query or a fragment is refused. */
MUST_CHECK bool server_uri_parse(const char *text, struct server_uri *out_uri, struct error *error);

/* "localhost", 127.0.0.0/8, ::1: what is sent there, nobody else on the network can read. An
 * address or a name, without brackets; "127.example.org" is a name like any other. */
bool server_host_is_loopback(const char *host);
bool server_uri_is_loopback(const struct server_uri *uri);
