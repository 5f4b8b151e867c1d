#include "media/copy_plan.h"

#include "support/cmocka_all.h"
#include <string.h>

/* A frame of 128 kb/s, 44.1 kHz, joint stereo, and of others. */
static const unsigned char frame[417] = {0xff, 0xfb, 0x90, 0x64};
static const unsigned char frame_of_64[208] = {0xff, 0xfb, 0x50, 0x64};
static const unsigned char frame_of_mono[417] = {0xff, 0xfb, 0x90, 0xc4};
static const unsigned char frame_of_48k[384] = {0xff, 0xfb, 0x94, 0x64};
static const unsigned char junk[100] = {1, 2, 3};

static bool add_packet(struct copy_plan *plan, const struct copy_packet *packet)
{
    struct copied_frame added = {0};
    uint64_t frames = plan->frames;
    bool is_possible = copy_plan_add(plan, packet, &added);
    if (is_possible && plan->frames > frames)
        assert_int_equal(added.frame.samples, plan->frame.samples);
    return is_possible;
}

static struct copy_packet packet(const unsigned char *bytes, size_t size)
{
    return (struct copy_packet){.bytes = bytes, .size = size};
}

static bool add(struct copy_plan *plan, const unsigned char *bytes, size_t size)
{
    struct copy_packet added = packet(bytes, size);
    return add_packet(plan, &added);
}

static void add_frames(struct copy_plan *plan, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(add(plan, frame, sizeof frame));
}

static bool add_trimmed(struct copy_plan *plan, uint32_t skip_samples, uint32_t cut_samples)
{
    struct copy_packet added = packet(frame, sizeof frame);
    added.has_trim = true;
    added.skip_samples = skip_samples;
    added.cut_samples = cut_samples;
    return add_packet(plan, &added);
}

static void sound_without_delays_gets_silence_in_front(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_frames(&plan, 10);
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.frames, 10);
    assert_int_equal(plan.samples, 10 * 1152);
    assert_true(plan.begins_silent);
    assert_int_equal(plan.delay_samples, 1152 - 529);
    assert_false(plan.is_vbr);
    assert_int_equal(plan.frame.bitrate_kbps, 128);
}

static void what_the_container_trims_is_kept(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    assert_true(add_trimmed(&plan, 1105, 0));
    add_frames(&plan, 8);
    assert_true(add_trimmed(&plan, 0, 227));
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.samples, 10 * 1152 - 1105 - 227);
    assert_false(plan.begins_silent);
    assert_int_equal(plan.delay_samples, 576);
}

static void whole_frames_can_be_trimmed_at_both_ends(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    struct copy_packet discarded = packet(frame, sizeof frame);
    discarded.is_discarded = true;
    assert_true(add_packet(&plan, &discarded));
    assert_true(add_trimmed(&plan, 1200, 0)); /* all of this, 48 of the next */
    add_frames(&plan, 5);
    assert_true(add_trimmed(&plan, 0, 1000));
    assert_true(add_packet(&plan, &discarded));
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.frames, 9);
    assert_int_equal(plan.delay_samples, 1152 + 1200 - 529);
    assert_int_equal(plan.samples, 9 * 1152 - 1152 - 1200 - 1000 - 1152);
}

static void more_than_players_can_be_told_is_not_copied(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    assert_true(add_trimmed(&plan, 4095 + 529, 0));
    add_frames(&plan, 9);
    struct copy_plan more = plan;
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.delay_samples, 4095);
    more.front_samples++;
    assert_false(copy_plan_finish(&more));
    struct copy_plan end = {.end_samples = 4095 - 529};
    end.frames = 10, end.samples = 5000;
    end.frame.samples = 1152;
    struct copy_plan more_end = end;
    assert_true(copy_plan_finish(&end));
    more_end.end_samples++;
    assert_false(copy_plan_finish(&more_end));
}

static void a_hole_in_the_middle_is_not_copied(void **state)
{
    (void)state;
    struct copy_plan skipped = {0}, cut = {0}, discarded = {0};
    add_frames(&skipped, 3);
    assert_false(add_trimmed(&skipped, 100, 0));
    assert_false(copy_plan_finish(&skipped));
    assert_true(add_trimmed(&cut, 0, 100));
    assert_false(add(&cut, frame, sizeof frame));
    assert_false(copy_plan_finish(&cut));
    struct copy_packet hole = packet(frame, sizeof frame);
    hole.is_discarded = true;
    add_frames(&discarded, 3);
    assert_true(add_packet(&discarded, &hole));
    assert_false(add(&discarded, frame, sizeof frame));
}

static void frames_of_another_kind_are_not_copied(void **state)
{
    (void)state;
    struct copy_plan mono = {0}, rate = {0};
    add_frames(&mono, 1000);
    assert_false(add(&mono, frame_of_mono, sizeof frame_of_mono));
    assert_false(copy_plan_finish(&mono));
    add_frames(&rate, 1);
    assert_false(add(&rate, frame_of_48k, sizeof frame_of_48k));
    assert_false(copy_plan_finish(&rate));
}

static void bitrates_may_change(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_frames(&plan, 1);
    assert_true(add(&plan, frame_of_64, sizeof frame_of_64));
    assert_true(copy_plan_finish(&plan));
    assert_true(plan.is_vbr);
}

static void junk_may_stand_at_the_ends_but_not_between(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    assert_true(add(&plan, junk, sizeof junk));
    assert_true(add(&plan, junk, 0));
    add_frames(&plan, 5);
    assert_true(add(&plan, junk, sizeof junk));
    assert_true(add(&plan, junk, sizeof junk));
    struct copy_plan between = plan;
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.frames, 5);
    assert_false(add(&between, frame, sizeof frame));
    assert_false(copy_plan_finish(&between));
}

static void nothing_but_junk_is_not_looked_at_for_long(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    size_t packets = 0;
    while (add(&plan, junk, sizeof junk))
        packets++;
    assert_in_range(packets, 100, 10000);
    assert_false(copy_plan_finish(&plan));
    struct copy_plan none = {0};
    assert_false(copy_plan_finish(&none));
}

static void a_frame_behind_zeros_is_not_copied(void **state)
{
    (void)state;
    unsigned char bytes[sizeof frame + 3] = {0};
    struct copy_plan plan = {0};
    assert_true(add(&plan, bytes, 3));
    memcpy(bytes + 3, frame, sizeof frame);
    assert_false(add(&plan, bytes, sizeof bytes));
}

static void only_the_last_frame_may_be_cut(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_frames(&plan, 5);
    assert_true(add(&plan, frame, 50));
    struct copy_plan more = plan;
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.frames, 6);
    assert_false(add(&more, frame, sizeof frame));
}

/* An Info frame for `frames`, of a LAME that added 576 and 1000 samples. */
static void add_info(struct copy_plan *plan, uint32_t frames, uint32_t skip_samples)
{
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    const struct info_frame info = {
        .sample_rate_hz = 44100,
        .channels = 2,
        .bitrate_kbps = 128,
        .frames = frames,
        .delay_samples = 576,
        .padding_samples = 1000,
    };
    struct copy_packet added = packet(bytes, info_frame_format(&info, bytes));
    added.has_trim = skip_samples > 0;
    added.skip_samples = skip_samples;
    assert_true(add_packet(plan, &added));
}

static void an_info_frame_is_no_sound_and_tells_the_delays(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_info(&plan, 10, 0);
    add_frames(&plan, 10);
    assert_true(copy_plan_finish(&plan));
    assert_true(plan.has_info);
    assert_int_equal(plan.frames, 10);
    assert_int_equal(plan.delay_samples, 576);
    assert_int_equal(plan.samples, 10 * 1152 - 576 - 1000);
}

static void padding_that_was_cut_off_is_not_cut_off_again(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_info(&plan, 10, 0);
    add_frames(&plan, 9);
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.samples, 9 * 1152 - 576 - 529);
}

static void the_containers_word_comes_before_the_info_frames(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_info(&plan, 10, 1152 + 900);
    add_frames(&plan, 10);
    assert_true(copy_plan_finish(&plan));
    assert_int_equal(plan.samples, 10 * 1152 - 900);
    assert_int_equal(plan.delay_samples, 900 - 529);
    /* An edit list that only leaves the Info frame out says nothing of delays. */
    struct copy_plan only_info = {0};
    add_info(&only_info, 10, 1152);
    add_frames(&only_info, 10);
    assert_true(copy_plan_finish(&only_info));
    assert_int_equal(only_info.samples, 10 * 1152 - 576 - 1000);
}

static void an_info_frame_alone_is_no_sound(void **state)
{
    (void)state;
    struct copy_plan plan = {0};
    add_info(&plan, 0, 0);
    assert_false(copy_plan_finish(&plan));
    struct copy_plan all_skipped = {0};
    assert_true(add_trimmed(&all_skipped, 3 * 1152, 0));
    add_frames(&all_skipped, 2);
    assert_false(copy_plan_finish(&all_skipped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_without_delays_gets_silence_in_front),
        cmocka_unit_test(what_the_container_trims_is_kept),
        cmocka_unit_test(whole_frames_can_be_trimmed_at_both_ends),
        cmocka_unit_test(more_than_players_can_be_told_is_not_copied),
        cmocka_unit_test(a_hole_in_the_middle_is_not_copied),
        cmocka_unit_test(frames_of_another_kind_are_not_copied),
        cmocka_unit_test(bitrates_may_change),
        cmocka_unit_test(junk_may_stand_at_the_ends_but_not_between),
        cmocka_unit_test(nothing_but_junk_is_not_looked_at_for_long),
        cmocka_unit_test(a_frame_behind_zeros_is_not_copied),
        cmocka_unit_test(only_the_last_frame_may_be_cut),
        cmocka_unit_test(an_info_frame_is_no_sound_and_tells_the_delays),
        cmocka_unit_test(padding_that_was_cut_off_is_not_cut_off_again),
        cmocka_unit_test(the_containers_word_comes_before_the_info_frames),
        cmocka_unit_test(an_info_frame_alone_is_no_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
