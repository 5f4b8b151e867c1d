#pragma once

/* One claimed conversion, from its claim to its end: video from the blob store through the worker
 * into the blob of this claim's MP3, the lease renewed on the way, then one of the rows 9 to 11. */

#include "model/conversion.h"
#include "sandbox/worker_process.h"
#include "services/common/consumer.h"
#include "services/converter/settings.h"
#include "stores/blob_store/blob_store.h"

/* Borrowed; the handles are the calling thread's. */
struct job_tools {
    const struct converter_settings *settings;
    const struct policy *policy;
    const struct stop *stop;
    struct consumer *consumer;
    struct record_store *records;
    struct blob_store *blobs;
    struct worker_process *worker;
};

enum job_outcome {
    JOB_DONE,
    JOB_FAILED,      /* the input is at fault, for good */
    JOB_ACCUSED,     /* handed back, with one attempt less */
    JOB_HANDED_BACK, /* a store, the worker's program or this service's end was the reason */
    JOB_LOST,        /* cancelled, deleted or taken over meanwhile */
    JOB_UNSETTLED,   /* the records do not answer and the service ends: left to the lease */
};

struct job_report {
    enum job_outcome outcome;
    double seconds;       /* from the claim to the end */
    double media_seconds; /* of the MP3, where done */
    bool are_blobs_failing;
};

const char *job_outcome_name(enum job_outcome outcome); /* "done": for metrics */

/* *record: as claimed; then as it was stored last. */
struct job_report job_run(const struct job_tools *tools, struct conversion *record);
