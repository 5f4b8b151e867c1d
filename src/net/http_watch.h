#pragma once

/* The server's patience: a thread that looks at every connection a few times a second. It cuts
 * those that send their headers too slowly, idle too long or stall in a body; it gives uploads
 * their ticks and wakes streams that wait for something to send; and it swallows what refused
 * clients still send. Only http_*.c includes this.
 *
 * The HTTP library knows only inactivity, so that a byte now and then keeps a connection for ever:
 * what moved is asked of the kernel instead (TCP_INFO). */

#include "base/error.h"
#include "net/http_server.h"
#include <stdint.h>

struct http_watch;
struct http_connection; /* borrowed from the watch until removed */

MUST_CHECK bool http_watch_open(const struct http_limits *limits, struct http_watch **out_watch,
                                struct error *error);
void http_watch_close(struct http_watch *watch); /* after the last connection was removed */

struct http_connection *http_watch_add(struct http_watch *watch, int fd);
void http_watch_remove(struct http_watch *watch, struct http_connection *connection);
int http_connection_fd(const struct http_connection *connection);
unsigned http_watch_count(struct http_watch *watch);

/* The request line is here; the headers are; the answer is sent or never will be. */
void http_watch_begin(struct http_watch *watch, struct http_connection *connection,
                      struct http_request *request);
void http_watch_headers(struct http_watch *watch, struct http_connection *connection);
void http_watch_end(struct http_watch *watch, struct http_connection *connection);

/* Keeps the socket open beyond the connection, and swallows what still comes until the client has
 * seen the answer and closes: closing over unread bytes would reset the connection, and the answer
 * be lost with it. */
void http_watch_linger(struct http_watch *watch, const struct http_connection *connection);

/* From here on idle connections are closed. */
void http_watch_drain(struct http_watch *watch);
/* True once no connection is left; false after timeout_ms. */
bool http_watch_wait(struct http_watch *watch, int64_t timeout_ms);
/* Cuts every connection. */
void http_watch_cut(struct http_watch *watch);
