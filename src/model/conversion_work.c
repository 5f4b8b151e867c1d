/* Rows 6 to 12: from queued to done or failed. */

#include "model/conversion.h"

#include "base/clock.h"
#include "base/text.h"
#include "model/conversion_internal.h"

#define BACKOFF_FIRST_MS (2 * CLOCK_SECOND_MS)

static bool may_be_taken(const struct conversion *record, const struct conversion_policy *policy,
                         int64_t now_ms)
{
    return record->lost < CONVERSION_LOST_MAX && !conversion_is_too_old(record, policy, now_ms);
}

static void take(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                 struct id holder)
{
    next->state = CONVERSION_CONVERTING;
    next->claim++;
    next->holder = holder;
    next->progress = 0;
    conversion_set_due(next, CONVERSION_DUE_CONVERT, now_ms + policy->lease_ms);
}

bool conversion_claim(const struct conversion *record, const struct conversion_policy *policy,
                      int64_t now_ms, struct id holder, struct conversion *out_next)
{
    if (record->state != CONVERSION_QUEUED || !may_be_taken(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    take(&next, policy, now_ms, holder);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_take_over(const struct conversion *record, const struct conversion_policy *policy,
                          int64_t now_ms, struct id holder, struct conversion *out_next)
{
    if (record->state != CONVERSION_CONVERTING ||
        !conversion_is_due(record, CONVERSION_DUE_CONVERT, now_ms) ||
        !may_be_taken(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    take(&next, policy, now_ms, holder);
    next.lost++;
    return conversion_change(&next, now_ms, out_next);
}

static bool is_held_by(const struct conversion *record, const struct id *holder)
{
    return record->state == CONVERSION_CONVERTING && id_is_equal(&record->holder, holder);
}

bool conversion_renew(const struct conversion *record, const struct conversion_policy *policy,
                      int64_t now_ms, const struct id *holder, double progress,
                      struct conversion *out_next)
{
    if (!is_held_by(record, holder))
        return false;
    struct conversion next = *record;
    /* Written so that a NaN, which compares with nothing, shows no progress. */
    if (progress > next.progress)
        next.progress = progress < 1 ? progress : 1;
    conversion_set_due(&next, CONVERSION_DUE_CONVERT, now_ms + policy->lease_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_hand_back(const struct conversion *record, const struct conversion_policy *policy,
                          int64_t now_ms, const struct id *holder,
                          enum conversion_hand_back_reason reason, struct conversion *out_next)
{
    if (!is_held_by(record, holder))
        return false;
    if (reason == CONVERSION_INPUT_ACCUSED && record->attempts + 1 >= policy->attempts_max)
        return false;
    struct conversion next = *record;
    next.state = CONVERSION_QUEUED;
    next.progress = 0;
    if (reason == CONVERSION_INPUT_ACCUSED)
        next.attempts++;
    /* Every taking counts, so that a store that stays down is asked ever more rarely too. */
    int64_t wait_ms =
        reason == CONVERSION_STOPPING ? 0 : conversion_backoff_ms(BACKOFF_FIRST_MS, record->claim);
    conversion_set_due(&next, CONVERSION_DUE_CONVERT, now_ms + wait_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_succeed(const struct conversion *record, const struct conversion_policy *policy,
                        int64_t now_ms, const struct id *holder,
                        const struct conversion_result *result, struct conversion *out_next)
{
    if (!is_held_by(record, holder))
        return false;
    struct conversion next = *record;
    conversion_end(&next, policy, now_ms, CONVERSION_DONE);
    next.progress = 1;
    next.mp3.id = conversion_mp3_id(&record->id, record->claim);
    next.mp3.size_bytes = result->size_bytes;
    next.mp3.duration_seconds = result->duration_seconds;
    next.mp3.bitrate_kbps = result->bitrate_kbps;
    next.mp3.sample_rate_hz = result->sample_rate_hz;
    next.mp3.channels = result->channels;
    next.mp3.is_truncated = result->is_truncated;
    next.video.duration_seconds = result->video_duration_seconds;
    /* One lease for the message `mp3` to do its work. */
    conversion_wish_notice(&next, now_ms + policy->lease_ms);
    return conversion_change(&next, now_ms, out_next);
}

static void fail(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                 const struct failure *failure)
{
    conversion_end(next, policy, now_ms, CONVERSION_FAILED);
    text_copy(next->error.code, sizeof next->error.code, failure->code);
    text_copy(next->error.message, sizeof next->error.message, failure->sentence);
    /* No message says that something failed, so the notifier need not wait for one. */
    conversion_wish_notice(next, now_ms);
}

bool conversion_fail(const struct conversion *record, const struct conversion_policy *policy,
                     int64_t now_ms, const struct id *holder, const struct failure *failure,
                     struct conversion *out_next)
{
    if (!is_held_by(record, holder))
        return false;
    struct conversion next = *record;
    next.attempts++;
    fail(&next, policy, now_ms, failure);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_give_up(const struct conversion *record, const struct conversion_policy *policy,
                        int64_t now_ms, struct conversion *out_next)
{
    if (record->state != CONVERSION_QUEUED && record->state != CONVERSION_CONVERTING)
        return false;
    if (!conversion_is_due(record, CONVERSION_DUE_CONVERT, now_ms) ||
        may_be_taken(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    /* Nobody accused the input, so `attempts` stays as it is. */
    fail(&next, policy, now_ms,
         record->lost >= CONVERSION_LOST_MAX ? &FAILURE_INTERNAL : &FAILURE_TIMED_OUT);
    return conversion_change(&next, now_ms, out_next);
}
