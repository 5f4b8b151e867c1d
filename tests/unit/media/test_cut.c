#include "media/cut.h"

#include "support/cmocka_all.h"
#include <limits.h>

static void assert_part(const struct cut *cut, int64_t at, int from, int count, bool is_over)
{
    struct cut_part part = cut_frame(cut, at, 44100, 1024);
    assert_int_equal(part.count, count);
    if (count != 0)
        assert_int_equal(part.from, from);
    assert_int_equal(part.is_over, is_over);
}

static void all_is_wanted_where_nothing_is_cut(void **state)
{
    (void)state;
    const struct cut cut = {0};
    assert_part(&cut, 0, 0, 1024, false);
    assert_part(&cut, -5000, 0, 1024, false);
    assert_part(&cut, INT64_MIN, 0, 1024, false);
    assert_part(&cut, INT64_MAX, 0, 1024, false);
}

static void a_start_leaves_out_the_samples_before_it(void **state)
{
    (void)state;
    const struct cut cut = {.start_us = 1000000};
    assert_part(&cut, 0, 0, 0, false);
    assert_part(&cut, 44100 - 1024, 0, 0, false);
    assert_part(&cut, 44100 - 1023, 1023, 1, false);
    assert_part(&cut, 44099, 1, 1023, false);
    assert_part(&cut, 44100, 0, 1024, false);
    assert_part(&cut, INT64_MAX - 5, 0, 1024, false);
    assert_part(&cut, INT64_MIN, 0, 0, false);
}

static void an_end_leaves_out_the_samples_from_it_on(void **state)
{
    (void)state;
    const struct cut cut = {.end_us = 1000000};
    assert_part(&cut, -7, 0, 1024, false);
    assert_part(&cut, 44100 - 1024, 0, 1024, false);
    assert_part(&cut, 44100 - 1023, 0, 1023, true);
    assert_part(&cut, 44100, 0, 0, true);
    assert_part(&cut, INT64_MAX, 0, 0, true);
}

static void start_and_end_can_lie_in_one_frame(void **state)
{
    (void)state;
    const struct cut cut = {.start_us = 1000000, .end_us = 1000100};
    assert_part(&cut, 44000, 100, 4, true);
}

static void both_ends_are_rounded_to_the_nearest_sample(void **state)
{
    (void)state;
    struct cut cut = {.start_us = 11}; /* 0.4851 samples */
    assert_part(&cut, 0, 0, 1024, false);
    cut.start_us = 12; /* 0.5292 */
    assert_part(&cut, 0, 1, 1023, false);
    cut.end_us = 12 + 34; /* and 1.4994 from there */
    assert_part(&cut, 0, 1, 1, true);
}

static void no_length_is_too_long_to_be_counted(void **state)
{
    (void)state;
    const struct cut cut = {.start_us = INT64_C(360000000000) - 1, .end_us = INT64_C(360000000000)};
    struct cut_part part = cut_frame(&cut, 0, INT_MAX, INT_MAX);
    assert_int_equal(part.count, 0);
    int64_t start = INT64_C(360000) * INT_MAX - 2147;
    part = cut_frame(&cut, start - 1, INT_MAX, INT_MAX);
    assert_int_equal(part.from, 1);
    assert_int_equal(part.count, 2147);
    assert_true(part.is_over);
}

static void what_is_wanted_of_a_source_is_known_where_its_length_is(void **state)
{
    (void)state;
    const struct cut none = {0}, start = {.start_us = 3}, end = {.end_us = 7},
                     both = {.start_us = 3, .end_us = 7};
    assert_int_equal(cut_duration_us(&none, 10), 10);
    assert_int_equal(cut_duration_us(&start, 10), 7);
    assert_int_equal(cut_duration_us(&start, 2), 0);
    assert_int_equal(cut_duration_us(&end, 10), 7);
    assert_int_equal(cut_duration_us(&end, 5), 5);
    assert_int_equal(cut_duration_us(&both, 10), 4);
    assert_int_equal(cut_duration_us(&both, 0), 4);
    assert_int_equal(cut_duration_us(&start, 0), 0);
}

static void assert_span(const struct cut *cut, int64_t sound_start_us, int64_t begin_us,
                        int64_t end_us, int64_t new_begin_us, int64_t new_end_us)
{
    struct cut_span span = {.begin_us = begin_us, .end_us = end_us};
    assert_true(cut_span(cut, sound_start_us, &span));
    assert_true(span.begin_us == new_begin_us && span.end_us == new_end_us);
}

static void assert_no_span(const struct cut *cut, int64_t sound_start_us, int64_t begin_us,
                           int64_t end_us)
{
    struct cut_span span = {.begin_us = begin_us, .end_us = end_us};
    assert_false(cut_span(cut, sound_start_us, &span));
}

static void chapters_count_from_where_the_sound_begins(void **state)
{
    (void)state;
    const struct cut none = {0};
    assert_span(&none, 0, 3, 7, 3, 7);
    assert_span(&none, 2, 3, 7, 1, 5);
    assert_span(&none, 5, 3, 7, 0, 2);
    assert_span(&none, 8, 3, 7, 0, 0);
    assert_span(&none, -2, 3, 7, 5, 9);
    assert_span(&none, INT64_MAX / 4, -(INT64_MAX / 4), INT64_MAX / 4, 0, 0);
}

static void chapters_are_shifted_by_the_start_and_cut_by_the_end(void **state)
{
    (void)state;
    const struct cut cut = {.start_us = 10, .end_us = 20};
    assert_no_span(&cut, 0, 0, 9);
    assert_no_span(&cut, 0, 0, 10);
    assert_span(&cut, 0, 0, 11, 0, 1);
    assert_span(&cut, 0, 10, 10, 0, 0);
    assert_span(&cut, 0, 12, 18, 2, 8);
    assert_span(&cut, 0, 12, 21, 2, 10);
    assert_span(&cut, 0, 19, INT64_MAX / 4, 9, 10);
    assert_no_span(&cut, 0, 20, 30);
    const struct cut end = {.end_us = 20};
    assert_span(&end, 0, 0, 30, 0, 20);
    assert_no_span(&end, 0, 20, 20);
}

static void chapters_of_sound_that_begins_behind_the_start_count_from_there(void **state)
{
    (void)state;
    const struct cut cut = {.start_us = 10, .end_us = 20};
    assert_no_span(&cut, 13, 11, 13);
    assert_span(&cut, 13, 11, 15, 0, 2);
    assert_span(&cut, 13, 15, 25, 2, 7);
    const struct cut end = {.end_us = 20};
    assert_span(&end, 13, 15, 25, 2, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_wanted_where_nothing_is_cut),
        cmocka_unit_test(a_start_leaves_out_the_samples_before_it),
        cmocka_unit_test(an_end_leaves_out_the_samples_from_it_on),
        cmocka_unit_test(start_and_end_can_lie_in_one_frame),
        cmocka_unit_test(both_ends_are_rounded_to_the_nearest_sample),
        cmocka_unit_test(no_length_is_too_long_to_be_counted),
        cmocka_unit_test(what_is_wanted_of_a_source_is_known_where_its_length_is),
        cmocka_unit_test(chapters_count_from_where_the_sound_begins),
        cmocka_unit_test(chapters_are_shifted_by_the_start_and_cut_by_the_end),
        cmocka_unit_test(chapters_of_sound_that_begins_behind_the_start_count_from_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
