#include "media/frame_layout.h"

#include "support/cmocka_all.h"
#include "support/encode.h"
#include <string.h>

#define SECONDS 50
#define STREAM_SIZE_MAX (8U << 20)

static struct heard heard;

static void make_sound(uint32_t sample_rate_hz)
{
    heard_make(&heard, sample_rate_hz, (size_t)SECONDS * sample_rate_hz, SOUND_IN_TURN);
}

static void encode(const struct encoder_settings *settings, size_t from, struct buffer *out)
{
    struct error error = {0};
    assert_true(encode_at_once(settings, &heard, from, out, &error));
}

/* Takes frames apart from number `from` on and lays them out; as many as there are to `to`. */
static void lay_out(struct frame_layout *layout, const struct buffer *stream, uint32_t from,
                    uint32_t to, struct buffer *out)
{
    static struct frame_parser parser;
    memset(&parser, 0, sizeof parser);
    struct error error = {0};
    struct frame_parts parts;
    uint32_t number = 0;
    for (size_t at = 0; at < stream->size; at += 1000) {
        size_t size = stream->size - at < 1000 ? stream->size - at : 1000;
        bool has_frame = true;
        frame_parser_add(&parser, (const unsigned char *)stream->bytes + at, size);
        for (;;) {
            assert_true(frame_parser_next(&parser, &parts, &has_frame, &error));
            if (!has_frame)
                break;
            if (number >= from && number < to && !frame_layout_add(layout, &parts, out, &error))
                fail_msg("frame %u: %s", number, error.text);
            number++;
        }
    }
}

/* Every setting that LAME has a way of its own for. */
static const struct encoder_settings all_settings[] = {
    {.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 32},
    {.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 128},
    {.sample_rate_hz = 44100, .channels = 1, .bitrate_kbps = 112},
    {.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 320},
    {.sample_rate_hz = 48000, .channels = 2, .bitrate_kbps = 256},
    {.sample_rate_hz = 32000, .channels = 1, .bitrate_kbps = 320},
    {.sample_rate_hz = 24000, .channels = 1, .bitrate_kbps = 8},
    {.sample_rate_hz = 24000, .channels = 2, .bitrate_kbps = 8}, /* slots of three bytes */
    {.sample_rate_hz = 22050, .channels = 2, .bitrate_kbps = 64},
    {.sample_rate_hz = 16000, .channels = 2, .bitrate_kbps = 160},
    {.sample_rate_hz = 11025, .channels = 2, .bitrate_kbps = 32},
    {.sample_rate_hz = 8000, .channels = 1, .bitrate_kbps = 8},
    {.sample_rate_hz = 8000, .channels = 2, .bitrate_kbps = 64},
    {.sample_rate_hz = 44100, .channels = 2, .is_vbr = true, .vbr_quality = 0},
    {.sample_rate_hz = 44100, .channels = 2, .is_vbr = true, .vbr_quality = 2},
    {.sample_rate_hz = 48000, .channels = 1, .is_vbr = true, .vbr_quality = 9},
    {.sample_rate_hz = 24000, .channels = 2, .is_vbr = true, .vbr_quality = 5},
    {.sample_rate_hz = 22050, .channels = 2, .is_vbr = true, .vbr_quality = 4},
    {.sample_rate_hz = 8000, .channels = 2, .is_vbr = true, .vbr_quality = 0},
};

static void what_one_encoder_made_comes_out_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all_settings / sizeof all_settings[0]; i++) {
        const struct encoder_settings *settings = &all_settings[i];
        struct buffer stream = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct buffer out = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct frame_layout layout;
        struct error error = {0};
        make_sound(settings->sample_rate_hz);
        encode(settings, 0, &stream);
        frame_layout_init(&layout, settings->is_vbr);
        lay_out(&layout, &stream, 0, UINT32_MAX, &out);
        assert_true(frame_layout_end(&layout, &out, &error));
        if (out.size != stream.size || memcmp(out.bytes, stream.bytes, out.size) != 0)
            fail_msg("settings %zu: %zu bytes became %zu others", i, stream.size, out.size);
        frame_layout_finish(&layout);
        buffer_finish(&stream);
        buffer_finish(&out);
    }
}

/* Frames of an encoder that had more left over, the largest among them, always fit: what comes out
 * is taken apart again, which main data that overlap or are missing would not survive. */
static void frames_of_an_encoder_that_began_elsewhere_fit(void **state)
{
    (void)state;
    static const struct encoder_settings settings = {
        .sample_rate_hz = 44100, .channels = 2, .is_vbr = true, .vbr_quality = 0};
    make_sound(settings.sample_rate_hz);
    uint64_t random = 1;
    for (uint32_t channel = 0; channel < 2; channel++) /* bursts that take all there is */
        for (size_t i = 0; i < heard.samples; i++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            if (i / 3000 % 3 != 0)
                heard.channels[channel][i] = (float)(int16_t)(random >> 48);
        }
    struct buffer whole = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
    encode(&settings, 0, &whole);
    for (uint32_t from = 101; from < 1200; from += 97) {
        struct buffer late = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct buffer out = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct buffer again = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct frame_layout layout, second;
        struct error error = {0};
        encode(&settings, (size_t)from * 1152, &late);
        frame_layout_init(&layout, true);
        lay_out(&layout, &whole, 0, from, &out);
        lay_out(&layout, &late, 0, UINT32_MAX, &out);
        assert_true(frame_layout_end(&layout, &out, &error));
        frame_layout_init(&second, true);
        lay_out(&second, &out, 0, UINT32_MAX, &again);
        assert_true(frame_layout_end(&second, &again, &error));
        frame_layout_finish(&layout);
        frame_layout_finish(&second);
        buffer_finish(&late);
        buffer_finish(&out);
        buffer_finish(&again);
    }
    buffer_finish(&whole);
}

static void main_data_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct frame_parts parts = {.head_size = 36, .main_data_bits = (417 - 36) * 8 + 1};
    mp3_frame_format(128, 44100, 2, parts.head);
    assert_true(mp3_frame_parse(parts.head, &parts.frame));
    struct buffer out = BUFFER_WITH_MAX(FRAME_LAYOUT_OUT_SIZE_MAX);
    struct frame_layout layout;
    struct error error = {0};
    frame_layout_init(&layout, false);
    assert_false(frame_layout_add(&layout, &parts, &out, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
    parts.main_data_bits--;
    assert_true(frame_layout_add(&layout, &parts, &out, &error));
    assert_int_equal(out.size, 417);
    frame_layout_finish(&layout);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_encoder_made_comes_out_as_it_was),
        cmocka_unit_test(frames_of_an_encoder_that_began_elsewhere_fit),
        cmocka_unit_test(main_data_that_do_not_fit_are_refused),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    heard_finish(&heard);
    return result;
}
