#include "record_rows.h"

#include "base/clock.h"
#include "model/failure.h"
#include <stdlib.h>

#define LATER_MS (RECORD_BEGUN_MS + CLOCK_MINUTE_MS)         /* leases are over */
#define MUCH_LATER_MS (RECORD_BEGUN_MS + 400 * CLOCK_DAY_MS) /* everything is over */
#define SIZE_BYTES 1000

const struct conversion_policy record_policy = {
    .lease_ms = 30 * CLOCK_SECOND_MS,
    .grace_ms = CLOCK_HOUR_MS,
    .mail_timeout_ms = CLOCK_MINUTE_MS,
    .notice_age_max_ms = 2 * CLOCK_DAY_MS,
    .conversion_age_max_ms = 7 * CLOCK_DAY_MS,
    .mp3_retention_ms = 30 * CLOCK_DAY_MS,
    .video_retention_ms = CLOCK_DAY_MS,
    .upload_abandoned_ms = CLOCK_DAY_MS,
    .attempts_max = 3,
};

const struct id record_owner = {"0123456789abcdef01234567"};
static const struct id first_holder = {"aaaaaaaaaaaaaaaaaaaaaaaa"};
static const struct id other_holder = {"bbbbbbbbbbbbbbbbbbbbbbbb"};

static const struct conversion_result result = {
    .size_bytes = 500,
    .duration_seconds = 12.5,
    .bitrate_kbps = 128,
    .sample_rate_hz = 44100,
    .channels = 2,
};

static bool row_resume(const struct conversion *record, struct conversion *out_next)
{
    return conversion_resume_upload(record, &record_policy, LATER_MS, 0, other_holder, out_next);
}

static bool row_commit(const struct conversion *record, struct conversion *out_next)
{
    return conversion_commit_upload(record, &record_policy, LATER_MS, record->generation, 10,
                                    out_next);
}

static bool row_finish(const struct conversion *record, struct conversion *out_next)
{
    const struct conversion_arrival arrival = {
        .generation = record->generation,
        .size_bytes = SIZE_BYTES,
    };
    return conversion_finish_upload(record, &record_policy, LATER_MS, &arrival, out_next);
}

static bool row_claim(const struct conversion *record, struct conversion *out_next)
{
    return conversion_claim(record, &record_policy, LATER_MS, first_holder, out_next);
}

static bool row_take_over(const struct conversion *record, struct conversion *out_next)
{
    return conversion_take_over(record, &record_policy, LATER_MS + record_policy.lease_ms,
                                other_holder, out_next);
}

static bool row_renew(const struct conversion *record, struct conversion *out_next)
{
    return conversion_renew(record, &record_policy, LATER_MS, &first_holder, 0.5, out_next);
}

static bool row_hand_back(const struct conversion *record, struct conversion *out_next)
{
    return conversion_hand_back(record, &record_policy, LATER_MS, &first_holder,
                                CONVERSION_INPUT_ACCUSED, out_next);
}

static bool row_succeed(const struct conversion *record, struct conversion *out_next)
{
    return conversion_succeed(record, &record_policy, LATER_MS, &first_holder, &result, out_next);
}

static bool row_fail(const struct conversion *record, struct conversion *out_next)
{
    return conversion_fail(record, &record_policy, LATER_MS, &first_holder, &FAILURE_NO_AUDIO,
                           out_next);
}

static bool row_give_up(const struct conversion *record, struct conversion *out_next)
{
    return conversion_give_up(record, &record_policy, MUCH_LATER_MS, out_next);
}

static bool row_cancel(const struct conversion *record, struct conversion *out_next)
{
    return conversion_cancel(record, &record_policy, LATER_MS, out_next);
}

static bool row_claim_notice(const struct conversion *record, struct conversion *out_next)
{
    return conversion_claim_notice(record, &record_policy, LATER_MS, first_holder, out_next);
}

static bool row_take_over_notice(const struct conversion *record, struct conversion *out_next)
{
    return conversion_take_over_notice(record, &record_policy, LATER_MS + CLOCK_HOUR_MS,
                                       other_holder, out_next);
}

static bool row_settle(const struct conversion *record, struct conversion *out_next)
{
    return conversion_settle_notice(record, &record_policy, LATER_MS, &first_holder, NULL,
                                    out_next);
}

static bool row_postpone(const struct conversion *record, struct conversion *out_next)
{
    return conversion_postpone_notice(record, &record_policy, LATER_MS, &first_holder, "full",
                                      out_next);
}

static bool row_give_up_notice(const struct conversion *record, struct conversion *out_next)
{
    return conversion_give_up_notice(record, &record_policy, MUCH_LATER_MS, out_next);
}

static bool row_clean(const struct conversion *record, struct conversion *out_next)
{
    return conversion_clean(record, &record_policy, LATER_MS + CLOCK_DAY_MS, out_next);
}

static bool row_expire(const struct conversion *record, struct conversion *out_next)
{
    return conversion_expire(record, &record_policy, MUCH_LATER_MS, out_next);
}

static bool row_abandon(const struct conversion *record, struct conversion *out_next)
{
    return conversion_abandon_upload(record, &record_policy, MUCH_LATER_MS, true, out_next);
}

static bool row_delete(const struct conversion *record, struct conversion *out_next)
{
    return conversion_delete(record, &record_policy, LATER_MS, out_next);
}

static bool row_sweep(const struct conversion *record, struct conversion *out_next)
{
    return conversion_note_sweep(record, &record_policy, MUCH_LATER_MS, out_next);
}

static bool row_remove(const struct conversion *record, struct conversion *out_next)
{
    *out_next = *record;
    return conversion_is_removable(record, MUCH_LATER_MS + CLOCK_DAY_MS);
}

static bool row_postpone_clean(const struct conversion *record, struct conversion *out_next)
{
    return conversion_postpone_clean(record, MUCH_LATER_MS + CLOCK_DAY_MS, out_next);
}

const struct record_row record_rows[] = {
    {"2 resume", STAGE_UPLOADING, false, row_resume},
    {"3 commit", STAGE_UPLOADING, false, row_commit},
    {"4 finish", STAGE_UPLOADING, false, row_finish},
    {"6 claim", STAGE_QUEUED, false, row_claim},
    {"7 take over", STAGE_CONVERTING, false, row_take_over},
    {"8 renew", STAGE_CONVERTING, false, row_renew},
    {"9 hand back", STAGE_CONVERTING, false, row_hand_back},
    {"10 succeed", STAGE_CONVERTING, false, row_succeed},
    {"11 fail", STAGE_CONVERTING, false, row_fail},
    {"12 give up", STAGE_QUEUED, false, row_give_up},
    {"12 give up", STAGE_CONVERTING, false, row_give_up},
    {"13 cancel", STAGE_UPLOADING, false, row_cancel},
    {"13 cancel", STAGE_QUEUED, false, row_cancel},
    {"13 cancel", STAGE_CONVERTING, false, row_cancel},
    {"14 claim notice", STAGE_DONE, false, row_claim_notice},
    {"15 take over notice", STAGE_SENDING, false, row_take_over_notice},
    {"16 settle", STAGE_SENDING, false, row_settle},
    {"17 postpone", STAGE_SENDING, false, row_postpone},
    {"17b give up notice", STAGE_DONE, false, row_give_up_notice},
    {"17b give up notice", STAGE_SENDING, false, row_give_up_notice},
    {"18 clean", STAGE_SENT, false, row_clean},
    {"19 expire", STAGE_SENT, false, row_expire},
    {"20 abandon", STAGE_UPLOADING, false, row_abandon},
    {"21 delete", STAGE_UPLOADING, false, row_delete},
    {"21 delete", STAGE_CONVERTING, false, row_delete},
    {"21 delete", STAGE_SENDING, false, row_delete},
    {"21 delete", STAGE_SENT, false, row_delete},
    {"22 sweep", STAGE_DELETING, false, row_sweep},
    {"23 remove", STAGE_SWEPT, true, row_remove},
    {"24 postpone clean", STAGE_DELETING, false, row_postpone_clean},
    {"24 postpone clean", STAGE_SWEPT, false, row_postpone_clean},
};
const size_t record_row_count = ARRAY_COUNT(record_rows);

static struct conversion begin(void)
{
    const struct conversion_upload upload = {
        .id = id_make(),
        .owner_id = record_owner,
        .owner_email = "someone@example.org",
        .video_name = "tälk.mp4",
        .size_bytes = SIZE_BYTES,
        .holder = first_holder,
        .is_resumable = true,
    };
    struct conversion record;
    conversion_begin_upload(&record_policy, RECORD_BEGUN_MS, &upload, &record);
    return record;
}

struct conversion record_make(enum record_stage stage)
{
    static bool (*const steps[])(const struct conversion *, struct conversion *) = {
        [STAGE_QUEUED] = row_finish, [STAGE_CONVERTING] = row_claim,
        [STAGE_DONE] = row_succeed,  [STAGE_SENDING] = row_claim_notice,
        [STAGE_SENT] = row_settle,   [STAGE_DELETING] = row_delete,
        [STAGE_SWEPT] = row_sweep,
    };
    struct conversion record = begin();
    for (int next = STAGE_QUEUED; next <= (int)stage; next++)
        if (!steps[next](&record, &record))
            abort();
    return record;
}
