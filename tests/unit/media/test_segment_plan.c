#include "media/segment_plan.h"

#include "support/cmocka_all.h"

static void segments_share_short_sound_and_bound_long_sound(void **state)
{
    (void)state;
    assert_int_equal(segment_plan_frames(0, 4), SEGMENT_FRAMES_MAX); /* who knows */
    assert_int_equal(segment_plan_frames(100, 4), SEGMENT_FRAMES_MIN);
    assert_int_equal(segment_plan_frames(2001, 2), 1001);
    assert_int_equal(segment_plan_frames(16 * SEGMENT_FRAMES_MAX, 16), SEGMENT_FRAMES_MAX);
    assert_int_equal(segment_plan_frames(16 * SEGMENT_FRAMES_MAX + 1, 16),
                     SEGMENT_FRAMES_MAX / 2 + 1);
}

static void each_encoder_gets_as_many_segments(void **state)
{
    (void)state;
    for (uint32_t encoders = 1; encoders <= 16; encoders++)
        for (uint64_t frames = 16 * SEGMENT_FRAMES_MIN; frames < 1000000; frames += 997) {
            uint64_t size = segment_plan_frames(frames, encoders);
            uint64_t most_of_one = ((frames + size - 1) / size + encoders - 1) / encoders;
            assert_in_range(size, SEGMENT_FRAMES_MIN, SEGMENT_FRAMES_MAX);
            /* The one with most to do has hardly more than its share. */
            assert_in_range(most_of_one * size * encoders, frames, frames + most_of_one * encoders);
        }
}

/* Of all rates that MPEG knows, only 11.025 kHz and its multiples have frames that differ. */
static void the_period_is_that_of_the_padding(void **state)
{
    (void)state;
    static const uint32_t whole[] = {8000, 12000, 16000, 24000, 32000, 48000};
    static const uint32_t padded[] = {11025, 22050, 44100};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(segment_plan_period_frames(whole[i]), 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(segment_plan_period_frames(padded[i]), 49);
}

static void an_encoder_begins_a_lead_in_early_and_in_step(void **state)
{
    (void)state;
    for (uint64_t frame = SEGMENT_FRAMES_MIN; frame < SEGMENT_FRAMES_MIN + 100; frame++) {
        assert_int_equal(segment_plan_begin(frame, 12345, 1), frame - SEGMENT_LEAD_IN_FRAMES);
        for (uint64_t done = 0; done < 200; done += 7) {
            uint64_t begin = segment_plan_begin(frame, done, 49);
            assert_int_equal(begin % 49, done % 49);
            assert_in_range(frame - begin, SEGMENT_LEAD_IN_FRAMES, SEGMENT_LEAD_IN_FRAMES + 48);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_share_short_sound_and_bound_long_sound),
        cmocka_unit_test(each_encoder_gets_as_many_segments),
        cmocka_unit_test(the_period_is_that_of_the_padding),
        cmocka_unit_test(an_encoder_begins_a_lead_in_early_and_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
