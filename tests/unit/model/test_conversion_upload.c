#include "model/conversion.h"

#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <string.h>

static void an_upload_begins_with_all_that_is_known(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    assert_int_equal(record.state, CONVERSION_UPLOADING);
    assert_string_equal(record.id.text, video_id.text);
    assert_string_equal(record.owner.id.text, owner_id.text);
    assert_string_equal(record.owner.email, "a@example.org");
    assert_string_equal(record.request_key, "key");
    assert_string_equal(record.trace.request, "request");
    assert_string_equal(record.trace.parent, "parent");
    assert_string_equal(record.video.name, "talk.mp4");
    assert_string_equal(record.holder.text, mine.text);
    assert_int_equal(record.version, 1);
    assert_int_equal(record.generation, 1);
    assert_int_equal(record.video.size_bytes, 1000);
    assert_int_equal(record.created_at_ms, NOW_MS);
    assert_int_equal(record.changed_at_ms, NOW_MS);
    assert_int_equal(record.due_for, CONVERSION_DUE_CLEAN);
    assert_int_equal(record.due_at_ms, NOW_MS + 10 * policy.lease_ms);
}

static void a_resumable_upload_may_pause_for_longer(void **state)
{
    (void)state;
    struct conversion record = uploading(true);
    assert_true(record.is_resumable);
    assert_int_equal(record.due_at_ms, NOW_MS + policy.upload_abandoned_ms);
}

static void without_a_key_the_id_is_the_key(void **state)
{
    (void)state;
    struct conversion record;
    const struct conversion_upload upload = {.id = video_id, .size_bytes = -7};
    conversion_begin_upload(&policy, NOW_MS, &upload, &record);
    assert_string_equal(record.request_key, video_id.text);
    assert_int_equal(record.video.size_bytes, CONVERSION_SIZE_UNKNOWN);
}

static void resuming_raises_the_generation(void **state)
{
    (void)state;
    struct conversion record = uploading(true);
    record.received_bytes = 400;
    struct conversion next;
    assert_true(conversion_resume_upload(&record, &policy, NOW_MS + 5, 400, other, &next));
    assert_int_equal(next.generation, 2);
    assert_string_equal(next.holder.text, other.text);
    assert_int_equal(next.received_bytes, 400);
    assert_int_equal(next.due_at_ms, NOW_MS + 5 + policy.upload_abandoned_ms);
    assert_int_equal(next.changed_at_ms, NOW_MS + 5);
    assert_int_equal(next.version, record.version);
}

static void resuming_is_refused_elsewhere_than_at_the_offset(void **state)
{
    (void)state;
    struct conversion record = uploading(true);
    record.received_bytes = 400;
    struct conversion next;
    assert_false(conversion_resume_upload(&record, &policy, NOW_MS, 399, other, &next));
    assert_false(conversion_resume_upload(&record, &policy, NOW_MS, 401, other, &next));
    struct conversion plain = uploading(false);
    assert_false(conversion_resume_upload(&plain, &policy, NOW_MS, 0, other, &next));
}

static void a_commit_grows_but_never_to_the_full_size(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    struct conversion next;
    assert_true(conversion_commit_upload(&record, &policy, NOW_MS + 9, 1, 999, &next));
    assert_int_equal(next.received_bytes, 999);
    assert_int_equal(next.state, CONVERSION_UPLOADING);
    assert_int_equal(next.due_at_ms, NOW_MS + 9 + 10 * policy.lease_ms);
    assert_false(conversion_commit_upload(&next, &policy, NOW_MS, 1, 999, &next));
    assert_false(conversion_commit_upload(&next, &policy, NOW_MS, 1, 998, &next));
    assert_false(conversion_commit_upload(&next, &policy, NOW_MS, 1, 1000, &next));
    assert_false(conversion_commit_upload(&record, &policy, NOW_MS, 0, 10, &next));
    assert_false(conversion_commit_upload(&record, &policy, NOW_MS, 2, 10, &next));
    record.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    assert_true(conversion_commit_upload(&record, &policy, NOW_MS, 1, 5000, &next));
}

static void a_trickle_of_bytes_does_not_keep_an_upload_for_ever(void **state)
{
    (void)state;
    struct conversion record = uploading(true);
    int64_t old_at_ms = NOW_MS + policy.conversion_age_max_ms;
    struct conversion next;
    assert_true(conversion_commit_upload(&record, &policy, old_at_ms - 1, 1, 1, &next));
    assert_int_equal(next.due_at_ms, old_at_ms);
    assert_true(conversion_abandon_upload(&next, &policy, old_at_ms, true, &next));
}

static struct conversion_arrival arrival(int64_t generation, int64_t size_bytes)
{
    return (struct conversion_arrival){.generation = generation, .size_bytes = size_bytes};
}

static void a_finished_upload_is_queued(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    record.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    struct conversion_options options = {.bitrate_kbps = 96};
    struct conversion_arrival whole = arrival(1, 1234);
    whole.video_name = "other.mkv";
    whole.options = &options;
    struct conversion next;
    assert_true(conversion_finish_upload(&record, &policy, NOW_MS + 7, &whole, &next));
    assert_int_equal(next.state, CONVERSION_QUEUED);
    assert_int_equal(next.received_bytes, 1234);
    assert_int_equal(next.video.size_bytes, 1234);
    assert_string_equal(next.video.name, "other.mkv");
    assert_int_equal(next.options.bitrate_kbps, 96);
    assert_int_equal(next.queued_at_ms, NOW_MS + 7);
    assert_int_equal(next.due_for, CONVERSION_DUE_CONVERT);
    assert_int_equal(next.due_at_ms, NOW_MS + 7 + policy.lease_ms);
}

static void a_finished_upload_keeps_what_it_was_not_told(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    record.options.bitrate_kbps = 64;
    struct conversion_arrival whole = arrival(1, 1000);
    struct conversion next;
    assert_true(conversion_finish_upload(&record, &policy, NOW_MS, &whole, &next));
    assert_string_equal(next.video.name, "talk.mp4");
    assert_int_equal(next.options.bitrate_kbps, 64);
}

static void a_finish_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct conversion record = uploading(false);
    record.received_bytes = 500;
    const struct conversion_arrival wrong[] = {
        arrival(0, 1000), arrival(2, 1000), arrival(1, 0), arrival(1, 999), arrival(1, 1001),
    };
    struct conversion next;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(conversion_finish_upload(&record, &policy, NOW_MS, &wrong[i], &next));
    record.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    struct conversion_arrival shrunk = arrival(1, 499);
    assert_false(conversion_finish_upload(&record, &policy, NOW_MS, &shrunk, &next));
}

static void only_an_upload_goes_on_as_one(void **state)
{
    (void)state;
    for (int i = CONVERSION_QUEUED; i <= CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        record.is_resumable = true;
        struct conversion_arrival whole = arrival(1, 1000);
        struct conversion next;
        assert_false(conversion_resume_upload(&record, &policy, NOW_MS, record.received_bytes,
                                              other, &next));
        assert_false(conversion_commit_upload(&record, &policy, NOW_MS, 1, 5000, &next));
        assert_false(conversion_finish_upload(&record, &policy, NOW_MS, &whole, &next));
        assert_false(conversion_abandon_upload(&record, &policy, NOW_MS, false, &next));
        assert_false(conversion_abandon_upload(&record, &policy, INT64_MAX / 2, true, &next));
    }
}

static void a_foreign_video_gets_a_record_that_is_queued(void **state)
{
    (void)state;
    struct conversion record;
    conversion_adopt_video(&policy, NOW_MS, &video_id, "u@example.org", 77, &record);
    assert_int_equal(record.state, CONVERSION_QUEUED);
    assert_int_equal(record.foreign, CONVERSION_FOREIGN_VIDEO);
    assert_true(id_is_none(&record.owner.id));
    assert_string_equal(record.owner.email, "u@example.org");
    assert_string_equal(record.request_key, video_id.text);
    assert_int_equal(record.video.size_bytes, 77);
    assert_int_equal(record.version, 1);
    assert_int_equal(record.due_for, CONVERSION_DUE_CONVERT);
    assert_int_equal(record.due_at_ms, NOW_MS + policy.lease_ms);
}

static void a_foreign_mp3_gets_a_record_that_is_done(void **state)
{
    (void)state;
    struct conversion record;
    conversion_adopt_mp3(&policy, NOW_MS, &video_id, "u@example.org", &record);
    assert_int_equal(record.state, CONVERSION_DONE);
    assert_int_equal(record.foreign, CONVERSION_FOREIGN_MP3);
    assert_string_equal(record.mp3.id.text, video_id.text);
    assert_int_equal(record.notice.state, CONVERSION_NOTICE_PENDING);
    assert_int_equal(record.expires_at_ms, NOW_MS + CONVERSION_FOREIGN_MP3_KEPT_MS);
    assert_int_equal(record.due_for, CONVERSION_DUE_NOTIFY);
    assert_int_equal(record.due_at_ms, NOW_MS + policy.lease_ms);
}

static void what_has_not_ended_can_be_cancelled(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        struct conversion next;
        bool is_cancelled = conversion_cancel(&record, &policy, NOW_MS + 3, &next);
        assert_int_equal(is_cancelled, i < CONVERSION_DONE);
        if (!is_cancelled)
            continue;
        assert_int_equal(next.state, CONVERSION_CANCELLED);
        assert_int_equal(next.notice.state, CONVERSION_NOTICE_NONE);
        assert_int_equal(next.ended_at_ms, NOW_MS + 3);
        assert_int_equal(next.expires_at_ms, NOW_MS + 3 + policy.mp3_retention_ms);
        assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
        assert_int_equal(next.due_at_ms, NOW_MS + 3 + policy.lease_ms);
    }
}

static void a_plain_upload_is_given_up_with_its_client(void **state)
{
    (void)state;
    struct conversion plain = uploading(false);
    struct conversion next;
    assert_false(conversion_abandon_upload(&plain, &policy, plain.due_at_ms - 1, true, &next));
    assert_true(conversion_abandon_upload(&plain, &policy, plain.due_at_ms, true, &next));
    assert_true(conversion_abandon_upload(&plain, &policy, NOW_MS, false, &next));
    assert_int_equal(next.state, CONVERSION_DELETING);
    assert_int_equal(next.due_at_ms, NOW_MS);
}

static void a_resumable_upload_waits_for_its_client(void **state)
{
    (void)state;
    struct conversion record = uploading(true);
    struct conversion next;
    assert_false(conversion_abandon_upload(&record, &policy, NOW_MS, false, &next));
    assert_true(conversion_abandon_upload(&record, &policy, record.due_at_ms, false, &next));
    record.due_at_ms = INT64_MAX;
    int64_t old_at_ms = NOW_MS + policy.conversion_age_max_ms;
    assert_false(conversion_abandon_upload(&record, &policy, old_at_ms - 1, false, &next));
    assert_true(conversion_abandon_upload(&record, &policy, old_at_ms, false, &next));
}

static void deleting_forgets_the_person(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i < CONVERSION_DELETING; i++) {
        struct conversion record = in_state((enum conversion_state)i);
        memcpy(record.options.title, "mine", 5);
        memcpy(record.notice.error, "no such user a@example.org", 27);
        record.sweeps = 1;
        struct conversion next;
        assert_true(conversion_delete(&record, &policy, NOW_MS + 4, &next));
        assert_int_equal(next.state, CONVERSION_DELETING);
        assert_string_equal(next.owner.email, "");
        assert_string_equal(next.owner.id.text, owner_id.text);
        assert_string_equal(next.video.name, "");
        assert_string_equal(next.options.title, "");
        assert_string_equal(next.notice.error, "");
        assert_string_equal(next.request_key, video_id.text);
        assert_int_equal(next.sweeps, 0);
        assert_int_equal(next.due_for, CONVERSION_DUE_CLEAN);
        assert_int_equal(next.due_at_ms, NOW_MS + 4);
        assert_int_equal(next.changed_at_ms, NOW_MS + 4);
    }
    struct conversion gone = deleting();
    assert_false(conversion_delete(&gone, &policy, NOW_MS, &gone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_begins_with_all_that_is_known),
        cmocka_unit_test(a_resumable_upload_may_pause_for_longer),
        cmocka_unit_test(without_a_key_the_id_is_the_key),
        cmocka_unit_test(resuming_raises_the_generation),
        cmocka_unit_test(resuming_is_refused_elsewhere_than_at_the_offset),
        cmocka_unit_test(a_commit_grows_but_never_to_the_full_size),
        cmocka_unit_test(a_trickle_of_bytes_does_not_keep_an_upload_for_ever),
        cmocka_unit_test(a_finished_upload_is_queued),
        cmocka_unit_test(a_finished_upload_keeps_what_it_was_not_told),
        cmocka_unit_test(a_finish_that_does_not_fit_is_refused),
        cmocka_unit_test(only_an_upload_goes_on_as_one),
        cmocka_unit_test(a_foreign_video_gets_a_record_that_is_queued),
        cmocka_unit_test(a_foreign_mp3_gets_a_record_that_is_done),
        cmocka_unit_test(what_has_not_ended_can_be_cancelled),
        cmocka_unit_test(a_plain_upload_is_given_up_with_its_client),
        cmocka_unit_test(a_resumable_upload_waits_for_its_client),
        cmocka_unit_test(deleting_forgets_the_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
