#include "services/notifier/notice.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include <limits.h>

struct notice {
    const struct notice_tools *tools;
    struct id holder;
    int64_t end_boot_ms; /* of the dialogue; one lease before somebody else may begin one */
    bool is_sent;
    bool is_temporary;  /* what is wrong may pass */
    bool is_postponed;  /* what was decided last */
    const char *reason; /* the mail server's words, where it was not sent */
};

static bool decide_end(void *context, const struct conversion *record, int64_t now_ms,
                       struct conversion *out_next)
{
    struct notice *notice = context;
    const struct conversion_policy *policy = &notice->tools->policy->conversion;
    notice->is_postponed =
        notice->is_temporary && conversion_postpone_notice(record, policy, now_ms, &notice->holder,
                                                           notice->reason, out_next);
    return notice->is_postponed || conversion_settle_notice(record, policy, now_ms, &notice->holder,
                                                            notice->reason, out_next);
}

static enum notice_outcome write_down(struct notice *notice, struct conversion *record)
{
    switch (consumer_settle(notice->tools->consumer, record, decide_end, notice)) {
    case RECORD_WRITTEN:
        fault_point("notifier.after_settle");
        break;
    case RECORD_REFUSED:
    case RECORD_ABSENT:
        return NOTICE_LOST;
    case RECORD_UNKNOWN:
        return NOTICE_UNSETTLED;
    }
    if (notice->is_sent)
        return NOTICE_SENT;
    return notice->is_postponed ? NOTICE_POSTPONED : NOTICE_FAILED;
}

/* Right before the mail is handed over. Who stood still for so long that another may have begun
 * does not send; boot time tells, since it counts while a machine sleeps. */
static bool may_send(void *context)
{
    const struct notice *notice = context;
    return clock_boot_ms() < notice->end_boot_ms;
}

static bool send(struct notice *notice, const struct conversion *record, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(MAIL_SIZE_MAX);
    if (!mail_compose(notice->tools->identity, record, clock_wall_ms(), &bytes, error))
        return error_prefix(error, "mail not written");
    char key[MAIL_KEY_SIZE];
    mail_key(record, key);
    const struct mail mail = {
        .from = notice->tools->identity->from.address,
        .to = record->owner.email,
        .key = key,
        .bytes = buffer_text(&bytes),
        .size = bytes.size,
    };
    int64_t left_ms = notice->end_boot_ms - clock_boot_ms();
    if (left_ms <= 0)
        return error_set(error, ERROR_UNAVAILABLE, "no time was left to send it");
    return mail_sender_send(notice->tools->sender, &mail,
                            left_ms < INT_MAX ? (int)left_ms : INT_MAX, may_send, notice, error);
}

static const char *const outcome_names[] = {
    [NOTICE_SENT] = "sent", [NOTICE_FAILED] = "failed",       [NOTICE_POSTPONED] = "postponed",
    [NOTICE_LOST] = "lost", [NOTICE_UNSETTLED] = "unsettled",
};

const char *notice_outcome_name(enum notice_outcome outcome)
{
    return outcome_names[outcome];
}

static void log_end(const struct conversion *record, enum notice_outcome outcome,
                    const struct notice *notice)
{
    static const struct {
        enum log_level level;
        const char *event;
    } lines[] = {
        [NOTICE_SENT] = {LOG_LEVEL_INFO, "mail sent"},
        [NOTICE_FAILED] = {LOG_LEVEL_ERROR, "mail not sent, for good"},
        [NOTICE_POSTPONED] = {LOG_LEVEL_WARNING, "mail not sent yet: trying again later"},
        [NOTICE_LOST] = {LOG_LEVEL_INFO, "the notice is not ours any more"},
        [NOTICE_UNSETTLED] = {LOG_LEVEL_WARNING, "the notice is left to its lease"},
    };
    const struct log_field fields[] = {
        FIELD_TEXT("conversion", record->id.text),
        FIELD_TEXT("state", conversion_state_name(record->state)),
        FIELD_COUNT("attempts", record->notice.attempts),
        FIELD_TEXT("reason", notice->reason),
    };
    log_write(lines[outcome].level, lines[outcome].event, fields, ARRAY_COUNT(fields));
}

enum notice_outcome notice_run(const struct notice_tools *tools, struct conversion *record)
{
    struct notice notice = {
        .tools = tools,
        .holder = record->holder,
        .end_boot_ms =
            consumer_claimed_boot_ms(tools->consumer) + tools->policy->conversion.mail_timeout_ms,
    };
    struct error error = {0};
    notice.is_sent = send(&notice, record, &error);
    if (notice.is_sent) {
        fault_point("notifier.after_send");
    } else {
        notice.is_temporary = error.kind != ERROR_BAD_INPUT;
        notice.reason = error.text;
    }
    enum notice_outcome outcome = write_down(&notice, record);
    log_end(record, outcome, &notice);
    return outcome;
}
