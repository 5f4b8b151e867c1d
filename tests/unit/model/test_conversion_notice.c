#include "model/conversion.h"

#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <string.h>

static struct conversion pending(void)
{
    return ended(CONVERSION_DONE, CONVERSION_NOTICE_PENDING);
}

static struct conversion sending(void)
{
    struct conversion record = ended(CONVERSION_FAILED, CONVERSION_NOTICE_SENDING);
    record.holder = mine;
    return record;
}

static void claiming_leaves_time_for_the_whole_dialogue(void **state)
{
    (void)state;
    struct conversion record = pending();
    record.due_at_ms = NOW_MS + policy.lease_ms; /* a message came first */
    struct conversion next;
    assert_true(conversion_claim_notice(&record, &policy, NOW_MS + 2, mine, &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_SENDING);
    assert_int_equal(next.notice.attempts, 1);
    assert_string_equal(next.holder.text, mine.text);
    assert_int_equal(next.due_for, CONVERSION_DUE_NOTIFY);
    assert_int_equal(next.due_at_ms, NOW_MS + 2 + policy.mail_timeout_ms + policy.lease_ms);
    assert_int_equal(next.changed_at_ms, NOW_MS + 2);
}

static void a_notifier_that_vanished_is_replaced_once_it_is_due(void **state)
{
    (void)state;
    struct conversion record = sending();
    struct conversion next;
    assert_false(conversion_take_over_notice(&record, &policy, record.due_at_ms - 1, other, &next));
    assert_true(conversion_take_over_notice(&record, &policy, record.due_at_ms, other, &next));
    assert_int_equal(next.notice.attempts, 2);
    assert_string_equal(next.holder.text, other.text);
}

static void a_due_notice_has_exactly_one_way_on(void **state)
{
    (void)state;
    const int64_t ages_ms[] = {0, policy.notice_age_max_ms - 1, policy.notice_age_max_ms,
                               2 * policy.notice_age_max_ms - 1, 2 * policy.notice_age_max_ms};
    const int64_t attempts[] = {0, 1, CONVERSION_NOTICE_ATTEMPTS_MAX - 1,
                                CONVERSION_NOTICE_ATTEMPTS_MAX};
    for (size_t age = 0; age < ARRAY_COUNT(ages_ms); age++) {
        for (size_t i = 0; i < ARRAY_COUNT(attempts); i++) {
            for (int is_sending = 0; is_sending < 2; is_sending++) {
                struct conversion record = is_sending ? sending() : pending();
                record.notice.attempts = attempts[i];
                int64_t now_ms = NOW_MS + ages_ms[age];
                struct conversion next;
                int ways = conversion_claim_notice(&record, &policy, now_ms, other, &next);
                ways += conversion_take_over_notice(&record, &policy, now_ms, other, &next);
                ways += conversion_give_up_notice(&record, &policy, now_ms, &next);
                assert_int_equal(ways, 1);
            }
        }
    }
}

static void a_notice_is_given_up_when_old_or_tried_too_often(void **state)
{
    (void)state;
    const struct {
        int64_t attempts, age_ms;
        bool is_given_up;
    } cases[] = {
        {CONVERSION_NOTICE_ATTEMPTS_MAX, 0, true}, {CONVERSION_NOTICE_ATTEMPTS_MAX - 1, 0, false},
        {1, policy.notice_age_max_ms, true},       {1, policy.notice_age_max_ms - 1, false},
        {0, policy.notice_age_max_ms, false},      {0, 2 * policy.notice_age_max_ms, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conversion record = pending();
        record.notice.attempts = cases[i].attempts;
        int64_t now_ms = NOW_MS + cases[i].age_ms;
        struct conversion next;
        assert_int_equal(conversion_give_up_notice(&record, &policy, now_ms, &next),
                         cases[i].is_given_up);
        record.due_at_ms = now_ms + 1;
        assert_false(conversion_give_up_notice(&record, &policy, now_ms, &next));
    }
}

static void giving_up_keeps_the_servers_last_words(void **state)
{
    (void)state;
    struct conversion record = pending();
    record.notice.attempts = CONVERSION_NOTICE_ATTEMPTS_MAX;
    struct conversion next;
    assert_true(conversion_give_up_notice(&record, &policy, NOW_MS, &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_FAILED);
    assert_true(next.notice.error[0] != '\0');
    assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
    assert_int_equal(next.due_at_ms, NOW_MS + policy.lease_ms);
    memcpy(record.notice.error, "451 later", 10);
    assert_true(conversion_give_up_notice(&record, &policy, NOW_MS, &next));
    assert_string_equal(next.notice.error, "451 later");
}

static void the_servers_answer_settles_it(void **state)
{
    (void)state;
    struct conversion record = sending();
    memcpy(record.notice.error, "451 later", 10);
    struct conversion next;
    assert_true(conversion_settle_notice(&record, &policy, NOW_MS, &mine, NULL, &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_SENT);
    assert_string_equal(next.notice.error, "");
    assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
    assert_int_equal(next.due_at_ms, NOW_MS + policy.lease_ms);
    assert_true(conversion_settle_notice(&record, &policy, NOW_MS, &mine, "550 no", &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_FAILED);
    assert_string_equal(next.notice.error, "550 no");
}

static void a_temporary_refusal_waits_ever_longer(void **state)
{
    (void)state;
    const struct {
        int64_t attempts, wait_ms;
    } cases[] = {{1, 2000}, {2, 4000}, {3, 8000}, {12, 3600000}, {19, 3600000}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conversion record = sending();
        record.notice.attempts = cases[i].attempts;
        struct conversion next;
        assert_true(
            conversion_postpone_notice(&record, &policy, NOW_MS, &mine, "451 later", &next));
        assert_int_equal(next.notice.state, CONVERSION_NOTICE_PENDING);
        assert_string_equal(next.notice.error, "451 later");
        assert_int_equal(next.due_for, CONVERSION_DUE_NOTIFY);
        assert_int_equal(next.due_at_ms, NOW_MS + cases[i].wait_ms);
    }
}

static void the_last_refusal_is_not_postponed(void **state)
{
    (void)state;
    struct conversion record = sending();
    int64_t old_at_ms = NOW_MS + policy.notice_age_max_ms;
    struct conversion next;
    assert_true(
        conversion_postpone_notice(&record, &policy, old_at_ms - 1, &mine, "451 later", &next));
    assert_false(
        conversion_postpone_notice(&record, &policy, old_at_ms, &mine, "451 later", &next));
    record.notice.attempts = CONVERSION_NOTICE_ATTEMPTS_MAX;
    assert_false(conversion_postpone_notice(&record, &policy, NOW_MS, &mine, "451 later", &next));
    assert_true(conversion_settle_notice(&record, &policy, old_at_ms, &mine, "451 later", &next));
}

static void only_the_holder_speaks_for_the_mail_server(void **state)
{
    (void)state;
    struct conversion record = sending();
    struct conversion next;
    assert_false(conversion_settle_notice(&record, &policy, NOW_MS, &other, NULL, &next));
    assert_false(conversion_postpone_notice(&record, &policy, NOW_MS, &other, "451", &next));
    record.notice.state = CONVERSION_NOTICE_PENDING;
    assert_false(conversion_settle_notice(&record, &policy, NOW_MS, &mine, NULL, &next));
    assert_false(conversion_postpone_notice(&record, &policy, NOW_MS, &mine, "451", &next));
}

/* Row by row: what each state of the notice allows, in each state of the record. */
static void what_is_not_done_or_failed_tells_nobody(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        for (int notice = CONVERSION_NOTICE_NONE; notice <= CONVERSION_NOTICE_FAILED; notice++) {
            struct conversion record = in_state((enum conversion_state)i);
            record.notice.state = (enum conversion_notice)notice;
            record.due_for = CONVERSION_DUE_NOTIFY;
            record.due_at_ms = 0;
            record.ended_at_ms = NOW_MS;
            record.holder = mine;
            bool has_end = i == CONVERSION_DONE || i == CONVERSION_FAILED;
            bool is_pending = has_end && notice == CONVERSION_NOTICE_PENDING;
            bool is_sending = has_end && notice == CONVERSION_NOTICE_SENDING;
            struct conversion next;
            assert_int_equal(conversion_claim_notice(&record, &policy, NOW_MS, other, &next),
                             is_pending);
            assert_int_equal(conversion_take_over_notice(&record, &policy, NOW_MS, other, &next),
                             is_sending);
            assert_int_equal(conversion_settle_notice(&record, &policy, NOW_MS, &mine, NULL, &next),
                             is_sending);
            assert_int_equal(
                conversion_postpone_notice(&record, &policy, NOW_MS, &mine, "451", &next),
                is_sending);
            record.notice.attempts = CONVERSION_NOTICE_ATTEMPTS_MAX;
            assert_int_equal(conversion_give_up_notice(&record, &policy, NOW_MS, &next),
                             is_pending || is_sending);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claiming_leaves_time_for_the_whole_dialogue),
        cmocka_unit_test(a_notifier_that_vanished_is_replaced_once_it_is_due),
        cmocka_unit_test(a_due_notice_has_exactly_one_way_on),
        cmocka_unit_test(a_notice_is_given_up_when_old_or_tried_too_often),
        cmocka_unit_test(giving_up_keeps_the_servers_last_words),
        cmocka_unit_test(the_servers_answer_settles_it),
        cmocka_unit_test(a_temporary_refusal_waits_ever_longer),
        cmocka_unit_test(the_last_refusal_is_not_postponed),
        cmocka_unit_test(only_the_holder_speaks_for_the_mail_server),
        cmocka_unit_test(what_is_not_done_or_failed_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
