#include "media/timeline.h"

#include "support/cmocka_all.h"
#include <libavutil/avutil.h>

#define FRAME 1024
#define RATE 44100

static const AVRational samples_base = {1, RATE};
static const AVRational ms_base = {1, 1000};
static const AVRational ts_base = {1, 90000};

/* A packet of one frame; lasts as long as its container says, in whole ticks. */
static int64_t place(struct timeline *timeline, int64_t time, int64_t duration)
{
    timeline_note_packet(timeline, time, duration);
    return timeline_place(timeline, time, RATE, FRAME);
}

/* As a muxer writes it. */
static int64_t ms_of(int64_t frame)
{
    return (frame * FRAME * 1000 + RATE / 2) / RATE;
}

static void exact_times_are_places(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, samples_base, 0, false);
    assert_true(timeline_is_exact(&timeline, RATE));
    assert_false(timeline_is_exact(&timeline, 2 * RATE));
    assert_int_equal(place(&timeline, -1024, FRAME), -1024);
    assert_int_equal(place(&timeline, 0, FRAME), 0);
    assert_int_equal(place(&timeline, 5000, FRAME), 5000);
    assert_int_equal(place(&timeline, AV_NOPTS_VALUE, FRAME), 5000 + FRAME);
    assert_int_equal(timeline.next, 5000 + 2 * FRAME);
}

static void the_file_begins_at_0(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, ms_base, 1500000, false);
    assert_int_equal(place(&timeline, 1500, 23), 0);
    assert_int_equal(timeline_time(&timeline, 2000000, ms_base), 3500);
    assert_int_equal(timeline_time(&timeline, 2000000, ts_base), 3500 * 90);
}

static void samples_are_counted_where_times_are_rough(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, ms_base, 0, false);
    assert_false(timeline_is_exact(&timeline, RATE));
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(place(&timeline, ms_of(i), 24), i * FRAME);
    assert_true(timeline_has_grid(&timeline));
}

static void a_gap_is_believed(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, ms_base, 0, false);
    place(&timeline, 0, 23);
    assert_int_equal(place(&timeline, 1000, 23), RATE);
}

static void after_a_jump_a_frame_is_put_on_the_grid(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, ms_base, 0, false);
    for (int64_t i = 0; i < 200; i++)
        place(&timeline, ms_of(i), 24);
    static const int64_t frames[] = {100000, 100001, 777, 5};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        timeline_jump(&timeline);
        assert_int_equal(place(&timeline, ms_of(frames[i]), 24), frames[i] * FRAME);
        assert_false(timeline.has_missed);
    }
    timeline_jump(&timeline);
    place(&timeline, ms_of(500) + 5, 24);
    assert_true(timeline.has_missed);
}

static void frames_of_different_lengths_have_no_grid(void **state)
{
    (void)state;
    struct timeline timeline;
    timeline_init(&timeline, ms_base, 0, false);
    timeline_place(&timeline, 0, RATE, 700); /* what a decoder's delay leaves of the first */
    for (int i = 0; i < 150; i++) {
        assert_false(i > 1 && i < 98 && timeline_has_grid(&timeline));
        timeline_place(&timeline, AV_NOPTS_VALUE, RATE, FRAME);
    }
    assert_true(timeline_has_grid(&timeline));
    timeline_place(&timeline, AV_NOPTS_VALUE, RATE, 512);
    assert_false(timeline_has_grid(&timeline));
    timeline_jump(&timeline);
    assert_int_equal(timeline_place(&timeline, 1000, RATE, 512), RATE);
    assert_false(timeline.has_missed);
}

static void times_that_start_over_go_on(void **state)
{
    (void)state;
    struct timeline stream, film;
    timeline_init(&stream, ts_base, 0, true);
    timeline_init(&film, ts_base, 0, false);
    for (int i = 0; i < 2; i++) {
        struct timeline *timeline = i == 0 ? &stream : &film;
        place(timeline, 90000 * 100, 2090);
        int64_t next = timeline->next;
        int64_t at = place(timeline, 0, 2090);
        assert_int_equal(at, i == 0 ? next : 0);
        next = timeline->next;
        at = place(timeline, 90000 * 11, 2090);
        assert_int_equal(at, i == 0 ? next : 11 * RATE);
    }
}

static void times_at_the_ends_of_all_numbers_do_no_harm(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN + 1, INT64_MAX, 0, INT64_MAX - 1, INT64_MIN + 2, -1};
    static const AVRational bases[] = {
        {1, 1000}, {1, RATE}, {1, 90000}, {INT32_MAX, 1}, {1, INT32_MAX}};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0] * 2; i++) {
        struct timeline timeline;
        timeline_init(&timeline, bases[i / 2], i % 2 == 0 ? INT64_MAX : -5, i % 4 < 2);
        for (size_t j = 0; j < 300; j++) {
            int64_t time = times[j % (sizeof times / sizeof times[0])];
            timeline_note_packet(&timeline, time, j % 3 == 0 ? INT64_MAX : 23);
            int rate_hz = j % 50 == 49 ? INT32_MAX : 8000;
            timeline_place(&timeline, time, rate_hz, INT32_MAX);
            if (j % 7 == 0)
                timeline_jump(&timeline);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_times_are_places),
        cmocka_unit_test(the_file_begins_at_0),
        cmocka_unit_test(samples_are_counted_where_times_are_rough),
        cmocka_unit_test(a_gap_is_believed),
        cmocka_unit_test(after_a_jump_a_frame_is_put_on_the_grid),
        cmocka_unit_test(frames_of_different_lengths_have_no_grid),
        cmocka_unit_test(times_that_start_over_go_on),
        cmocka_unit_test(times_at_the_ends_of_all_numbers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
