#include "media/frame_parts.h"

#include "support/cmocka_all.h"
#include <string.h>

/* 144 bytes: 24 kHz, mono, 48 kb/s. Its main data are as many bits of ones as said; all other bytes
 * of its slot are 0x5a. */
#define FRAME_SIZE 144
#define HEAD_SIZE 13

static void make(unsigned char frame[FRAME_SIZE], uint32_t begin, uint32_t bits)
{
    memset(frame, 0, HEAD_SIZE);
    memset(frame + HEAD_SIZE, 0x5a, FRAME_SIZE - HEAD_SIZE);
    mp3_frame_format(48, 24000, 1, frame);
    frame[4] = (unsigned char)begin;
    /* 8 bits begin, 1 private, then 12 of length. */
    frame[5] = (unsigned char)(bits >> 5);
    frame[6] = (unsigned char)(bits << 3);
}

static void main_data_are_found_before_their_frame(void **state)
{
    (void)state;
    unsigned char stream[3 * FRAME_SIZE];
    make(stream, 0, 100 * 8);
    make(stream + FRAME_SIZE, 31, 8 * 30 + 3); /* in what the first left over: 131 - 100 bytes */
    make(stream + 2 * FRAME_SIZE, 131, 131 * 8 + 5);
    memset(stream + HEAD_SIZE + 100, 0xff, 31);
    for (size_t piece = 1; piece <= sizeof stream; piece += 43) {
        static struct frame_parser parser;
        struct frame_parts parts;
        struct error error = {0};
        memset(&parser, 0, sizeof parser);
        uint32_t frames = 0, bits[3];
        for (size_t at = 0; at < sizeof stream; at += piece) {
            size_t size = sizeof stream - at < piece ? sizeof stream - at : piece;
            bool has_frame;
            frame_parser_add(&parser, stream + at, size);
            for (;;) {
                assert_true(frame_parser_next(&parser, &parts, &has_frame, &error));
                if (!has_frame)
                    break;
                assert_int_equal(parts.head_size, HEAD_SIZE);
                bits[frames++] = parts.main_data_bits;
                if (frames == 2) {
                    for (size_t i = 0; i < 30; i++)
                        assert_int_equal(parts.main_data[i], 0xff);
                    assert_int_equal(parts.main_data[30], 0xe0); /* of the last byte, its bits */
                    assert_int_equal(parts.left_over, 131);
                }
            }
        }
        assert_int_equal(frames, 3);
        assert_int_equal(bits[0], 800);
        assert_int_equal(bits[1], 243);
        assert_int_equal(bits[2], 1053);
    }
}

static void main_data_that_are_not_there_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t begin, bits;
    } wrong[] = {
        {1, 8},          /* in front of the first frame */
        {0, 131 * 8 + 1} /* past the slot */
    };
    for (size_t i = 0; i < 2; i++) {
        static struct frame_parser parser;
        unsigned char frame[FRAME_SIZE];
        struct frame_parts parts;
        struct error error = {0};
        bool has_frame;
        memset(&parser, 0, sizeof parser);
        make(frame, wrong[i].begin, wrong[i].bits);
        frame_parser_add(&parser, frame, sizeof frame);
        assert_false(frame_parser_next(&parser, &parts, &has_frame, &error));
        assert_int_equal(error.kind, ERROR_INTERNAL);
    }
    static struct frame_parser parser;
    struct frame_parts parts;
    struct error error = {0};
    bool has_frame;
    frame_parser_add(&parser, (const unsigned char *)"none", 4);
    assert_false(frame_parser_next(&parser, &parts, &has_frame, &error));
}

/* As far as a decoder would reach back over many small frames. */
static void the_reservoir_reaches_back_over_many_frames(void **state)
{
    (void)state;
    static struct frame_parser parser;
    memset(&parser, 0, sizeof parser);
    struct frame_parts parts;
    struct error error = {0};
    bool has_frame;
    unsigned char frame[FRAME_SIZE];
    for (uint32_t i = 0; i < 100; i++) {
        make(frame, i < 2 ? 0 : 255, 8);
        memset(frame + HEAD_SIZE, (int)i, FRAME_SIZE - HEAD_SIZE);
        frame_parser_add(&parser, frame, sizeof frame);
        assert_true(frame_parser_next(&parser, &parts, &has_frame, &error));
        assert_true(has_frame);
        /* 255 bytes back: in the slot of two frames before. */
        assert_int_equal(parts.main_data[0], i < 2 ? i : i - 2);
    }
}

static void what_two_encoders_can_differ_in_is_cleared(void **state)
{
    (void)state;
    struct frame_parts one = {.head_size = 36}, other = {.head_size = 36};
    mp3_frame_format(128, 44100, 2, one.head);
    mp3_frame_format(256, 44100, 2, other.head);
    assert_true(mp3_frame_parse(one.head, &one.frame));
    assert_true(mp3_frame_parse(other.head, &other.frame));
    one.head[4] = 0x12; /* main_data_begin: 9 bits */
    one.head[5] = 0xff;
    other.head[4] = 0xee;
    other.head[5] = 0x7f;
    frame_parts_clear_layout(&one);
    frame_parts_clear_layout(&other);
    assert_memory_equal(one.head, other.head, 36);
    assert_int_equal(one.head[5], 0x7f); /* the rest stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_data_are_found_before_their_frame),
        cmocka_unit_test(main_data_that_are_not_there_are_refused),
        cmocka_unit_test(the_reservoir_reaches_back_over_many_frames),
        cmocka_unit_test(what_two_encoders_can_differ_in_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
