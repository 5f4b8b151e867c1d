#pragma once

/* What the operations port of a service asks of the stores: readiness by name, and the gauges that
 * are read when they are asked for (tapedeck_overdue_seconds of every role, since whoever has it
 * may not run; tapedeck_queue_length). Handles of their own, since the port has threads of its own.
 *
 * One of them a process. */

#include "base/error.h"
#include "config/config.h"
#include "net/ops.h"
#include "stores/job_queue/job_queue.h"

/* What the service stands on. All these stores are shared with every replica, so that /readyz
 * reports them and fails by none; but it fails as long as this process has never seen records that
 * it can work with. */
struct probes_plan {
    bool uses_blobs;
    enum job_queue_name queue; /* that it takes from */
};

/* Registers with ops; `config` must outlive probes_close(). The stores are opened when they are
 * first asked. */
void probes_open(const struct config *config, const struct probes_plan *plan, struct ops *ops);
/* After it the port answers on without them. */
void probes_close(struct ops *ops);
