#pragma once

/* The operations port of `serve`: /livez, /readyz and /metrics of all its services as one, gathered
 * from their own ports, which are Unix sockets. */

#include "base/error.h"
#include <stddef.h>

struct serve_ops;

#define SERVE_OPS_SERVICES_MAX 8

struct serve_ops_service {
    const char *name;
    const char *address; /* "unix:/path" */
};

/* The table must outlive it. Errors as of http_server_open(). */
MUST_CHECK bool serve_ops_open(const char *listen, const struct serve_ops_service *services,
                               size_t count, struct serve_ops **out_ops, struct error *error);
const char *serve_ops_address(const struct serve_ops *ops);
/* Asks the service itself; for one thread only, and for a second at most. */
bool serve_ops_is_ready(struct serve_ops *ops, size_t index);
void serve_ops_count_restart(struct serve_ops *ops, size_t index);
void serve_ops_close(struct serve_ops *ops); /* NULL is fine */
void serve_ops_closep(struct serve_ops **ops);
