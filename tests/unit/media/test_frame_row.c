#include "media/frame_row.h"

#include "support/cmocka_all.h"
#include <string.h>

static struct frame_parts make(uint32_t number)
{
    struct frame_parts parts = {
        .frame = {.bitrate_kbps = number % 2 == 0 ? 128 : 320, .sample_rate_hz = 44100},
        .head_size = 36,
        .main_data_bits = 8 * (number % 200) + number % 8,
        .left_over = number,
    };
    memset(parts.head, (int)number, parts.head_size);
    memset(parts.main_data, (int)~number, (parts.main_data_bits + 7) / 8);
    return parts;
}

static void frames_are_kept_until_they_are_forgotten(void **state)
{
    (void)state;
    struct frame_row row;
    frame_row_init(&row, 100);
    for (uint32_t i = 100; i < 3000; i++) {
        struct frame_parts parts = make(i);
        frame_row_add(&row, &parts);
        if (i % 500 == 0)
            frame_row_forget(&row, i - 50);
    }
    frame_row_forget(&row, 10); /* long ago */
    assert_int_equal(row.begin, 2450);
    assert_int_equal(frame_row_end(&row), 3000);
    for (uint32_t i = 2450; i < 3000; i++) {
        struct frame_parts parts, expected = make(i);
        frame_row_get(&row, i, &parts);
        assert_int_equal(parts.head_size, expected.head_size);
        assert_int_equal(parts.main_data_bits, expected.main_data_bits);
        assert_int_equal(parts.left_over, expected.left_over);
        assert_int_equal(parts.frame.bitrate_kbps, expected.frame.bitrate_kbps);
        assert_memory_equal(parts.head, expected.head, 36);
        assert_memory_equal(parts.main_data, expected.main_data, (expected.main_data_bits + 7) / 8);
        assert_int_equal(frame_row_left_over(&row, i), i);
        assert_int_equal(frame_row_is_largest(&row, i), i % 2 == 1);
    }
    frame_row_forget(&row, 3000);
    assert_int_equal(row.count, 0);
    frame_row_finish(&row);
}

static void frames_are_equal_bit_for_bit(void **state)
{
    (void)state;
    struct frame_parts parts = make(77);
    struct frame_row row, other;
    frame_row_init(&row, 77);
    frame_row_init(&other, 77);
    frame_row_add(&row, &parts);
    parts.left_over++; /* of the encoder, not of the frame */
    frame_row_add(&other, &parts);
    assert_true(frame_row_is_equal(&row, &other, 77));
    for (int i = 0; i < 3; i++) {
        struct frame_parts different = parts;
        different.head[35] ^= i == 0;
        different.main_data[parts.main_data_bits / 8] ^= i == 1 ? 0x80 : 0;
        different.main_data_bits += i == 2;
        struct frame_row third;
        frame_row_init(&third, 77);
        frame_row_add(&third, &different);
        assert_false(frame_row_is_equal(&row, &third, 77));
        frame_row_finish(&third);
    }
    frame_row_finish(&row);
    frame_row_finish(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_kept_until_they_are_forgotten),
        cmocka_unit_test(frames_are_equal_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
