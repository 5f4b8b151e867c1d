#include "model/conversion.h"

#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

static void a_queued_record_can_be_claimed_before_it_is_due(void **state)
{
    (void)state;
    struct conversion record = queued();
    struct conversion next;
    assert_true(conversion_claim(&record, &policy, NOW_MS + 1, mine, &next));
    assert_int_equal(next.state, CONVERSION_CONVERTING);
    assert_int_equal(next.claim, 1);
    assert_int_equal(next.lost, 0);
    assert_string_equal(next.holder.text, mine.text);
    assert_int_equal(next.due_for, CONVERSION_DUE_CONVERT);
    assert_int_equal(next.due_at_ms, NOW_MS + 1 + policy.lease_ms);
    assert_int_equal(next.changed_at_ms, NOW_MS + 1);
}

static void a_holder_that_vanished_is_replaced_once_its_lease_is_over(void **state)
{
    (void)state;
    struct conversion record = converting();
    struct conversion next;
    assert_false(conversion_take_over(&record, &policy, record.due_at_ms - 1, other, &next));
    assert_true(conversion_take_over(&record, &policy, record.due_at_ms, other, &next));
    assert_int_equal(next.state, CONVERSION_CONVERTING);
    assert_int_equal(next.claim, 2);
    assert_int_equal(next.lost, 1);
    assert_string_equal(next.holder.text, other.text);
    assert_true(next.progress == 0);
    assert_int_equal(next.due_at_ms, record.due_at_ms + policy.lease_ms);
}

/* Of a record that is due for convert, exactly one of the three rows is possible. */
static void a_due_record_has_exactly_one_way_on(void **state)
{
    (void)state;
    const int64_t ages_ms[] = {0, 40000, policy.conversion_age_max_ms - 1,
                               policy.conversion_age_max_ms, policy.conversion_age_max_ms * 2};
    const int64_t lost[] = {0, CONVERSION_LOST_MAX - 1, CONVERSION_LOST_MAX};
    for (size_t age = 0; age < ARRAY_COUNT(ages_ms); age++) {
        for (size_t i = 0; i < ARRAY_COUNT(lost); i++) {
            for (int is_converting = 0; is_converting < 2; is_converting++) {
                struct conversion record = is_converting ? converting() : queued();
                struct conversion next;
                int64_t now_ms = NOW_MS + ages_ms[age];
                record.due_at_ms = now_ms;
                record.lost = lost[i];
                int ways = conversion_claim(&record, &policy, now_ms, other, &next);
                ways += conversion_take_over(&record, &policy, now_ms, other, &next);
                ways += conversion_give_up(&record, &policy, now_ms, &next);
                assert_int_equal(ways, 1);
            }
        }
    }
}

static void giving_up_says_why_and_accuses_nobody(void **state)
{
    (void)state;
    struct conversion record = converting();
    struct conversion next;
    record.lost = CONVERSION_LOST_MAX;
    assert_false(conversion_give_up(&record, &policy, record.due_at_ms - 1, &next));
    assert_true(conversion_give_up(&record, &policy, record.due_at_ms, &next));
    assert_int_equal(next.state, CONVERSION_FAILED);
    assert_string_equal(next.error.code, "internal");
    assert_int_equal(next.attempts, 0);
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_PENDING);
    assert_int_equal(next.due_at_ms, record.due_at_ms);
    record = queued();
    int64_t old_at_ms = NOW_MS + policy.conversion_age_max_ms;
    assert_true(conversion_give_up(&record, &policy, old_at_ms, &next));
    assert_string_equal(next.error.code, "timed_out");
    assert_int_equal(next.expires_at_ms, old_at_ms + policy.mp3_retention_ms);
}

static void renewing_moves_the_lease_and_progress_only_forward(void **state)
{
    (void)state;
    struct conversion record = converting();
    const struct {
        double told, shown;
    } cases[] = {{0.5, 0.5}, {0.1, 0.25}, {2, 1}, {-1, 0.25}, {NAN, 0.25}, {INFINITY, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conversion next;
        assert_true(conversion_renew(&record, &policy, NOW_MS + 100, &mine, cases[i].told, &next));
        assert_true(next.progress == cases[i].shown);
        assert_int_equal(next.due_at_ms, NOW_MS + 100 + policy.lease_ms);
        assert_int_equal(next.claim, record.claim);
    }
}

static void handing_back_waits_unless_the_service_stops(void **state)
{
    (void)state;
    struct conversion record = converting();
    record.claim = 3;
    struct conversion next;
    assert_true(conversion_hand_back(&record, &policy, NOW_MS, &mine, CONVERSION_STOPPING, &next));
    assert_int_equal(next.state, CONVERSION_QUEUED);
    assert_int_equal(next.due_for, CONVERSION_DUE_CONVERT);
    assert_int_equal(next.due_at_ms, NOW_MS);
    assert_int_equal(next.attempts, 0);
    assert_int_equal(next.claim, 3);
    assert_true(
        conversion_hand_back(&record, &policy, NOW_MS, &mine, CONVERSION_STORE_DOWN, &next));
    assert_int_equal(next.due_at_ms, NOW_MS + 8000);
    assert_int_equal(next.attempts, 0);
    record.claim = 500;
    assert_true(
        conversion_hand_back(&record, &policy, NOW_MS, &mine, CONVERSION_STORE_DOWN, &next));
    assert_int_equal(next.due_at_ms, NOW_MS + 3600000);
}

static void an_input_is_accused_as_often_as_allowed(void **state)
{
    (void)state;
    struct conversion record = converting();
    for (int64_t attempts = 1; attempts < policy.attempts_max; attempts++) {
        assert_true(conversion_hand_back(&record, &policy, NOW_MS, &mine, CONVERSION_INPUT_ACCUSED,
                                         &record));
        assert_int_equal(record.attempts, attempts);
        assert_true(conversion_claim(&record, &policy, NOW_MS, mine, &record));
    }
    struct conversion next;
    assert_false(
        conversion_hand_back(&record, &policy, NOW_MS, &mine, CONVERSION_INPUT_ACCUSED, &next));
    assert_true(conversion_fail(&record, &policy, NOW_MS, &mine, &FAILURE_DAMAGED, &next));
    assert_int_equal(next.attempts, policy.attempts_max);
}

static const struct conversion_result result = {
    .size_bytes = 4000,
    .duration_seconds = 1.5,
    .video_duration_seconds = 1.6,
    .bitrate_kbps = 128,
    .sample_rate_hz = 44100,
    .channels = 2,
    .is_truncated = true,
};

static void success_publishes_the_mp3_of_this_claim(void **state)
{
    (void)state;
    struct conversion record = converting();
    record.claim = 2;
    struct conversion next;
    struct id expected = conversion_mp3_id(&video_id, 2);
    assert_true(conversion_succeed(&record, &policy, NOW_MS + 8, &mine, &result, &next));
    assert_int_equal(next.state, CONVERSION_DONE);
    assert_string_equal(next.mp3.id.text, expected.text);
    assert_int_equal(next.mp3.size_bytes, 4000);
    assert_true(next.mp3.duration_seconds == 1.5);
    assert_true(next.video.duration_seconds == 1.6);
    assert_int_equal(next.mp3.bitrate_kbps, 128);
    assert_int_equal(next.mp3.sample_rate_hz, 44100);
    assert_int_equal(next.mp3.channels, 2);
    assert_true(next.mp3.is_truncated);
    assert_true(next.progress == 1);
    assert_int_equal(next.ended_at_ms, NOW_MS + 8);
    assert_int_equal(next.expires_at_ms, NOW_MS + 8 + policy.mp3_retention_ms);
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_PENDING);
    assert_int_equal(next.due_for, CONVERSION_DUE_NOTIFY);
    assert_int_equal(next.due_at_ms, NOW_MS + 8 + policy.lease_ms);
}

static void failure_is_told_at_once(void **state)
{
    (void)state;
    struct conversion record = converting();
    struct conversion next;
    assert_true(conversion_fail(&record, &policy, NOW_MS + 8, &mine, &FAILURE_NO_AUDIO, &next));
    assert_int_equal(next.state, CONVERSION_FAILED);
    assert_string_equal(next.error.code, "no_audio");
    assert_string_equal(next.error.message, FAILURE_NO_AUDIO.sentence);
    assert_int_equal(next.attempts, 1);
    assert_true(id_is_none(&next.mp3.id));
    assert_int_equal(next.due_for, CONVERSION_DUE_NOTIFY);
    assert_int_equal(next.due_at_ms, NOW_MS + 8);
}

static void who_wants_no_mail_gets_none(void **state)
{
    (void)state;
    struct conversion record = converting();
    record.options.notify = CONVERSION_NOTIFY_NONE;
    struct conversion next;
    assert_true(conversion_succeed(&record, &policy, NOW_MS, &mine, &result, &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_NONE);
    assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
    assert_int_equal(next.due_at_ms, NOW_MS + policy.lease_ms);
    assert_true(conversion_fail(&record, &policy, NOW_MS, &mine, &FAILURE_DAMAGED, &next));
    assert_int_equal(next.notice.state, CONVERSION_NOTICE_NONE);
    assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
}

static int ways_of_a_holder(const struct conversion *record, const struct id *holder)
{
    struct conversion next;
    int ways = conversion_renew(record, &policy, NOW_MS, holder, 0.5, &next);
    for (int reason = CONVERSION_STOPPING; reason <= CONVERSION_INPUT_ACCUSED; reason++)
        ways += conversion_hand_back(record, &policy, NOW_MS, holder,
                                     (enum conversion_hand_back_reason)reason, &next);
    ways += conversion_succeed(record, &policy, NOW_MS, holder, &result, &next);
    ways += conversion_fail(record, &policy, NOW_MS, holder, &FAILURE_DAMAGED, &next);
    return ways;
}

static void only_the_holder_of_what_is_converting_may_go_on(void **state)
{
    (void)state;
    struct conversion record = converting();
    assert_int_equal(ways_of_a_holder(&record, &mine), 6);
    assert_int_equal(ways_of_a_holder(&record, &other), 0);
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        record = in_state((enum conversion_state)i);
        record.holder = mine;
        if (i != CONVERSION_CONVERTING)
            assert_int_equal(ways_of_a_holder(&record, &mine), 0);
    }
}

static void only_queued_or_converting_records_are_taken_or_given_up(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        record.due_for = CONVERSION_DUE_CONVERT;
        record.due_at_ms = 0;
        struct conversion next;
        assert_int_equal(conversion_claim(&record, &policy, NOW_MS, other, &next),
                         i == CONVERSION_QUEUED);
        assert_int_equal(conversion_take_over(&record, &policy, NOW_MS, other, &next),
                         i == CONVERSION_CONVERTING);
        record.lost = CONVERSION_LOST_MAX;
        assert_int_equal(conversion_give_up(&record, &policy, NOW_MS, &next),
                         i == CONVERSION_QUEUED || i == CONVERSION_CONVERTING);
    }
}

static void a_refusal_leaves_the_result_alone(void **state)
{
    (void)state;
    struct conversion record = queued();
    struct conversion next, before;
    memset(&next, 0x5a, sizeof next);
    memset(&before, 0x5a, sizeof before);
    assert_false(conversion_renew(&record, &policy, NOW_MS, &mine, 0.5, &next));
    assert_memory_equal(&next, &before, sizeof next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queued_record_can_be_claimed_before_it_is_due),
        cmocka_unit_test(a_holder_that_vanished_is_replaced_once_its_lease_is_over),
        cmocka_unit_test(a_due_record_has_exactly_one_way_on),
        cmocka_unit_test(giving_up_says_why_and_accuses_nobody),
        cmocka_unit_test(renewing_moves_the_lease_and_progress_only_forward),
        cmocka_unit_test(handing_back_waits_unless_the_service_stops),
        cmocka_unit_test(an_input_is_accused_as_often_as_allowed),
        cmocka_unit_test(success_publishes_the_mp3_of_this_claim),
        cmocka_unit_test(failure_is_told_at_once),
        cmocka_unit_test(who_wants_no_mail_gets_none),
        cmocka_unit_test(only_the_holder_of_what_is_converting_may_go_on),
        cmocka_unit_test(only_queued_or_converting_records_are_taken_or_given_up),
        cmocka_unit_test(a_refusal_leaves_the_result_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
