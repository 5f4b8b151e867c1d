#include "media/mp3_frame.h"

#include "support/cmocka_all.h"
#include <string.h>

static void headers_of_all_three_versions_are_understood(void **state)
{
    (void)state;
    struct mp3_frame frame;
    /* What LAME writes at 128 kb/s, 44.1 kHz, joint stereo, with padding. */
    assert_true(mp3_frame_parse((const unsigned char[]){0xff, 0xfb, 0x92, 0x64}, &frame));
    assert_int_equal(frame.bitrate_kbps, 128);
    assert_int_equal(frame.sample_rate_hz, 44100);
    assert_int_equal(frame.channels, 2);
    assert_int_equal(frame.samples, 1152);
    assert_int_equal(frame.size, 418);
    assert_int_equal(frame.side_info_size, 32);
    /* MPEG-2, 64 kb/s, 24 kHz, mono. */
    assert_true(mp3_frame_parse((const unsigned char[]){0xff, 0xf3, 0x84, 0xc4}, &frame));
    assert_int_equal(frame.bitrate_kbps, 64);
    assert_int_equal(frame.sample_rate_hz, 24000);
    assert_int_equal(frame.channels, 1);
    assert_int_equal(frame.samples, 576);
    assert_int_equal(frame.size, 192);
    assert_int_equal(frame.side_info_size, 9);
    /* MPEG-2.5, 8 kb/s, 8 kHz, mono. */
    assert_true(mp3_frame_parse((const unsigned char[]){0xff, 0xe3, 0x18, 0xc4}, &frame));
    assert_int_equal(frame.sample_rate_hz, 8000);
    assert_int_equal(frame.size, 72);
}

static void what_is_no_layer_three_header_is_refused(void **state)
{
    (void)state;
    static const unsigned char headers[][MP3_FRAME_HEADER_SIZE] = {
        {0x00, 0xfb, 0x90, 0x64}, /* no sync */
        {0xff, 0x1b, 0x90, 0x64}, /* half a sync */
        {0xff, 0xfd, 0x90, 0x64}, /* layer II */
        {0xff, 0xf9, 0x90, 0x64}, /* no layer */
        {0xff, 0xeb, 0x90, 0x64}, /* the version that does not exist */
        {0xff, 0xfb, 0x00, 0x64}, /* free format */
        {0xff, 0xfb, 0xf0, 0x64}, /* no bitrate */
        {0xff, 0xfb, 0x9c, 0x64}, /* no sample rate */
    };
    struct mp3_frame frame;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_false(mp3_frame_parse(headers[i], &frame));
}

static void every_rate_and_bitrate_survives_the_way_there_and_back(void **state)
{
    (void)state;
    static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        for (uint32_t kbps = 8; kbps <= 320; kbps++) {
            if (mp3_bitrate_at_most(rates[i], kbps) != kbps)
                continue;
            unsigned char header[MP3_FRAME_HEADER_SIZE];
            struct mp3_frame frame;
            mp3_frame_format(kbps, rates[i], 1 + kbps % 2, header);
            assert_true(mp3_frame_parse(header, &frame));
            assert_int_equal(frame.bitrate_kbps, kbps);
            assert_int_equal(frame.sample_rate_hz, rates[i]);
            assert_int_equal(frame.channels, 1 + kbps % 2);
            assert_in_range(frame.size, MP3_FRAME_HEADER_SIZE, MP3_FRAME_SIZE_MAX);
        }
    }
}

static void what_a_rate_says_of_its_frames_is_what_they_say(void **state)
{
    (void)state;
    static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        unsigned char header[MP3_FRAME_HEADER_SIZE];
        mp3_frame_format(mp3_bitrate_at_most(rates[i], UINT32_MAX), rates[i], 2, header);
        assert_int_equal(mp3_frame_samples(rates[i]), mp3_frame_parse_known(header).samples);
        assert_int_equal(mp3_bitrate_index_max(rates[i]), header[2] >> 4);
    }
}

static void where_main_data_begin_is_written_and_read_again(void **state)
{
    (void)state;
    static const uint32_t rates[] = {44100, 22050}, most[] = {511, 255};
    for (size_t i = 0; i < 2; i++) {
        unsigned char header[MP3_FRAME_HEADER_SIZE], side_info[32];
        mp3_frame_format(64, rates[i], 2, header);
        const struct mp3_frame frame = mp3_frame_parse_known(header);
        assert_int_equal(mp3_main_data_begin_max(&frame), most[i]);
        memset(side_info, 0xff, sizeof side_info);
        for (uint32_t begin = most[i]; begin > 0; begin /= 2) {
            mp3_main_data_set_begin(side_info, &frame, begin);
            assert_int_equal(mp3_main_data_parse(side_info, &frame).begin, begin);
        }
        assert_int_equal(side_info[1] & 0x7f, 0x7f); /* the rest stays */
        assert_int_equal(side_info[2], 0xff);
    }
}

static void a_bitrate_that_mpeg_does_not_know_becomes_the_next_lower(void **state)
{
    (void)state;
    assert_int_equal(mp3_bitrate_at_most(44100, 128), 128);
    assert_int_equal(mp3_bitrate_at_most(44100, 127), 112);
    assert_int_equal(mp3_bitrate_at_most(44100, 1000), 320);
    assert_int_equal(mp3_bitrate_at_most(22050, 320), 160);
    assert_int_equal(mp3_bitrate_at_most(8000, 128), 64);
    assert_int_equal(mp3_bitrate_at_most(44100, 8), 32); /* nothing is lower */
}

static void the_nearest_sample_rate_is_found(void **state)
{
    (void)state;
    assert_int_equal(mp3_sample_rate_nearest(44100), 44100);
    assert_int_equal(mp3_sample_rate_nearest(96000), 48000);
    assert_int_equal(mp3_sample_rate_nearest(1000), 8000);
    assert_int_equal(mp3_sample_rate_nearest(37800), 32000);
    assert_int_equal(mp3_sample_rate_nearest(38100), 44100);
    assert_int_equal(mp3_sample_rate_nearest(UINT32_MAX), 48000);
}

static void the_smallest_frame_for_a_size_is_found(void **state)
{
    (void)state;
    assert_int_equal(mp3_bitrate_for_size(44100, 2, 192), 64);
    assert_int_equal(mp3_bitrate_for_size(8000, 1, 169), 24);
    assert_int_equal(mp3_bitrate_for_size(44100, 2, 5000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_all_three_versions_are_understood),
        cmocka_unit_test(what_is_no_layer_three_header_is_refused),
        cmocka_unit_test(every_rate_and_bitrate_survives_the_way_there_and_back),
        cmocka_unit_test(what_a_rate_says_of_its_frames_is_what_they_say),
        cmocka_unit_test(where_main_data_begin_is_written_and_read_again),
        cmocka_unit_test(a_bitrate_that_mpeg_does_not_know_becomes_the_next_lower),
        cmocka_unit_test(the_nearest_sample_rate_is_found),
        cmocka_unit_test(the_smallest_frame_for_a_size_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
