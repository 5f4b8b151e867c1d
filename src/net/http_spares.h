#pragma once

/* Buffers of HTTP_PIECE_SIZE between two uses. A request holds one only while bytes are in it, so
 * that the server needs memory for what is on its way, not for how many clients it has; and a fast
 * upload, which needs another every few milliseconds, does not ask the system for each. Only
 * http_*.c includes this. */

struct http_spares; /* thread-safe */

struct http_spares *http_spares_open(void);
void http_spares_close(struct http_spares *spares); /* NULL is fine */
/* Of any content; never NULL. */
char *http_spares_take(struct http_spares *spares);
void http_spares_give(struct http_spares *spares, char *bytes); /* NULL is fine */
