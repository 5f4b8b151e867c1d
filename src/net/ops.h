#pragma once

/* The operations port of a service: /livez, /readyz and /metrics, for orchestrators and operators,
 * never on the public port. */

#include "base/error.h"

struct metrics;
struct ops;

/* True: the dependency can be used. Called in a thread of its own for each check. May block: what
 * has not answered within 2 s is told as failed until it has. The text of the error is shown to
 * operators. */
typedef bool ops_check_fn(void *context, struct error *error);

struct ops_check {
    const char *name; /* "records"; NULL ends the table */
    ops_check_fn *check;
    void *context;
    bool is_shared; /* every replica would fail it: reported, but no reason to be not ready */
};

/* `service` is the label of its metrics. Errors as of http_server_open(). Not ready until
 * ops_set_ready(). */
MUST_CHECK bool ops_open(const char *listen, const char *service, struct ops **out_ops,
                         struct error *error);
const char *ops_address(const struct ops *ops);
/* Its own, to register families with and to change. */
struct metrics *ops_metrics(struct ops *ops);
/* A table of checks; it and their contexts must outlive ops, or be removed before. At most 16
 * checks. */
void ops_add_checks(struct ops *ops, const struct ops_check *checks);
/* Waits for one that runs. */
void ops_remove_checks(struct ops *ops, const struct ops_check *checks);
/* While false, /readyz is 503: before the service listens, and while it drains. */
void ops_set_ready(struct ops *ops, bool is_ready);
void ops_close(struct ops *ops); /* NULL is fine */
void ops_closep(struct ops **ops);
