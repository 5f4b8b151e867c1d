#include "services/converter/job.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "services/converter/job_internal.h"
#include <string.h>

#define DISCARD_TRIES 5
#define DISCARD_RETRY_MS 500

/* How the work ended, before that is written down. */
struct ending {
    struct job *job;
    bool is_done;
    struct conversion_result result; /* where done: row 10 */
    const struct failure *failure;   /* the input is at fault: row 11 … */
    bool is_accusation;              /* … or only accused: row 9 first, row 11 at the last */
    enum conversion_hand_back_reason reason; /* else row 9 */
    bool is_handed_back;                     /* what was decided last */
};

static bool decide_end(void *context, const struct conversion *record, int64_t now_ms,
                       struct conversion *out_next)
{
    struct ending *ending = context;
    const struct conversion_policy *policy = &ending->job->tools->policy->conversion;
    const struct id *holder = &ending->job->holder;
    ending->is_handed_back = false;
    if (ending->is_done)
        return conversion_succeed(record, policy, now_ms, holder, &ending->result, out_next);
    if (ending->failure == NULL || ending->is_accusation)
        ending->is_handed_back =
            conversion_hand_back(record, policy, now_ms, holder, ending->reason, out_next);
    if (ending->is_handed_back || ending->failure == NULL)
        return ending->is_handed_back;
    return conversion_fail(record, policy, now_ms, holder, ending->failure, out_next);
}

static void close_blobs(struct job *job)
{
    blob_writer_close(job->writer);
    job->writer = NULL;
    blob_reader_close(job->reader);
    job->reader = NULL;
}

/* Only after a definite answer: the record does not name this claim's MP3, and never will. */
static void discard_mp3(struct job *job)
{
    close_blobs(job);
    struct error error = {0};
    for (int i = 0; i < DISCARD_TRIES; i++) {
        if (blob_store_remove(job->tools->blobs, BLOB_MP3, &job->mp3_id, &error)) {
            fault_point("converter.after_discard");
            return;
        }
        if (!stop_linger(job->tools->stop, DISCARD_RETRY_MS))
            break;
    }
    log_warning("a part of an MP3 was not removed: left to the cleaner",
                FIELD_TEXT("conversion", job->record->id.text), FIELD_TEXT("mp3", job->mp3_id.text),
                FIELD_TEXT("reason", error.text));
}

static enum job_outcome outcome_of(const struct ending *ending)
{
    if (ending->is_done)
        return JOB_DONE;
    if (!ending->is_handed_back)
        return JOB_FAILED;
    return ending->is_accusation ? JOB_ACCUSED : JOB_HANDED_BACK;
}

static enum job_outcome write_down(struct ending *ending)
{
    struct job *job = ending->job;
    /* The work of hours is not thrown away because the records are gone for a while. */
    enum record_outcome outcome =
        consumer_settle(job->tools->consumer, job->record, decide_end, ending);
    if (outcome == RECORD_UNKNOWN)
        return JOB_UNSETTLED;
    if (outcome == RECORD_WRITTEN)
        fault_point(ending->is_done ? "converter.after_done" : "converter.after_end");
    /* A write of ours can have landed unanswered, and have been built upon since. */
    bool is_named = outcome != RECORD_ABSENT && id_is_equal(&job->record->mp3.id, &job->mp3_id);
    if (is_named)
        return JOB_DONE;
    discard_mp3(job);
    return outcome == RECORD_WRITTEN ? outcome_of(ending) : JOB_LOST;
}

/* ---- How the worker's end becomes the record's ---- */

static void end_by_trouble(struct ending *ending)
{
    switch (ending->job->trouble) {
    case JOB_VIDEO_GONE:
        /* The compare-and-set is what reads the record first: a video that was removed with its
         * conversion has made another version, which refuses. */
        ending->failure = &FAILURE_UNREADABLE_VIDEO;
        break;
    case JOB_VIDEO_BROKEN:
        ending->failure = &FAILURE_UNREADABLE_VIDEO;
        ending->is_accusation = true;
        ending->reason = CONVERSION_INPUT_ACCUSED;
        break;
    case JOB_STOPPING:
        ending->reason = CONVERSION_STOPPING;
        break;
    default: /* a worker that cannot be started too: later, or elsewhere */
        ending->reason = CONVERSION_STORE_DOWN;
        break;
    }
}

static void end_done(struct ending *ending, const struct worker_result *result)
{
    ending->is_done = true;
    ending->result = (struct conversion_result){
        .size_bytes = (int64_t)result->size_bytes,
        .duration_seconds = result->duration_seconds,
        .video_duration_seconds = result->input_duration_seconds,
        .bitrate_kbps = result->bitrate_kbps,
        .sample_rate_hz = result->sample_rate_hz,
        .channels = result->channels,
        .is_truncated = result->is_truncated,
    };
}

static void end_refused(struct ending *ending, const struct error *error, bool is_accusation)
{
    ending->failure = error->failure != NULL ? error->failure : &FAILURE_INTERNAL;
    ending->is_accusation = is_accusation;
    ending->reason = CONVERSION_INPUT_ACCUSED;
}

static enum worker_end run_worker(struct job *job, struct worker_result *out_result,
                                  struct error *error)
{
    const struct converter_settings *settings = job->tools->settings;
    const struct worker_job work = {
        .options = &job->record->options,
        .input_size = job->video_size,
        .output_size_max = settings->output_size_max,
        .duration_max_ms = settings->duration_max_ms,
        .threads = (uint32_t)settings->threads,
        .stall_max_ms = settings->stall_max_ms,
        .deadline_ms = settings->deadline_max_ms,
        .cancel_fd = -1, /* a stop lets end what can: tick() decides */
    };
    struct worker_callbacks callbacks = job_callbacks;
    callbacks.context = job;
    return worker_process_run(job->tools->worker, &work, &callbacks, out_result, error);
}

/* False: it was broken off, and job->trouble says why. */
static bool convert(struct job *job, struct ending *ending, struct error *error)
{
    struct worker_result result = {0};
    if (!job_open_video(job, error) || !job_open_mp3(job, error))
        return false;
    switch (run_worker(job, &result, error)) {
    case WORKER_DONE:
        if (!job_finish_mp3(job, result.size_bytes, error))
            return false;
        fault_point("converter.after_mp3_finish");
        end_done(ending, &result);
        return true;
    case WORKER_REFUSED:
        end_refused(ending, error, false);
        return true;
    case WORKER_BROKE:
        end_refused(ending, error, true);
        return true;
    case WORKER_NO_WORKER:
        job->trouble = JOB_NO_WORKER;
        return false;
    case WORKER_STOPPED:
    case WORKER_CALLBACK:
        break;
    }
    return false;
}

/* ---- Log ---- */

static const char *const outcome_names[] = {
    [JOB_DONE] = "done",       [JOB_FAILED] = "failed",
    [JOB_ACCUSED] = "accused", [JOB_HANDED_BACK] = "handed_back",
    [JOB_LOST] = "lost",       [JOB_UNSETTLED] = "unsettled",
};

const char *job_outcome_name(enum job_outcome outcome)
{
    return outcome_names[outcome];
}

static void log_end(const struct job *job, const struct job_report *report,
                    const struct error *error)
{
    static const struct {
        enum log_level level;
        const char *event;
    } lines[] = {
        [JOB_DONE] = {LOG_LEVEL_INFO, "conversion done"},
        [JOB_FAILED] = {LOG_LEVEL_INFO, "conversion failed"},
        [JOB_ACCUSED] = {LOG_LEVEL_WARNING, "conversion handed back: its video is suspected"},
        [JOB_HANDED_BACK] = {LOG_LEVEL_WARNING, "conversion handed back"},
        [JOB_LOST] = {LOG_LEVEL_INFO, "conversion broken off: it is not ours any more"},
        [JOB_UNSETTLED] = {LOG_LEVEL_WARNING, "conversion left to its lease"},
    };
    const struct conversion *record = job->record;
    bool is_done = report->outcome == JOB_DONE;
    const struct log_field fields[] = {
        FIELD_TEXT("conversion", record->id.text),
        FIELD_TEXT("mp3", is_done ? record->mp3.id.text : NULL),
        FIELD_COUNT("claim", record->claim),
        FIELD_TEXT("state", conversion_state_name(record->state)),
        FIELD_TEXT("code", record->error.code[0] != '\0' ? record->error.code : NULL),
        FIELD_TEXT("reason", is_done || error->text[0] == '\0' ? NULL : error->text),
        FIELD_REAL("seconds", report->seconds),
        FIELD_REAL("media_seconds", report->media_seconds),
    };
    /* The operator has been told, as its owner reads: the store has lost it, or is another than the
     * gateway's. */
    bool is_lost = report->outcome == JOB_FAILED &&
                   strcmp(record->error.code, FAILURE_UNREADABLE_VIDEO.code) == 0;
    log_write(is_lost ? LOG_LEVEL_ERROR : lines[report->outcome].level,
              lines[report->outcome].event, fields, ARRAY_COUNT(fields));
}

struct job_report job_run(const struct job_tools *tools, struct conversion *record)
{
    struct job job = {
        .tools = tools,
        .record = record,
        .holder = record->holder,
        .mp3_id = conversion_mp3_id(&record->id, record->claim),
        .begun_boot_ms = clock_boot_ms(),
        .renewed_boot_ms = clock_boot_ms(),
    };
    struct job_report report = {0};
    struct ending ending = {.job = &job};
    struct error error = {0};
    if (!convert(&job, &ending, &error))
        end_by_trouble(&ending);
    report.are_blobs_failing = job.trouble == JOB_STORE_DOWN;
    report.outcome = write_down(&ending);
    close_blobs(&job);
    report.seconds = (double)(clock_boot_ms() - job.begun_boot_ms) / 1000;
    if (report.outcome == JOB_DONE)
        report.media_seconds = record->mp3.duration_seconds;
    log_end(&job, &report, &error);
    return report;
}
