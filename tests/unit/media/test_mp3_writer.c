#include "media/mp3_writer.h"

#include "media/crc16.h"
#include "media/info_frame.h"
#include "model/failure.h"
#include "support/cmocka_all.h"
#include <string.h>

/* A file in memory. */
static struct {
    unsigned char bytes[200000];
    size_t size;
    unsigned writes;
} file;

static bool write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error)
{
    (void)context;
    (void)error;
    assert_true(offset <= file.size && offset + size <= sizeof file.bytes);
    memcpy(file.bytes + offset, bytes, size);
    if (offset + size > file.size)
        file.size = offset + size;
    file.writes++;
    return true;
}

static const struct media_io io = {.write_at = write_at};

static const struct mp3_writer_settings settings = {
    .encoder = {.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 128},
    .delay_samples = 576,
    .source_rate_hz = 44100,
    .output_size_max = 150000,
};

static struct mp3_writer *create(const struct mp3_writer_settings *given)
{
    struct error error = {0};
    struct buffer tag = BUFFER_WITH_MAX(16);
    struct mp3_writer *writer = NULL;
    memset(&file, 0, sizeof file);
    assert_true(buffer_append_text(&tag, "a tag", &error));
    assert_true(mp3_writer_create(given, &io, &tag, &writer, &error));
    buffer_finish(&tag);
    return writer;
}

/* 417 bytes, 1152 samples. */
static const unsigned char frame[417] = {0xff, 0xfb, 0x90, 0x64, 1, 2, 3};

static void frames_in_pieces_of_any_size_become_an_mp3(void **state)
{
    (void)state;
    unsigned char stream[10 * sizeof frame];
    for (size_t i = 0; i < 10; i++)
        memcpy(stream + i * sizeof frame, frame, sizeof frame);
    for (size_t piece = 1; piece < 1000; piece += 83) {
        struct error error = {0};
        struct media_result result;
        struct mp3_writer *writer = create(&settings);
        for (size_t at = 0; at < sizeof stream; at += piece) {
            size_t size = sizeof stream - at < piece ? sizeof stream - at : piece;
            assert_true(mp3_writer_add(writer, stream + at, size, &error));
        }
        assert_true(mp3_writer_finish(writer, 10000, &result, &error));
        assert_int_equal(result.frames, 10);
        assert_int_equal(result.size_bytes, 5 + 11 * 417);
        assert_int_equal(file.size, result.size_bytes);
        assert_memory_equal(file.bytes, "a tag", 5);
        assert_memory_equal(file.bytes + 5 + 417, stream, sizeof stream);
        const unsigned char *tag = file.bytes + 5 + 36;
        assert_memory_equal(tag, "Info", 4);
        assert_memory_equal(tag + 8, "\0\0\0\x0a", 4);
        /* 11520 samples held, 576 in front, 10000 between: 944 are left. */
        assert_memory_equal(tag + 120 + 21, "\x24\x03\xb0", 3);
        uint16_t crc = crc16_add(0, stream, sizeof stream);
        assert_int_equal(tag[120 + 32] << 8 | tag[120 + 33], crc);
        mp3_writer_destroy(writer);
    }
}

static void what_is_no_row_of_frames_is_refused(void **state)
{
    (void)state;
    static const unsigned char other_rate[4] = {0xff, 0xfb, 0x94, 0x64};
    static const unsigned char other_bitrate[4] = {0xff, 0xfb, 0xa0, 0x64};
    static const unsigned char mono[4] = {0xff, 0xfb, 0x90, 0xc4};
    static const unsigned char none[4] = {'n', 'o', 'n', 'e'};
    const unsigned char *const wrong[] = {other_rate, other_bitrate, mono, none};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error error = {0};
        struct mp3_writer *writer = create(&settings);
        assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
        assert_false(mp3_writer_add(writer, wrong[i], 4, &error));
        assert_int_equal(error.kind, ERROR_INTERNAL);
        mp3_writer_destroy(writer);
    }
}

static void a_length_that_the_frames_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct media_result result;
    static const uint64_t wrong[] = {1153 * 10 - 576, 1152 * 10 - 576 - 4096};
    for (size_t i = 0; i < 2; i++) {
        struct mp3_writer *writer = create(&settings);
        for (size_t j = 0; j < 10; j++)
            assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
        assert_false(mp3_writer_finish(writer, wrong[i], &result, &error));
        assert_int_equal(error.kind, ERROR_INTERNAL);
        mp3_writer_destroy(writer);
    }
    struct mp3_writer *writer = create(&settings);
    assert_true(mp3_writer_add(writer, frame, sizeof frame - 1, &error));
    assert_false(mp3_writer_finish(writer, 100, &result, &error)); /* half a frame */
    mp3_writer_destroy(writer);
}

static void the_limit_holds_to_the_byte(void **state)
{
    (void)state;
    struct error error = {0};
    struct media_result result;
    struct mp3_writer_settings small = settings;
    small.output_size_max = 5 + 3 * 417;
    struct mp3_writer *writer = create(&small);
    assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
    assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
    assert_true(mp3_writer_finish(writer, 1000, &result, &error));
    assert_int_equal(result.size_bytes, small.output_size_max);
    mp3_writer_destroy(writer);

    writer = create(&small);
    assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
    assert_true(mp3_writer_add(writer, frame, sizeof frame, &error));
    assert_false(mp3_writer_add(writer, frame, 1, &error));
    assert_ptr_equal(error.failure, &FAILURE_TOO_LARGE);
    mp3_writer_destroy(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_pieces_of_any_size_become_an_mp3),
        cmocka_unit_test(what_is_no_row_of_frames_is_refused),
        cmocka_unit_test(a_length_that_the_frames_cannot_hold_is_refused),
        cmocka_unit_test(the_limit_holds_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
