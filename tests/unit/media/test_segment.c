#include "media/segment.h"

#include "media/segment_plan.h"
#include "support/cmocka_all.h"
#include <string.h>

/* Frames of one kind are equal. */
static void add(struct segment *segment, uint32_t frames, int kind, uint32_t left_over)
{
    struct frame_parts parts = {.head_size = 36, .main_data_bits = 80, .left_over = left_over};
    memset(parts.head, kind, parts.head_size);
    for (uint32_t i = 0; i < frames; i++)
        frame_row_add(&segment->row, &parts);
}

/* Segments of 400 frames; the nth begins 100 before the end of the one before. */
static void make(struct segment *segments[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        segments[i] = segment_create(i == 0 ? 0 : 400 * i - 100, 400 * (i + 1));
        if (i > 0)
            segments[i - 1]->later = segments[i];
    }
}

static void destroy(struct segment *segments[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        segment_destroy(segments[i]);
}

static void a_segment_hands_over_where_frames_were_equal_before_its_end(void **state)
{
    (void)state;
    struct segment *segments[2];
    make(segments, 2);
    add(segments[0], 399, 1, 0);
    add(segments[1], 150, 1, 0);
    assert_false(segment_join(segments[0])); /* its own frames come first */
    assert_int_equal(segment_certain_end(segments[0]), 399);
    add(segments[0], 1, 1, 0);
    assert_true(segment_join(segments[0]));
    assert_int_equal(segments[0]->cut, 400);
    assert_ptr_equal(segments[0]->successor, segments[1]);
    assert_int_equal(segments[0]->successor_begin, 300);
    assert_ptr_equal(segment_at(segments[0], 399), segments[0]);
    assert_ptr_equal(segment_at(segments[0], 400), segments[1]);
    destroy(segments, 2);
}

static void one_frame_that_differs_begins_the_evidence_anew(void **state)
{
    (void)state;
    struct segment *segments[2];
    make(segments, 2);
    add(segments[0], 600, 1, 0);
    add(segments[1], 100, 2, 0);
    add(segments[1], 30, 1, 0);
    add(segments[1], 1, 2, 0); /* number 430 */
    add(segments[1], 100, 1, 0);
    assert_true(segment_join(segments[0]));
    assert_int_equal(segments[0]->cut, 431 + SEGMENT_EVIDENCE_FRAMES);
    destroy(segments, 2);
}

static void what_was_compared_is_certain_and_the_rest_not_yet(void **state)
{
    (void)state;
    struct segment *segments[2];
    make(segments, 2);
    add(segments[0], 600, 1, 0);
    add(segments[1], 250, 2, 0); /* to 550 */
    assert_int_equal(segment_certain_end(segments[0]), 400);
    assert_false(segment_join(segments[0]));
    assert_int_equal(segment_certain_end(segments[0]), 550);
    segments[0]->state = SEGMENT_COMPLETE;
    assert_int_equal(segment_certain_end(segments[0]), 600);
    destroy(segments, 2);
}

static void what_the_later_one_had_left_over_must_be_there(void **state)
{
    (void)state;
    struct segment *segments[2];
    make(segments, 2);
    add(segments[0], 450, 1, 10);
    add(segments[0], 50, 1, 20);
    add(segments[1], 300, 1, 20);
    assert_true(segment_join(segments[0]));
    assert_int_equal(segments[0]->cut, 451);
    destroy(segments, 2);
}

static void a_segment_of_other_frames_is_passed_over(void **state)
{
    (void)state;
    struct segment *segments[3];
    make(segments, 3);
    add(segments[0], 700, 1, 0);
    add(segments[1], 600, 2, 0);
    add(segments[2], 120, 2, 0); /* 700 to 819 */
    add(segments[2], 200, 1, 0);
    assert_true(segment_join(segments[1]));
    assert_int_equal(segments[1]->cut, 800);
    assert_false(segment_join(segments[0]));
    add(segments[0], 300, 1, 0);
    assert_true(segment_join(segments[0]));
    assert_int_equal(segments[0]->cut, 820 + SEGMENT_EVIDENCE_FRAMES);
    assert_ptr_equal(segments[0]->successor, segments[2]);
    assert_int_equal(segments[0]->successor_begin, 700);
    destroy(segments, 3);
}

static void a_segment_that_nobody_follows_grows(void **state)
{
    (void)state;
    struct segment *segment = segment_create(0, 400);
    add(segment, 700, 1, 0);
    assert_int_equal(segment_certain_end(segment), 400);
    segment_extend(segment, 400);
    assert_int_equal(segment->hand_over, 800);
    assert_int_equal(segment_certain_end(segment), 700);
    segment_destroy(segment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_hands_over_where_frames_were_equal_before_its_end),
        cmocka_unit_test(one_frame_that_differs_begins_the_evidence_anew),
        cmocka_unit_test(what_was_compared_is_certain_and_the_rest_not_yet),
        cmocka_unit_test(what_the_later_one_had_left_over_must_be_there),
        cmocka_unit_test(a_segment_of_other_frames_is_passed_over),
        cmocka_unit_test(a_segment_that_nobody_follows_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
