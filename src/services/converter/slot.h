#pragma once

/* One place for a conversion: a consumer's thread with its own queue, record and blob handles and
 * its own worker, warm while it waits. */

#include "services/common/consumer.h"
#include "services/common/publisher.h"
#include "services/converter/job.h"

/* Where each job's end is told; called from all slots' threads. */
typedef void slot_observer(void *context, const struct job_report *report);

struct slot {
    /* Set before slot_open(), then read-only; borrowed. */
    const struct config *config;
    const struct converter_settings *settings;
    const struct policy *policy;
    const struct stop *stop;
    struct publisher *publisher; /* to `mp3` */
    slot_observer *observe;
    void *observer;

    /* The slot's own thread. */
    struct blob_store *blobs;      /* owned */
    struct worker_process *worker; /* owned */
    bool are_blobs_failing;        /* probed before anything is claimed */

    /* The thread that opened it. */
    struct consumer *consumer; /* owned */
};

MUST_CHECK bool slot_open(struct slot *slot, struct error *error);
