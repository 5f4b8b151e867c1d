#pragma once

/* The life of a service's process, the same for all four: log, operations port, opening, waiting
 * for a signal, draining, closing.
 *
 * SIGTERM and SIGINT drain within stop.drain_max and exit 0; a second one ends the process at once.
 * So does the end of stop.drain_max and a little more where a server that stands still holds up the
 * rest: what was begun is then left to its lease.
 * Where the supervisor started us (TAPEDECK_SUPERVISOR_FD names the reading end of a pipe), the
 * pipe's end is the same as SIGTERM: a service never outlives its `serve`. */

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include <stdint.h>

struct ops; /* net/ops.h */

struct service {
    const char *name;    /* "gateway"; the log's `service` */
    const char *summary; /* for --help: what it does, what it needs */
    /* Opens everything and starts the threads; returns once the service works, or can begin to as
     * soon as its peers do. Registers its readiness checks and metrics with ops. Signals are
     * blocked already. */
    bool (*open)(const struct config *config, struct ops *ops, void **out_state,
                 struct error *error);
    /* Stops taking work and ends or hands back what runs, in at most drain_max_ms. */
    void (*drain)(void *state, int64_t drain_max_ms);
    void (*close)(void *state); /* joins the threads, frees */
};

struct service_settings {
    const char *ops_listen;
    int64_t drain_max_ms;
    const char *log_level;
};

extern const struct config_option service_options[]; /* ops.listen, stop.drain_max, log.level */
enum log_level service_log_level(const struct service_settings *settings);

/* Runs it until it is told to stop. False: it could not start, and the log says why. */
MUST_CHECK bool service_run(const struct service *service, const struct config *config);
