#include "media/segment_plan.h"

#include "support/cmocka_all.h"

static void short_sound_is_a_segment_for_each_encoder(void **state)
{
    (void)state;
    static const struct {
        uint64_t frames;
        uint32_t encoders;
        uint64_t length;
    } cases[] = {
        {100, 4, SEGMENT_FRAMES_MIN},
        {2001, 2, 1001},
        {16 * SEGMENT_FRAMES_HELD, 16, SEGMENT_FRAMES_HELD},
    };
    for (size_t i = 0; i < 3; i++) {
        struct segment_plan plan = segment_plan_make(cases[i].frames, cases[i].encoders);
        for (uint64_t number = 0; number < cases[i].encoders; number++) {
            uint64_t from = number * cases[i].length;
            assert_int_equal(segment_plan_length(&plan, number, from), cases[i].length);
        }
        assert_int_equal(segment_plan_ahead(&plan), (cases[i].encoders - 1) * cases[i].length);
    }
}

static void long_sound_is_staggered_at_both_ends(void **state)
{
    (void)state;
    /* Three segments' worth for each of four encoders. */
    struct segment_plan plan = segment_plan_make(12 * 1600, 4);
    static const uint64_t lengths[] = {400,  800,  1200, 1600, 1600, 1600, 1600, 1600,
                                       1600, 1600, 1600, 1600, 1200, 800,  400};
    uint64_t from = 0;
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(segment_plan_length(&plan, i, from), lengths[i]);
        from += lengths[i];
    }
    assert_int_equal(from, plan.frames);
    /* It was longer than one thought. */
    assert_int_equal(segment_plan_length(&plan, 15, from), 1600);
}

static void sound_of_unknown_length_is_staggered_at_its_beginning(void **state)
{
    (void)state;
    struct segment_plan plan = segment_plan_make(0, 2);
    assert_int_equal(segment_plan_length(&plan, 0, 0), SEGMENT_FRAMES_HELD);
    assert_int_equal(segment_plan_length(&plan, 1, SEGMENT_FRAMES_HELD), 2 * SEGMENT_FRAMES_HELD);
    assert_int_equal(segment_plan_length(&plan, 1000, 1000000), 2 * SEGMENT_FRAMES_HELD);
}

/* Who is done first takes the next segment; all are as fast. */
struct play {
    uint64_t at[16], end[16], made[16];
    uint64_t ahead; /* at most, the last of the first */
};

static struct play play(const struct segment_plan *plan)
{
    struct play play = {0};
    uint64_t taken = 0;
    for (uint64_t number = 0; taken < plan->frames; number++) {
        uint32_t next = 0;
        for (uint32_t i = 1; i < plan->encoders; i++)
            next = play.made[i] < play.made[next] ? i : next;
        uint64_t now = play.made[next];
        uint64_t length = segment_plan_length(plan, number, taken);
        length = length < plan->frames - taken ? length : plan->frames - taken;
        play.at[next] = taken;
        play.end[next] = taken + length;
        play.made[next] += length;
        taken += length;
        for (uint32_t i = 0; i < plan->encoders && number + 1 >= plan->encoders; i++) {
            uint64_t at = play.end[i] - (play.made[i] - now);
            uint64_t ahead = play.at[next] > at ? play.at[next] - at : 0;
            play.ahead = ahead > play.ahead ? ahead : play.ahead;
        }
    }
    return play;
}

static void encoders_make_as_much_and_stay_together(void **state)
{
    (void)state;
    for (uint32_t encoders = 2; encoders <= 16; encoders++)
        for (uint64_t frames = 16 * SEGMENT_FRAMES_MIN; frames < 1000000; frames += 997) {
            struct segment_plan plan = segment_plan_make(frames, encoders);
            assert_in_range(plan.longest, SEGMENT_FRAMES_MIN, 2 * SEGMENT_FRAMES_HELD);
            assert_in_range(segment_plan_ahead(&plan), 0,
                            (uint64_t)(encoders - 1) * SEGMENT_FRAMES_HELD);
            struct play played = play(&plan);
            for (uint32_t i = 0; i < encoders; i++)
                assert_in_range(played.made[i], 0,
                                frames / encoders + 2 * (uint64_t)SEGMENT_FRAMES_MIN);
            assert_in_range(played.ahead, 0,
                            segment_plan_ahead(&plan) + 2 * (uint64_t)SEGMENT_FRAMES_MIN);
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

static void an_encoder_takes_over_where_it_began_in_step(void **state)
{
    (void)state;
    for (uint64_t frame = SEGMENT_FRAMES_MIN; frame < SEGMENT_FRAMES_MIN + 100; frame++) {
        assert_int_equal(segment_plan_take_over(frame, 12345, 1), frame);
        for (uint64_t done = 0; done < 200; done += 7) {
            uint64_t from = segment_plan_take_over(frame, done, 49);
            assert_int_equal((from - SEGMENT_LEAD_IN_FRAMES) % 49, done % 49);
            assert_in_range(from, frame, frame + 48);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_sound_is_a_segment_for_each_encoder),
        cmocka_unit_test(long_sound_is_staggered_at_both_ends),
        cmocka_unit_test(sound_of_unknown_length_is_staggered_at_its_beginning),
        cmocka_unit_test(encoders_make_as_much_and_stay_together),
        cmocka_unit_test(the_period_is_that_of_the_padding),
        cmocka_unit_test(an_encoder_takes_over_where_it_began_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
