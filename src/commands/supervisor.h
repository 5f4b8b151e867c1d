#pragma once

/* Starts the services of `serve` as child processes, restarts one that dies, and stops them in
 * order. One thread, and no child survives it: each ends when the supervisor's pipe closes, and by
 * the kernel's word (PR_SET_PDEATHSIG) when the supervisor is killed. */

#include "base/error.h"
#include "config/command_line.h"
#include <stddef.h>
#include <stdint.h>

/* tapedeck NAME --config FILE --set … */
#define SUPERVISOR_ARGUMENTS_MAX (5 + 2 * COMMAND_LINE_ASSIGNMENTS_MAX)

struct supervisor_service {
    const char *name;                                    /* of the subcommand */
    const char *arguments[SUPERVISOR_ARGUMENTS_MAX + 1]; /* [0] is "tapedeck"; borrowed */
    int64_t drain_max_ms;                                /* then it is killed */
};

#define SUPERVISOR_SERVICES_MAX 8

struct supervisor_plan {
    const struct supervisor_service *services; /* in the order in which they are stopped */
    size_t service_count;
    int lock_fd;    /* inherited by every service */
    int signals_fd; /* SIGTERM, SIGINT, SIGHUP and SIGCHLD, blocked before */
    /* Whether the service answers that it is ready; asked several times a second until all are. */
    bool (*is_ready)(void *context, size_t index);
    void (*on_ready)(void *context);                 /* all are, for the first time */
    void (*on_restart)(void *context, size_t index); /* one is to be started again */
    void *context;
};

/* Returns true once it was told to stop and every service has ended. A service that ends by itself
 * is started again after a pause that doubles from one time to the next, but for one that gives up
 * before all were ready: that is a mistake in the configuration, stops all and is an error. */
MUST_CHECK bool supervisor_run(const struct supervisor_plan *plan, struct error *error);
