/* One function for each row of the record's table that cleaning takes (docs/conversion.md). Bytes
 * are removed first, then the record says so: a crash in between repeats the removal, which does no
 * harm; the other way round it would leave bytes that no record names. */

#include "services/common/cleaner.h"

#include "base/clock.h"
#include "base/condition.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/log.h"
#include "services/common/records.h"
#include "stores/blob_store/blob_store.h"
#include <pthread.h>
#include <stdlib.h>

#define WRITE_TIMEOUT_MS (5 * CLOCK_SECOND_MS)
/* Records that a look may leave as they were, before it waits for the next one. */
#define IDLE_STEPS_MAX 32
#define NOTICES_MAX 32

struct cleaner {
    /* Set by cleaner_open(), then read-only. */
    const struct config *config;
    struct policy policy;
    pthread_t thread;

    /* The thread alone. */
    struct record_store *records; /* owned; NULL until the store could be opened */
    struct blob_store *blobs;     /* owned; likewise */
    unsigned idle_steps;
    bool is_failing;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* waits by CLOCK_MONOTONIC */
    bool is_woken;
    bool is_closing;
};

/* What a step decides by: the record as it was read, and the time it was planned at. Another
 * version is another plan, so that a conflict leaves the record to the next look. */
struct step {
    const struct conversion_policy *policy;
    int64_t version;
    int64_t now_ms;
    bool (*row)(const struct conversion *record, const struct conversion_policy *policy,
                int64_t now_ms, struct conversion *out_next);
};

static bool decide(void *context, const struct conversion *record, int64_t now_ms,
                   struct conversion *out_next)
{
    const struct step *step = context;
    (void)now_ms;
    return record->version == step->version &&
           step->row(record, step->policy, step->now_ms, out_next);
}

static bool abandon_silent_upload(const struct conversion *record,
                                  const struct conversion_policy *policy, int64_t now_ms,
                                  struct conversion *out_next)
{
    return conversion_abandon_upload(record, policy, now_ms, true, out_next);
}

static bool postpone(const struct conversion *record, const struct conversion_policy *policy,
                     int64_t now_ms, struct conversion *out_next)
{
    (void)policy;
    return conversion_postpone_clean(record, now_ms, out_next);
}

/* True: the record is another now, by us or by somebody else. */
static bool store(struct record_store *records, struct step *step, struct conversion *record,
                  const char *event)
{
    struct error error = {0};
    enum record_outcome outcome =
        records_change_read(records, record, decide, step, WRITE_TIMEOUT_MS, &error);
    if (outcome == RECORD_WRITTEN)
        log_info(event, FIELD_TEXT("conversion", record->id.text),
                 FIELD_TEXT("state", conversion_state_name(record->state)));
    if (outcome == RECORD_UNKNOWN)
        log_warning("cannot note a cleaning step: it will be repeated",
                    FIELD_TEXT("conversion", record->id.text), FIELD_TEXT("reason", error.text));
    return outcome == RECORD_WRITTEN || outcome == RECORD_ABSENT ||
           (outcome == RECORD_REFUSED && record->version != step->version);
}

static bool remove_blobs(struct blob_store *blobs, const struct conversion *record,
                         const struct conversion_sweep *sweep, struct error *error)
{
    for (int64_t claim = 1; claim <= sweep->claims; claim++) {
        struct id mp3 = conversion_mp3_id(&record->id, claim);
        if (!id_is_equal(&mp3, &sweep->kept_mp3) &&
            !blob_store_remove(blobs, BLOB_MP3, &mp3, error))
            return error_prefix(error, "remove MP3 %s", mp3.text);
    }
    if (sweep->removes_video && !blob_store_remove(blobs, BLOB_VIDEO, &record->id, error))
        return error_prefix(error, "remove video %s", record->id.text);
    fault_point("cleaner.after_sweep");
    return true;
}

/* Row 23. */
static bool remove_record(struct record_store *records, const struct conversion *record)
{
    struct error error = {0};
    bool is_removed = record_store_remove(records, &record->id, record->version, &error);
    if (is_removed) {
        fault_point("cleaner.after_remove");
        log_info("record removed", FIELD_TEXT("conversion", record->id.text));
        return true;
    }
    if (error.kind == ERROR_CONFLICT || error.kind == ERROR_NOT_FOUND)
        return true;
    log_warning("cannot remove a record: it will be repeated",
                FIELD_TEXT("conversion", record->id.text), FIELD_TEXT("reason", error.text));
    return false;
}

/* Rows 18, 22 and 23, and 24 where a blob cannot be removed. */
static bool sweep(struct record_store *records, struct blob_store *blobs, struct step *step,
                  struct conversion *record)
{
    struct conversion_sweep plan = conversion_plan_clean(record, step->policy, step->now_ms);
    struct error error = {0};
    if (!remove_blobs(blobs, record, &plan, &error)) {
        log_warning("cannot clean: it will be repeated", FIELD_TEXT("conversion", record->id.text),
                    FIELD_TEXT("reason", error.text));
        step->row = postpone;
        return store(records, step, record, "cleaning postponed");
    }
    if (conversion_is_removable(record, step->now_ms))
        return remove_record(records, record);
    step->row = record->state == CONVERSION_DELETING ? conversion_note_sweep : conversion_clean;
    bool is_noted = store(records, step, record, "swept");
    fault_point("cleaner.after_note");
    return is_noted;
}

static void free_records(struct conversion **records)
{
    free(*records);
}

/* One row's worth. True: the record is another now. */
static bool take_step(struct record_store *records, struct blob_store *blobs,
                      const struct policy *policy, struct conversion *record)
{
    struct step step = {.policy = &policy->conversion, .version = record->version};
    struct error error = {0};
    if (!record_store_now(records, &step.now_ms, &error)) {
        log_warning("cannot clean", FIELD_TEXT("reason", error.text));
        return false;
    }
    log_request_set(record->trace.request);
    bool has_changed;
    if (record->state == CONVERSION_UPLOADING) {
        step.row = abandon_silent_upload;
        has_changed = store(records, &step, record, "upload abandoned");
        fault_point("cleaner.after_abandon");
    } else if (record->state != CONVERSION_DELETING && record->expires_at_ms <= step.now_ms) {
        step.row = conversion_expire;
        has_changed = store(records, &step, record, "expired");
        fault_point("cleaner.after_expire");
    } else {
        has_changed = sweep(records, blobs, &step, record);
    }
    log_request_set(NULL);
    return has_changed;
}

static bool is_closing(struct cleaner *cleaner)
{
    pthread_mutex_lock(&cleaner->lock);
    bool is_closing = cleaner->is_closing;
    pthread_mutex_unlock(&cleaner->lock);
    return is_closing;
}

static enum look_verdict clean_one(void *context, struct conversion *record)
{
    struct cleaner *cleaner = context;
    if (is_closing(cleaner))
        return LOOK_STOP;
    /* A step that changes nothing leaves its record due: the look would find it for ever. */
    if (!take_step(cleaner->records, cleaner->blobs, &cleaner->policy, record))
        cleaner->idle_steps++;
    return cleaner->idle_steps < IDLE_STEPS_MAX ? LOOK_GO_ON : LOOK_STOP;
}

/* Row 17b where no notifier runs: a notice that nobody sends must not keep its record for ever. */
static bool give_up_notices(struct cleaner *cleaner, struct error *error)
{
    int64_t now_ms = 0;
    size_t count = 0;
    CLEANUP(free_records) struct conversion *due = calloc(NOTICES_MAX, sizeof *due);
    if (due == NULL)
        abort();
    if (!record_store_now(cleaner->records, &now_ms, error) ||
        !record_store_due(cleaner->records, CONVERSION_DUE_NOTIFY, now_ms, NOTICES_MAX, due, &count,
                          error))
        return false;
    for (size_t i = 0; i < count && !is_closing(cleaner); i++) {
        struct step step = {
            .policy = &cleaner->policy.conversion,
            .version = due[i].version,
            .now_ms = now_ms,
            .row = conversion_give_up_notice,
        };
        (void)store(cleaner->records, &step, &due[i], "notice given up");
    }
    return true;
}

static bool open_stores(struct cleaner *cleaner, struct error *error)
{
    if (cleaner->records == NULL && !record_store_open(cleaner->config, &cleaner->records, error))
        return false;
    return cleaner->blobs != NULL || blob_store_open(cleaner->config, &cleaner->blobs, error);
}

static void look(struct cleaner *cleaner)
{
    struct error error = {0};
    cleaner->idle_steps = 0;
    bool is_well =
        open_stores(cleaner, &error) &&
        records_look(cleaner->records, CONVERSION_DUE_CLEAN, clean_one, cleaner, &error) &&
        give_up_notices(cleaner, &error);
    if (!is_well && !cleaner->is_failing)
        log_warning("cannot look for what is to be cleaned: trying on",
                    FIELD_TEXT("reason", error.text));
    if (is_well && cleaner->is_failing)
        log_info("cleaning again");
    cleaner->is_failing = !is_well;
}

/* Several lookers that were started together must not go on looking together. */
static int64_t next_wait_ms(const struct cleaner *cleaner)
{
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    int64_t fifth_ms = cleaner->policy.look_interval_ms / 5;
    return cleaner->policy.look_interval_ms - fifth_ms + (int64_t)random % (2 * fifth_ms + 1);
}

/* False: it closes. */
static bool wait_for_look(struct cleaner *cleaner)
{
    struct timespec deadline = condition_deadline(next_wait_ms(cleaner));
    pthread_mutex_lock(&cleaner->lock);
    int outcome = 0;
    while (!cleaner->is_woken && !cleaner->is_closing && outcome == 0)
        outcome = pthread_cond_timedwait(&cleaner->changed, &cleaner->lock, &deadline);
    cleaner->is_woken = false;
    bool goes_on = !cleaner->is_closing;
    pthread_mutex_unlock(&cleaner->lock);
    return goes_on;
}

static void *cleaner_main(void *context)
{
    struct cleaner *cleaner = context;
    do
        look(cleaner);
    while (wait_for_look(cleaner));
    record_store_close(cleaner->records);
    blob_store_close(cleaner->blobs);
    return NULL;
}

bool cleaner_open(const struct config *config, const struct policy *policy,
                  struct cleaner **out_cleaner, struct error *error)
{
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    if (cleaner == NULL)
        abort();
    cleaner->config = config;
    cleaner->policy = *policy;
    pthread_mutex_init(&cleaner->lock, NULL);
    condition_init(&cleaner->changed);
    if (pthread_create(&cleaner->thread, NULL, cleaner_main, cleaner) != 0) {
        free(cleaner);
        return error_set(error, ERROR_UNAVAILABLE, "cannot start the cleaner's thread");
    }
    *out_cleaner = cleaner;
    return true;
}

void cleaner_wake(struct cleaner *cleaner)
{
    condition_raise(&cleaner->changed, &cleaner->lock, &cleaner->is_woken);
}

void cleaner_close(struct cleaner *cleaner)
{
    if (cleaner == NULL)
        return;
    condition_raise(&cleaner->changed, &cleaner->lock, &cleaner->is_closing);
    pthread_join(cleaner->thread, NULL);
    pthread_cond_destroy(&cleaner->changed);
    pthread_mutex_destroy(&cleaner->lock);
    free(cleaner);
}
