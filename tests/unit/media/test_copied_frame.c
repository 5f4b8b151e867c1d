#include "media/copied_frame.h"

#include "support/cmocka_all.h"
#include <string.h>

/* 128 kb/s, 44.1 kHz, joint stereo: 36 bytes of head, a slot of 381. */
#define SIZE 417
#define HEAD 36

/* Main data of `bits` that begin `begin` bytes before the slot, which is filled with `fill`. */
static void make(unsigned char bytes[SIZE], unsigned begin, unsigned bits, unsigned char fill)
{
    memset(bytes, 0, HEAD);
    memset(bytes + HEAD, fill, SIZE - HEAD);
    memcpy(bytes, "\xff\xfb\x90\x64", 4);
    bytes[4] = (unsigned char)(begin >> 1);
    bytes[5] = (unsigned char)(begin << 7);
    /* The first granule's part2_3_length: twelve bits from bit 20 of the side information. */
    bytes[4 + 2] |= (unsigned char)(bits >> 8 & 0xf);
    bytes[4 + 3] = (unsigned char)bits;
}

static struct copied_frame parse(const unsigned char *bytes, size_t size)
{
    struct copied_frame frame;
    assert_true(copied_frame_parse(bytes, size, &frame));
    return frame;
}

static void mend(struct copied_reservoir *reservoir, unsigned char bytes[SIZE])
{
    struct copied_frame frame = parse(bytes, SIZE);
    copied_frame_mend(reservoir, &frame, bytes);
}

static bool is_silent(const unsigned char bytes[SIZE])
{
    /* Behind the nine bits of main_data_begin. */
    static const unsigned char silence[HEAD - 6];
    return (bytes[5] & 0x7f) == 0 && memcmp(bytes + 6, silence, sizeof silence) == 0;
}

static void a_frame_is_taken_for_what_it_is(void **state)
{
    (void)state;
    unsigned char bytes[SIZE + 10] = {0};
    make(bytes, 300, 2000, 1);
    struct copied_frame frame = parse(bytes, SIZE);
    assert_int_equal(frame.head_size, HEAD);
    assert_int_equal(frame.size, SIZE);
    assert_int_equal(frame.main_data.begin, 300);
    assert_int_equal(frame.main_data.bits, 2000);
    assert_false(frame.has_crc);
    /* Cut, or with something behind it. */
    assert_int_equal(parse(bytes, 5).size, 5);
    assert_int_equal(parse(bytes, SIZE + 10).size, SIZE);
    assert_false(copied_frame_parse(bytes, 3, &frame));
    assert_false(copied_frame_parse(bytes + 1, SIZE, &frame));
}

static void a_crc_stands_between(void **state)
{
    (void)state;
    unsigned char bytes[SIZE], with_crc[SIZE] = {0};
    make(bytes, 300, 2000, 1);
    memcpy(with_crc, bytes, 4);
    with_crc[1] = 0xfa;
    memcpy(with_crc + 6, bytes + 4, SIZE - 6);
    struct copied_frame frame = parse(with_crc, SIZE);
    assert_true(frame.has_crc);
    assert_int_equal(frame.head_size, HEAD + 2);
    assert_int_equal(frame.main_data.begin, 300);
    assert_int_equal(frame.main_data.bits, 2000);
}

static void side_information_that_no_decoder_takes_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[SIZE];
    struct copied_frame frame;
    /* The first granule's big_values, nine bits from bit 32: 288 is the most. */
    make(bytes, 0, 100, 1);
    bytes[8] = 288 >> 1;
    assert_true(copied_frame_parse(bytes, SIZE, &frame));
    bytes[9] |= 0x80;
    assert_false(copied_frame_parse(bytes, SIZE, &frame));
    /* window_switching_flag at bit 53, then the two bits of block_type. */
    make(bytes, 0, 100, 1);
    bytes[4 + 6] |= 0x04;
    assert_false(copied_frame_parse(bytes, SIZE, &frame));
    bytes[4 + 6] |= 0x01;
    assert_true(copied_frame_parse(bytes, SIZE, &frame));
}

static void a_good_row_of_frames_is_not_changed(void **state)
{
    (void)state;
    struct copied_reservoir reservoir = {0};
    /* 381 bytes a slot: the first uses 281, the second those left and 100 of its own. */
    static const struct {
        unsigned begin, bits;
    } row[] = {{0, 281 * 8 - 3}, {100, 200 * 8}, {281, 500 * 8}, {0, 0}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        unsigned char bytes[SIZE], before[SIZE];
        make(bytes, row[i].begin, row[i].bits, 7);
        memcpy(before, bytes, SIZE);
        mend(&reservoir, bytes);
        assert_memory_equal(bytes, before, SIZE);
    }
}

static void frames_whose_main_data_were_never_there_are_silent(void **state)
{
    (void)state;
    struct copied_reservoir reservoir = {0};
    unsigned char bytes[SIZE];
    make(bytes, 1, 100, 7);
    mend(&reservoir, bytes);
    assert_true(is_silent(bytes));
    assert_memory_equal(bytes, "\xff\xfb\x90\x64", 4);
    assert_int_equal(bytes[SIZE - 1], 7); /* its slot can hold what comes later */
    make(bytes, 381, 100, 7);
    mend(&reservoir, bytes);
    assert_false(is_silent(bytes));
    /* What another frame had already, and what reaches past the slot. */
    make(bytes, 501, 100, 7);
    mend(&reservoir, bytes);
    assert_false(is_silent(bytes));
    make(bytes, 511, 4000, 7);
    mend(&reservoir, bytes);
    assert_false(is_silent(bytes));
    make(bytes, 511, 100, 7);
    mend(&reservoir, bytes);
    assert_true(is_silent(bytes));
    make(bytes, 0, 381 * 8 + 1, 7);
    mend(&reservoir, bytes);
    assert_true(is_silent(bytes));
}

static void a_silent_frame_leaves_later_ones_their_main_data(void **state)
{
    (void)state;
    struct copied_reservoir reservoir = {0};
    unsigned char bytes[SIZE];
    make(bytes, 0, 181 * 8, 7); /* 200 bytes are left over */
    mend(&reservoir, bytes);
    make(bytes, 300, 100, 7);
    mend(&reservoir, bytes);
    assert_true(is_silent(bytes));
    assert_int_equal(bytes[4] << 1 | bytes[5] >> 7, 200);
    make(bytes, 511, 100, 7);
    mend(&reservoir, bytes);
    assert_false(is_silent(bytes));
    /* Half of what version 2 can say. */
    static const unsigned char version_2[208] = {0xff, 0xf3, 0x80, 0x64, 255};
    struct copied_frame frame = parse(version_2, sizeof version_2);
    unsigned char copy[208];
    memcpy(copy, version_2, sizeof copy);
    struct copied_reservoir full = {.slots_end = 1000, .main_data_end = 800};
    copied_frame_mend(&full, &frame, copy);
    assert_int_equal(copy[4], 200);
    full = (struct copied_reservoir){.slots_end = 1000, .main_data_end = 800};
    frame = parse(version_2, 100);
    full.main_data_end = 1;
    frame.main_data.begin = 1001;
    copied_frame_mend(&full, &frame, copy);
    assert_int_equal(copy[4], 255);
}

static void a_silent_frame_has_the_right_crc(void **state)
{
    (void)state;
    struct copied_reservoir reservoir = {0};
    unsigned char bytes[SIZE];
    make(bytes, 1, 0, 7);
    memmove(bytes + 6, bytes + 4, SIZE - 6);
    bytes[1] = 0xfa;
    mend(&reservoir, bytes);
    /* CRC-16/CMS (0x8005 from 0xffff) of 90 64 and 32 zeros, by other means. */
    uint32_t crc = 0xffff;
    unsigned char covered[34] = {0x90, 0x64};
    for (size_t i = 0; i < sizeof covered; i++) {
        crc ^= (uint32_t)covered[i] << 8;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? (crc << 1 ^ 0x8005) & 0xffff : crc << 1;
    }
    assert_int_equal(bytes[4] << 8 | bytes[5], crc);
}

static void a_cut_frame_becomes_whole(void **state)
{
    (void)state;
    struct copied_reservoir reservoir = {0};
    unsigned char bytes[SIZE];
    make(bytes, 0, 800, 7);
    struct copied_frame frame = parse(bytes, HEAD + 100);
    copied_frame_mend(&reservoir, &frame, bytes);
    assert_false(is_silent(bytes)); /* all that it needs is there */
    assert_int_equal(bytes[HEAD + 99], 7);
    assert_int_equal(bytes[HEAD + 100], 0);
    assert_int_equal(bytes[SIZE - 1], 0);
    for (size_t size = 4; size < HEAD + 100; size += 45) {
        make(bytes, 0, 800, 7);
        frame = parse(bytes, size);
        copied_frame_mend(&(struct copied_reservoir){0}, &frame, bytes);
        assert_true(is_silent(bytes));
    }
}

static void silence_is_a_frame_of_the_same_kind(void **state)
{
    (void)state;
    unsigned char bytes[MP3_FRAME_SIZE_MAX];
    /* With padding and CRC. */
    assert_int_equal(copied_frame_format_silence((const unsigned char *)"\xff\xfa\x92\x64", bytes),
                     SIZE);
    assert_memory_equal(bytes, "\xff\xfb\x90\x64", 4);
    assert_true(is_silent(bytes));
    assert_int_equal(parse(bytes, SIZE).main_data.bits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_taken_for_what_it_is),
        cmocka_unit_test(a_crc_stands_between),
        cmocka_unit_test(side_information_that_no_decoder_takes_is_refused),
        cmocka_unit_test(a_good_row_of_frames_is_not_changed),
        cmocka_unit_test(frames_whose_main_data_were_never_there_are_silent),
        cmocka_unit_test(a_silent_frame_leaves_later_ones_their_main_data),
        cmocka_unit_test(a_silent_frame_has_the_right_crc),
        cmocka_unit_test(a_cut_frame_becomes_whole),
        cmocka_unit_test(silence_is_a_frame_of_the_same_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
