#include "media/info_frame.h"

#include "media/crc16.h"
#include "support/cmocka_all.h"
#include <string.h>

static const struct info_frame cbr = {
    .sample_rate_hz = 44100,
    .channels = 2,
    .bitrate_kbps = 128,
    .lowpass_hz = 17000,
    .source_rate_hz = 44100,
    .frames = 0x01020304,
    .size_bytes = 0x05060708,
    .delay_samples = 576,
    .padding_samples = 0xabc,
    .music_crc = 0x1234,
};

static void every_field_stands_in_its_place(void **state)
{
    (void)state;
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    assert_int_equal(info_frame_format(&cbr, bytes), 417);
    const unsigned char *tag = bytes + 36;
    assert_memory_equal(tag, "Info\0\0\0\x0f\1\2\3\4\5\6\7\x08", 16);
    const unsigned char *lame = tag + 120;
    assert_memory_equal(lame, "LAME3.", 6);
    assert_int_equal(lame[9], 1);    /* CBR */
    assert_int_equal(lame[10], 170); /* lowpass */
    assert_int_equal(lame[20], 128);
    assert_memory_equal(lame + 21, "\x24\x0a\xbc", 3); /* 576 and 0xabc in twelve bits each */
    assert_memory_equal(lame + 28, "\5\6\7\x08\x12\x34", 6);
    uint16_t crc = crc16_add(0, bytes, 190);
    assert_int_equal(lame[34] << 8 | lame[35], crc);
}

static void vbr_is_called_xing_and_does_not_depend_on_a_bitrate(void **state)
{
    (void)state;
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    struct info_frame info = cbr;
    info.is_vbr = true;
    size_t size = info_frame_size(&info);
    info.bitrate_kbps = 320;
    assert_int_equal(info_frame_size(&info), size);
    assert_int_equal(info_frame_format(&info, bytes), size);
    assert_memory_equal(bytes + 36, "Xing", 4);
    assert_int_equal(bytes[36 + 120 + 9], 4);
}

static void a_bitrate_too_small_for_the_tag_gets_a_larger_frame(void **state)
{
    (void)state;
    static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        for (uint32_t channels = 1; channels <= 2; channels++) {
            unsigned char bytes[INFO_FRAME_SIZE_MAX];
            struct mp3_frame frame;
            struct info_frame info = cbr;
            info.sample_rate_hz = rates[i];
            info.channels = channels;
            info.bitrate_kbps = mp3_bitrate_at_most(rates[i], 0);
            assert_int_equal(info_frame_format(&info, bytes), info_frame_size(&info));
            assert_true(mp3_frame_parse(bytes, &frame));
            assert_int_equal(frame.size, info_frame_size(&info));
            assert_in_range(frame.size, 4 + frame.side_info_size + 156, INFO_FRAME_SIZE_MAX);
        }
    }
}

static void what_was_written_is_found_again(void **state)
{
    (void)state;
    for (uint32_t channels = 1; channels <= 2; channels++) {
        unsigned char bytes[INFO_FRAME_SIZE_MAX];
        struct info_frame_found found;
        struct info_frame info = cbr;
        info.channels = channels;
        size_t size = info_frame_format(&info, bytes);
        assert_true(info_frame_parse(bytes, size, &found));
        assert_int_equal(found.frames, 0x01020304);
        assert_true(found.has_delays);
        assert_int_equal(found.delay_samples, 576);
        assert_int_equal(found.padding_samples, 0xabc);
    }
}

static void sound_is_no_info_frame(void **state)
{
    (void)state;
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    struct info_frame_found found;
    size_t size = info_frame_format(&cbr, bytes);
    for (size_t cut = 0; cut < 44; cut++) /* up to the flags' end */
        assert_false(info_frame_parse(bytes, cut, &found));
    bytes[36] = 'i';
    assert_false(info_frame_parse(bytes, size, &found));
    bytes[36] = 'I';
    bytes[0] = 0;
    assert_false(info_frame_parse(bytes, size, &found));
}

static void delays_are_believed_of_programs_that_write_them(void **state)
{
    (void)state;
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    struct info_frame_found found;
    size_t size = info_frame_format(&cbr, bytes);
    memcpy(bytes + 36 + 120, "Xing", 4);
    assert_true(info_frame_parse(bytes, size, &found));
    assert_false(found.has_delays);
    memcpy(bytes + 36 + 120, "Lavc", 4);
    assert_true(info_frame_parse(bytes, size, &found));
    assert_true(found.has_delays);
    /* Cut in front of the delays. */
    assert_true(info_frame_parse(bytes, 36 + 120 + 23, &found));
    assert_false(found.has_delays);
}

static void other_programs_info_frames_are_known_too(void **state)
{
    (void)state;
    struct info_frame_found found;
    unsigned char vbri[417] = {0xff, 0xfb, 0x90, 0x64};
    memcpy(vbri + 36, "VBRI", 4);
    assert_true(info_frame_parse(vbri, sizeof vbri, &found));
    assert_false(found.has_delays);
    /* Xing's own, with frames only, behind a CRC. */
    unsigned char xing[417] = {0xff, 0xfa, 0x90, 0x64};
    memcpy(xing + 38, "Xing\0\0\0\1\0\0\0\7LAME", 16);
    xing[38 + 12 + 21] = 0x12;
    assert_true(info_frame_parse(xing, sizeof xing, &found));
    assert_int_equal(found.frames, 7);
    assert_true(found.has_delays);
    assert_int_equal(found.delay_samples, 0x120);
}

static void a_copy_claims_nothing_about_its_encoder(void **state)
{
    (void)state;
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    struct info_frame info = cbr;
    info.is_copy = true;
    info.is_vbr = true;
    info.lowpass_hz = 0;
    info_frame_format(&info, bytes);
    const unsigned char *lame = bytes + 36 + 120;
    assert_memory_equal(lame - 4, "\0\0\0\x32", 4);
    assert_memory_equal(lame + 9, "\0\0", 2);
    assert_int_equal(lame[19], 0);
    info.is_vbr = false;
    info_frame_format(&info, bytes);
    assert_int_equal(lame[9], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_stands_in_its_place),
        cmocka_unit_test(vbr_is_called_xing_and_does_not_depend_on_a_bitrate),
        cmocka_unit_test(a_bitrate_too_small_for_the_tag_gets_a_larger_frame),
        cmocka_unit_test(what_was_written_is_found_again),
        cmocka_unit_test(sound_is_no_info_frame),
        cmocka_unit_test(delays_are_believed_of_programs_that_write_them),
        cmocka_unit_test(other_programs_info_frames_are_known_too),
        cmocka_unit_test(a_copy_claims_nothing_about_its_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
