/* The job while the worker runs: bytes in, bytes out, and the lease. */

#include "services/converter/job_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "services/common/records.h"
#include <inttypes.h>

#define PROGRESS_INTERVAL_MS CLOCK_SECOND_MS
#define STORE_RETRY_MS 250
/* Longer, and the broker's connection is given back. */
#define SHORT_JOB_MS (10 * CLOCK_SECOND_MS)
/* A speed is known after this, and a job that ends sooner is let end. */
#define SPEED_KNOWN_MS (2 * CLOCK_SECOND_MS)
#define FINISH_MS CLOCK_SECOND_MS

/* ---- The lease ---- */

static bool renew(void *context, const struct conversion *record, int64_t now_ms,
                  struct conversion *out_next)
{
    const struct job *job = context;
    return conversion_renew(record, &job->tools->policy->conversion, now_ms, &job->holder,
                            job->progress.fraction, out_next);
}

static bool is_renewal_due(const struct job *job, int64_t boot_ms)
{
    int64_t third_ms = job->tools->policy->conversion.lease_ms / 3;
    int64_t progress_ms = PROGRESS_INTERVAL_MS < third_ms ? PROGRESS_INTERVAL_MS : third_ms;
    int64_t since_ms = boot_ms - job->renewed_boot_ms;
    bool has_news = job->progress.fraction > job->renewed_fraction || job->is_renewal_failing;
    return since_ms >= (has_news ? progress_ms : third_ms);
}

/* One try. That the records do not answer is no reason to stop: only being told is. */
static bool renew_lease(struct job *job, struct error *error)
{
    struct error failure = {0};
    job->renewed_boot_ms = clock_boot_ms();
    enum record_outcome outcome =
        records_change_read(job->tools->records, job->record, renew, job, 0, &failure);
    if (outcome == RECORD_UNKNOWN) {
        consumer_note_outage(job->tools->consumer);
        if (!job->is_renewal_failing)
            log_warning("lease not renewed: working on",
                        FIELD_TEXT("conversion", job->record->id.text),
                        FIELD_TEXT("reason", failure.text));
        job->is_renewal_failing = true;
        return true;
    }
    job->is_renewal_failing = false;
    job->renewed_fraction = job->progress.fraction;
    if (outcome == RECORD_WRITTEN)
        return true;
    job->trouble = JOB_RECORD_REFUSED;
    return error_set(error, ERROR_CONFLICT, "the conversion is no longer ours");
}

/* Judged by the speed so far, with a fifth to spare. */
static bool can_end_in_time(const struct job *job, int64_t boot_ms)
{
    int64_t left_ms = stop_left_ms(job->tools->stop);
    int64_t taken_ms = boot_ms - job->begun_boot_ms;
    if (taken_ms < SPEED_KNOWN_MS)
        return left_ms > 2 * SPEED_KNOWN_MS;
    double fraction = job->progress.fraction;
    if (!(fraction > 0))
        return false;
    double needed_ms = (double)taken_ms * (1 - fraction) / fraction * 1.2 + FINISH_MS;
    return needed_ms < (double)left_ms;
}

/* Everything that is due at any moment of the work. False: break off. */
static bool keep(struct job *job, struct error *error)
{
    int64_t boot_ms = clock_boot_ms();
    if (stop_is_told(job->tools->stop) && !can_end_in_time(job, boot_ms)) {
        job->trouble = JOB_STOPPING;
        return error_set(error, ERROR_UNAVAILABLE, "the service ends before the conversion would");
    }
    if (!job->is_queue_resting && boot_ms - job->begun_boot_ms > SHORT_JOB_MS) {
        consumer_rest_queue(job->tools->consumer);
        job->is_queue_resting = true;
    }
    return !is_renewal_due(job, boot_ms) || renew_lease(job, error);
}

static bool tick(void *context, const struct worker_progress *progress, struct error *error)
{
    struct job *job = context;
    job->progress = *progress;
    return keep(job, error);
}

/* ---- The blobs ---- */

static enum job_trouble trouble_of(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NOT_FOUND:
        return JOB_VIDEO_GONE;
    case ERROR_INTERNAL:
    case ERROR_BAD_INPUT:
        return JOB_VIDEO_BROKEN;
    default:
        return JOB_STORE_DOWN;
    }
}

/* After a call that failed. True: try it again. A store that restarts is waited for, one lease at
 * most, so that an hour's work does not end with it. */
static bool is_worth_waiting(struct job *job, int64_t *since_boot_ms, const struct error *failure,
                             struct error *error)
{
    int64_t boot_ms = clock_boot_ms();
    if (*since_boot_ms == 0)
        *since_boot_ms = boot_ms;
    bool is_patient = boot_ms - *since_boot_ms < job->tools->policy->conversion.lease_ms;
    if (failure->kind != ERROR_UNAVAILABLE || !is_patient) {
        job->trouble = trouble_of(failure->kind);
        *error = *failure;
        return false;
    }
    (void)stop_linger(job->tools->stop, STORE_RETRY_MS);
    return keep(job, error);
}

static bool read_at(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error)
{
    struct job *job = context;
    struct error failure = {0};
    int64_t since_boot_ms = 0;
    while (!blob_reader_read(job->reader, offset, bytes, size, out_size, &failure)) {
        if (!is_worth_waiting(job, &since_boot_ms, &failure, error))
            return error_prefix(error, "video");
    }
    return true;
}

/* Its own failures are never the video's. */
static bool is_worth_writing_again(struct job *job, int64_t *since_boot_ms,
                                   const struct error *failure, struct error *error)
{
    if (is_worth_waiting(job, since_boot_ms, failure, error))
        return true;
    if (job->trouble == JOB_VIDEO_GONE || job->trouble == JOB_VIDEO_BROKEN)
        job->trouble = JOB_STORE_DOWN;
    return error_prefix(error, "MP3");
}

static bool write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error)
{
    struct job *job = context;
    struct error failure = {0};
    int64_t since_boot_ms = 0;
    while (!blob_writer_write(job->writer, offset, bytes, size, &failure)) {
        if (!is_worth_writing_again(job, &since_boot_ms, &failure, error))
            return false;
    }
    return true;
}

const struct worker_callbacks job_callbacks = {
    .read_at = read_at,
    .write_at = write_at,
    .tick = tick,
};

bool job_open_video(struct job *job, struct error *error)
{
    struct error failure = {0};
    struct blob_metadata metadata;
    int64_t since_boot_ms = 0;
    while (!blob_reader_open(job->tools->blobs, BLOB_VIDEO, &job->record->id, &job->reader,
                             &job->video_size, &metadata, &failure)) {
        if (!is_worth_waiting(job, &since_boot_ms, &failure, error))
            return error_prefix(error, "video");
    }
    int64_t recorded_size = job->record->video.size_bytes;
    if (recorded_size != CONVERSION_SIZE_UNKNOWN && (uint64_t)recorded_size != job->video_size) {
        job->trouble = JOB_VIDEO_BROKEN;
        return error_set(error, ERROR_INTERNAL,
                         "video of %" PRIu64 " bytes is stored, %" PRId64 " were uploaded",
                         job->video_size, recorded_size);
    }
    return true;
}

bool job_open_mp3(struct job *job, struct error *error)
{
    struct error failure = {0};
    int64_t since_boot_ms = 0;
    while (!blob_writer_open(job->tools->blobs, BLOB_MP3, &job->mp3_id, job->record->claim,
                             &job->writer, &failure)) {
        if (!is_worth_writing_again(job, &since_boot_ms, &failure, error))
            return false;
    }
    return true;
}

bool job_finish_mp3(struct job *job, uint64_t size, struct error *error)
{
    const struct blob_metadata metadata = {
        .conversion_id = job->record->id,
        .owner_id = job->record->owner.id,
    };
    struct error failure = {0};
    int64_t since_boot_ms = 0;
    while (!blob_writer_finish(job->writer, size, &metadata, &failure)) {
        if (!is_worth_writing_again(job, &since_boot_ms, &failure, error))
            return false;
    }
    return true;
}
