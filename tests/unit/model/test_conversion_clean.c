#include "model/conversion.h"

#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <string.h>

static void only_what_has_ended_is_swept(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        record.claim = 2;
        struct conversion_sweep sweep =
            conversion_plan_clean(&record, &policy, NOW_MS + policy.video_retention_ms);
        assert_int_equal(sweep.claims, i < CONVERSION_DONE ? 0 : 2);
        assert_int_equal(sweep.removes_video, i >= CONVERSION_DONE);
    }
}

static void the_mp3_of_what_is_done_is_kept(void **state)
{
    (void)state;
    struct conversion record = ended(CONVERSION_DONE, CONVERSION_NOTICE_SENT);
    record.claim = 4;
    struct conversion_sweep sweep = conversion_plan_clean(&record, &policy, NOW_MS);
    assert_int_equal(sweep.claims, 4);
    assert_string_equal(sweep.kept_mp3.text, record.mp3.id.text);
    assert_false(sweep.removes_video);
}

static void the_video_goes_when_its_time_comes(void **state)
{
    (void)state;
    struct conversion record = ended(CONVERSION_DONE, CONVERSION_NOTICE_SENT);
    int64_t over_at_ms = NOW_MS + policy.video_retention_ms;
    assert_true(conversion_clean(&record, &policy, NOW_MS, &record));
    assert_false(record.video.is_removed);
    assert_int_equal(record.due_for, CONVERSION_DUE_CLEAN);
    assert_int_equal(record.due_at_ms, over_at_ms);
    assert_false(conversion_clean(&record, &policy, over_at_ms - 1, &record));
    assert_true(conversion_plan_clean(&record, &policy, over_at_ms).removes_video);
    assert_true(conversion_clean(&record, &policy, over_at_ms, &record));
    assert_true(record.video.is_removed);
    assert_int_equal(record.due_at_ms, record.expires_at_ms);
    assert_false(conversion_plan_clean(&record, &policy, over_at_ms).removes_video);
}

static void the_video_of_what_was_cancelled_goes_at_once(void **state)
{
    (void)state;
    struct conversion record = ended(CONVERSION_CANCELLED, CONVERSION_NOTICE_NONE);
    assert_true(conversion_plan_clean(&record, &policy, NOW_MS).removes_video);
    assert_true(conversion_clean(&record, &policy, NOW_MS, &record));
    assert_true(record.video.is_removed);
    assert_int_equal(record.due_at_ms, record.expires_at_ms);
}

static void a_shorter_life_comes_before_the_videos(void **state)
{
    (void)state;
    struct conversion record = ended(CONVERSION_DONE, CONVERSION_NOTICE_SENT);
    record.expires_at_ms = NOW_MS + 1000;
    assert_true(conversion_clean(&record, &policy, NOW_MS, &record));
    assert_int_equal(record.due_at_ms, NOW_MS + 1000);
}

static void a_notice_is_settled_before_anything_is_cleaned(void **state)
{
    (void)state;
    const enum conversion_notice open[] = {CONVERSION_NOTICE_PENDING, CONVERSION_NOTICE_SENDING};
    for (size_t i = 0; i < ARRAY_COUNT(open); i++) {
        struct conversion record = ended(CONVERSION_DONE, open[i]);
        struct conversion next;
        int64_t late_ms = record.expires_at_ms;
        assert_false(conversion_clean(&record, &policy, late_ms, &next));
        assert_false(conversion_expire(&record, &policy, late_ms, &next));
        record.due_for = CONVERSION_DUE_CLEAN;
        assert_false(conversion_clean(&record, &policy, NOW_MS, &next));
        assert_false(conversion_expire(&record, &policy, late_ms, &next));
    }
}

static void of_what_is_due_either_expiry_or_cleaning_is_possible(void **state)
{
    (void)state;
    for (int i = CONVERSION_DONE; i <= CONVERSION_CANCELLED; i++) {
        struct conversion record = ended((enum conversion_state)i, CONVERSION_NOTICE_NONE);
        struct conversion next;
        int64_t expires_at_ms = record.expires_at_ms;
        assert_true(conversion_clean(&record, &policy, expires_at_ms - 1, &next));
        assert_false(conversion_expire(&record, &policy, expires_at_ms - 1, &next));
        assert_false(conversion_clean(&record, &policy, expires_at_ms, &next));
        assert_true(conversion_expire(&record, &policy, expires_at_ms, &next));
        assert_int_equal(next.state, CONVERSION_DELETING);
        assert_string_equal(next.owner.email, "");
        assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
        assert_int_equal(next.due_at_ms, expires_at_ms + policy.grace_ms);
        record.due_at_ms = expires_at_ms + 1;
        assert_false(conversion_expire(&record, &policy, expires_at_ms, &next));
    }
}

static void what_deletes_is_swept_twice_and_then_goes(void **state)
{
    (void)state;
    struct conversion record = deleting();
    struct conversion_sweep sweep = conversion_plan_clean(&record, &policy, NOW_MS);
    assert_int_equal(sweep.claims, 3);
    assert_true(id_is_none(&sweep.kept_mp3));
    assert_true(sweep.removes_video);
    assert_false(conversion_is_removable(&record, NOW_MS));
    assert_false(conversion_note_sweep(&record, &policy, NOW_MS - 1, &record));
    assert_true(conversion_note_sweep(&record, &policy, NOW_MS, &record));
    assert_int_equal(record.sweeps, 1);
    assert_int_equal(record.due_at_ms, NOW_MS + policy.grace_ms);
    assert_false(conversion_is_removable(&record, NOW_MS + policy.grace_ms - 1));
    assert_true(conversion_is_removable(&record, NOW_MS + policy.grace_ms));
    assert_false(conversion_note_sweep(&record, &policy, NOW_MS + policy.grace_ms, &record));
    sweep = conversion_plan_clean(&record, &policy, NOW_MS + policy.grace_ms);
    assert_int_equal(sweep.claims, 3);
    assert_true(sweep.removes_video);
}

static void what_others_wrote_is_never_removed(void **state)
{
    (void)state;
    struct conversion record;
    conversion_adopt_video(&policy, NOW_MS, &video_id, "u", 77, &record);
    assert_true(conversion_claim(&record, &policy, NOW_MS, mine, &record));
    assert_true(conversion_cancel(&record, &policy, NOW_MS, &record));
    int64_t now_ms = record.due_at_ms;
    assert_false(conversion_plan_clean(&record, &policy, now_ms).removes_video);
    assert_true(conversion_clean(&record, &policy, now_ms, &record));
    assert_false(record.video.is_removed);
    assert_int_equal(record.due_at_ms, record.expires_at_ms);
    assert_true(conversion_delete(&record, &policy, now_ms, &record));
    struct conversion_sweep sweep = conversion_plan_clean(&record, &policy, now_ms);
    assert_false(sweep.removes_video);
    assert_int_equal(sweep.claims, 1); /* the MP3 is ours */

    conversion_adopt_mp3(&policy, NOW_MS, &video_id, "u", &record);
    assert_true(conversion_delete(&record, &policy, NOW_MS, &record));
    sweep = conversion_plan_clean(&record, &policy, NOW_MS);
    assert_false(sweep.removes_video);
    assert_int_equal(sweep.claims, 0);
    assert_string_equal(sweep.kept_mp3.text, video_id.text);
}

static void a_failed_sweep_is_tried_ever_later(void **state)
{
    (void)state;
    struct conversion record = deleting();
    const int64_t waits_ms[] = {60000, 120000, 240000, 480000, 960000, 1920000, 3600000, 3600000};
    int64_t now_ms = NOW_MS;
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        assert_true(conversion_postpone_clean(&record, now_ms, &record));
        assert_int_equal(record.due_at_ms, now_ms + waits_ms[i]);
        assert_int_equal(record.clean_failures, i + 1);
        assert_int_equal(record.sweeps, 0);
        assert_false(conversion_postpone_clean(&record, record.due_at_ms - 1, &record));
        now_ms = record.due_at_ms;
    }
    assert_true(conversion_note_sweep(&record, &policy, now_ms, &record));
    assert_int_equal(record.clean_failures, 0);
    struct conversion working = converting();
    assert_false(conversion_postpone_clean(&working, now_ms, &record));
    struct conversion open = ended(CONVERSION_DONE, CONVERSION_NOTICE_PENDING);
    assert_false(conversion_postpone_clean(&open, now_ms, &record));
}

static void only_what_deletes_is_removable(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i < CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        record.due_for = CONVERSION_DUE_CLEAN;
        record.due_at_ms = 0;
        assert_false(conversion_note_sweep(&record, &policy, NOW_MS, &record));
        record.sweeps = 1;
        assert_false(conversion_is_removable(&record, NOW_MS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_has_ended_is_swept),
        cmocka_unit_test(the_mp3_of_what_is_done_is_kept),
        cmocka_unit_test(the_video_goes_when_its_time_comes),
        cmocka_unit_test(the_video_of_what_was_cancelled_goes_at_once),
        cmocka_unit_test(a_shorter_life_comes_before_the_videos),
        cmocka_unit_test(a_notice_is_settled_before_anything_is_cleaned),
        cmocka_unit_test(of_what_is_due_either_expiry_or_cleaning_is_possible),
        cmocka_unit_test(what_deletes_is_swept_twice_and_then_goes),
        cmocka_unit_test(what_others_wrote_is_never_removed),
        cmocka_unit_test(a_failed_sweep_is_tried_ever_later),
        cmocka_unit_test(only_what_deletes_is_removable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
