#pragma once

/* What job.c and job_feed.c share. */

#include "services/converter/job.h"

/* Why the work was broken off, where that was us. */
enum job_trouble {
    JOB_GOES_ON,
    JOB_RECORD_REFUSED, /* the record says that it is no longer ours */
    JOB_STOPPING,       /* it cannot end before the service does */
    JOB_STORE_DOWN,
    JOB_NO_WORKER, /* it could not even be started */
    JOB_VIDEO_GONE,
    JOB_VIDEO_BROKEN, /* stored bytes that make no sense */
};

struct job {
    const struct job_tools *tools;
    struct conversion *record; /* as read or written last */
    struct id holder;
    struct id mp3_id;           /* of this claim */
    struct blob_reader *reader; /* owned */
    struct blob_writer *writer; /* owned */
    uint64_t video_size;

    struct worker_progress progress;
    int64_t begun_boot_ms;
    int64_t renewed_boot_ms; /* tried last */
    double renewed_fraction; /* written last */
    bool is_renewal_failing;
    bool is_queue_resting;

    enum job_trouble trouble;
};

/* What worker_process_run() is given; the context is the job. */
extern const struct worker_callbacks job_callbacks;

/* Opens reader and writer. False: job->trouble says why, *error in words. */
MUST_CHECK bool job_open_video(struct job *job, struct error *error);
MUST_CHECK bool job_open_mp3(struct job *job, struct error *error);
/* Finishes the MP3's blob; durable. */
MUST_CHECK bool job_finish_mp3(struct job *job, uint64_t size, struct error *error);
