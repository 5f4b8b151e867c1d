/* Rows 18, 19 and 22 to 24: what is removed, and when. Only ended records are swept, and an ended
 * record never returns; so a sweep that was planned can be carried out however late. */

#include "model/conversion.h"

#include "base/clock.h"
#include "model/conversion_internal.h"

#define BACKOFF_FIRST_MS CLOCK_MINUTE_MS

static bool is_video_over(const struct conversion *record, const struct conversion_policy *policy,
                          int64_t now_ms)
{
    return record->state == CONVERSION_CANCELLED ||
           record->ended_at_ms + policy->video_retention_ms <= now_ms;
}

/* Done, failed or cancelled, told of, and due. */
static bool is_for_cleaner(const struct conversion *record, int64_t now_ms)
{
    return conversion_has_ended(record) && record->state != CONVERSION_DELETING &&
           record->notice.state != CONVERSION_NOTICE_PENDING &&
           record->notice.state != CONVERSION_NOTICE_SENDING &&
           conversion_is_due(record, CONVERSION_DUE_CLEAN, now_ms);
}

struct conversion_sweep conversion_plan_clean(const struct conversion *record,
                                              const struct conversion_policy *policy,
                                              int64_t now_ms)
{
    struct conversion_sweep sweep = {0};
    if (!conversion_has_ended(record))
        return sweep;
    sweep.claims = record->claim;
    if (record->state == CONVERSION_DELETING) {
        sweep.removes_video = record->foreign == CONVERSION_OWN;
        if (record->foreign == CONVERSION_FOREIGN_MP3)
            sweep.kept_mp3 = record->mp3.id;
        return sweep;
    }
    sweep.kept_mp3 = record->mp3.id;
    sweep.removes_video = record->foreign == CONVERSION_OWN && !record->video.is_removed &&
                          is_video_over(record, policy, now_ms);
    return sweep;
}

bool conversion_clean(const struct conversion *record, const struct conversion_policy *policy,
                      int64_t now_ms, struct conversion *out_next)
{
    /* What has expired is row 19's: nothing would be gained by sweeping it twice. */
    if (!is_for_cleaner(record, now_ms) || record->expires_at_ms <= now_ms)
        return false;
    struct conversion next = *record;
    if (conversion_plan_clean(record, policy, now_ms).removes_video)
        next.video.is_removed = true;
    int64_t due_at_ms = record->expires_at_ms;
    int64_t video_over_at_ms = record->ended_at_ms + policy->video_retention_ms;
    if (next.foreign == CONVERSION_OWN && !next.video.is_removed && video_over_at_ms < due_at_ms)
        due_at_ms = video_over_at_ms;
    next.clean_failures = 0;
    conversion_set_due(&next, CONVERSION_DUE_CLEAN, due_at_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_expire(const struct conversion *record, const struct conversion_policy *policy,
                       int64_t now_ms, struct conversion *out_next)
{
    if (!is_for_cleaner(record, now_ms) || record->expires_at_ms > now_ms)
        return false;
    struct conversion next = *record;
    /* A download that has just begun may end. */
    conversion_start_deleting(&next, now_ms + policy->grace_ms);
    return conversion_change(&next, now_ms, out_next);
}

static bool is_due_for_sweep(const struct conversion *record, int64_t now_ms)
{
    return record->state == CONVERSION_DELETING &&
           conversion_is_due(record, CONVERSION_DUE_CLEAN, now_ms);
}

bool conversion_note_sweep(const struct conversion *record, const struct conversion_policy *policy,
                           int64_t now_ms, struct conversion *out_next)
{
    if (!is_due_for_sweep(record, now_ms) || record->sweeps != 0)
        return false;
    struct conversion next = *record;
    next.sweeps = 1;
    next.clean_failures = 0;
    /* By then a writer that had not heard of the end has: the second sweep finds what it left. */
    conversion_set_due(&next, CONVERSION_DUE_CLEAN, now_ms + policy->grace_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_is_removable(const struct conversion *record, int64_t now_ms)
{
    return is_due_for_sweep(record, now_ms) && record->sweeps > 0;
}

bool conversion_postpone_clean(const struct conversion *record, int64_t now_ms,
                               struct conversion *out_next)
{
    if (!conversion_has_ended(record) || !conversion_is_due(record, CONVERSION_DUE_CLEAN, now_ms))
        return false;
    struct conversion next = *record;
    next.clean_failures++;
    conversion_set_due(&next, CONVERSION_DUE_CLEAN,
                       now_ms + conversion_backoff_ms(BACKOFF_FIRST_MS, next.clean_failures));
    return conversion_change(&next, now_ms, out_next);
}
