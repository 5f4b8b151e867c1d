#pragma once

/* Addresses to listen on: "host:port", "[v6]:port" and "unix:/path". */

#include "base/error.h"
#include <sys/socket.h>

#define HTTP_ADDRESS_SIZE 128

/* Is it one of these? ERROR_BAD_INPUT; looks no name up. */
MUST_CHECK bool http_address_check(const char *address, struct error *error);

/* A listening, non-blocking socket and its address, with the port that was picked for 0. A name
 * is looked up, which may block. [::] takes IPv4 too. A socket file that nobody answers on is
 * replaced. ERROR_BAD_INPUT: no address; ERROR_CONFLICT: in use; ERROR_DENIED, ERROR_UNAVAILABLE.
 */
MUST_CHECK bool http_address_listen(const char *address, int *out_fd,
                                    char out_address[HTTP_ADDRESS_SIZE], struct error *error);

/* Bound, but not listening: holds the port, which is picked here for 0, for a process of ours that
 * listens on *out_address meanwhile, and again after it was restarted. Of unix:/path nothing is to
 * be held: *out_fd is -1. Errors as above. */
MUST_CHECK bool http_address_reserve(const char *address, int *out_fd,
                                     char out_address[HTTP_ADDRESS_SIZE], struct error *error);

/* "192.0.2.1" or "2001:db8::1", without the port (a v4 address mapped into v6 as v4); "unix". */
void http_address_format_host(const struct sockaddr *address, char out_text[HTTP_ADDRESS_SIZE]);
