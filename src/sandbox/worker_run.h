#pragma once

/* One conversion as the outside drives it: answers the worker's frames until it is done, broke a
 * rule, took too long or is to stop. Only worker_process uses this; it starts and ends the process.
 */

#include "sandbox/worker_process.h"

struct worker_run;

struct worker_run *worker_run_create(void);
void worker_run_destroy(struct worker_run *run); /* NULL is fine */

/* *out_is_gone: the socket was closed without a last word. Else as
 * worker_process_run(); `error` is not NULL. */
MUST_CHECK enum worker_end worker_run(struct worker_run *run, int socket_fd,
                                      const struct worker_job *job,
                                      const struct worker_callbacks *callbacks,
                                      struct worker_result *out_result, bool *out_is_gone,
                                      struct error *error);
