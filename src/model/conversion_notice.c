/* Rows 14 to 17b: telling the user that it ended. */

#include "model/conversion.h"

#include "base/clock.h"
#include "base/text.h"
#include "model/conversion_internal.h"
#include <string.h>

#define BACKOFF_FIRST_MS (2 * CLOCK_SECOND_MS)

static bool is_told_of(const struct conversion *record, enum conversion_notice state)
{
    return (record->state == CONVERSION_DONE || record->state == CONVERSION_FAILED) &&
           record->notice.state == state;
}

/* Tried too often, or too late to be of use; where nobody tried at all (every notifier was down),
 * twice as late. */
static bool is_hopeless(const struct conversion *record, const struct conversion_policy *policy,
                        int64_t now_ms)
{
    int64_t age_max_ms = policy->notice_age_max_ms * (record->notice.attempts > 0 ? 1 : 2);
    return record->notice.attempts >= CONVERSION_NOTICE_ATTEMPTS_MAX ||
           now_ms - record->ended_at_ms >= age_max_ms;
}

static bool take(const struct conversion *record, const struct conversion_policy *policy,
                 int64_t now_ms, struct id holder, struct conversion *out_next)
{
    if (is_hopeless(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    next.notice.state = CONVERSION_NOTICE_SENDING;
    next.notice.attempts++;
    next.holder = holder;
    /* The whole dialogue fits into it, so nobody else begins one beside it. */
    conversion_set_due(&next, CONVERSION_DUE_NOTIFY,
                       now_ms + policy->mail_timeout_ms + policy->lease_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_claim_notice(const struct conversion *record,
                             const struct conversion_policy *policy, int64_t now_ms,
                             struct id holder, struct conversion *out_next)
{
    return is_told_of(record, CONVERSION_NOTICE_PENDING) &&
           take(record, policy, now_ms, holder, out_next);
}

bool conversion_take_over_notice(const struct conversion *record,
                                 const struct conversion_policy *policy, int64_t now_ms,
                                 struct id holder, struct conversion *out_next)
{
    return is_told_of(record, CONVERSION_NOTICE_SENDING) &&
           conversion_is_due(record, CONVERSION_DUE_NOTIFY, now_ms) &&
           take(record, policy, now_ms, holder, out_next);
}

static bool is_held_by(const struct conversion *record, const struct id *holder)
{
    return is_told_of(record, CONVERSION_NOTICE_SENDING) && id_is_equal(&record->holder, holder);
}

static void settle(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                   enum conversion_notice state)
{
    next->notice.state = state;
    conversion_set_due(next, CONVERSION_DUE_CLEAN, now_ms + policy->lease_ms);
}

bool conversion_settle_notice(const struct conversion *record,
                              const struct conversion_policy *policy, int64_t now_ms,
                              const struct id *holder, const char *reason,
                              struct conversion *out_next)
{
    if (!is_held_by(record, holder))
        return false;
    struct conversion next = *record;
    settle(&next, policy, now_ms,
           reason == NULL ? CONVERSION_NOTICE_SENT : CONVERSION_NOTICE_FAILED);
    memset(next.notice.error, 0, sizeof next.notice.error);
    if (reason != NULL)
        text_copy(next.notice.error, sizeof next.notice.error, reason);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_postpone_notice(const struct conversion *record,
                                const struct conversion_policy *policy, int64_t now_ms,
                                const struct id *holder, const char *reason,
                                struct conversion *out_next)
{
    if (!is_held_by(record, holder) || is_hopeless(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    next.notice.state = CONVERSION_NOTICE_PENDING;
    memset(next.notice.error, 0, sizeof next.notice.error);
    text_copy(next.notice.error, sizeof next.notice.error, reason);
    conversion_set_due(&next, CONVERSION_DUE_NOTIFY,
                       now_ms + conversion_backoff_ms(BACKOFF_FIRST_MS, record->notice.attempts));
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_give_up_notice(const struct conversion *record,
                               const struct conversion_policy *policy, int64_t now_ms,
                               struct conversion *out_next)
{
    if (!is_told_of(record, CONVERSION_NOTICE_PENDING) &&
        !is_told_of(record, CONVERSION_NOTICE_SENDING))
        return false;
    if (!conversion_is_due(record, CONVERSION_DUE_NOTIFY, now_ms) ||
        !is_hopeless(record, policy, now_ms))
        return false;
    struct conversion next = *record;
    settle(&next, policy, now_ms, CONVERSION_NOTICE_FAILED);
    if (next.notice.error[0] == '\0')
        text_copy(next.notice.error, sizeof next.notice.error,
                  record->notice.attempts > 0 ? "the mail server gave no answer in time"
                                              : "no notifier was running in time");
    return conversion_change(&next, now_ms, out_next);
}
