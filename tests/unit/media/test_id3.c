#include "media/id3.h"

#include "support/cmocka_all.h"
#include <string.h>

static void a_tag_has_its_header_and_frames(void **state)
{
    (void)state;
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    id3_add_text(&tag, "TIT2", "Ein Lied");
    id3_add_comment(&tag, "c");
    id3_finish(&tag);
    static const char expected[] = "ID3\4\0\0\0\0\0\x23"
                                   "TIT2\0\0\0\x09\0\0\3Ein Lied"
                                   "COMM\0\0\0\x06\0\0\3und\0c";
    assert_int_equal(tag.size, sizeof expected - 1);
    assert_memory_equal(tag.bytes, expected, sizeof expected - 1);
    buffer_finish(&tag);
}

static void nothing_to_say_is_no_tag(void **state)
{
    (void)state;
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    id3_add_text(&tag, "TIT2", "");
    id3_add_text(&tag, "TPE1", "\x01\x02"); /* nothing is left of it */
    id3_finish(&tag);
    assert_int_equal(tag.size, 0);
    buffer_finish(&tag);
}

static void sizes_have_seven_bits_a_byte(void **state)
{
    (void)state;
    static char text[1001];
    memset(text, 'x', 1000);
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    id3_add_text(&tag, "TIT2", text);
    id3_finish(&tag);
    assert_memory_equal(tag.bytes + 6, "\0\0\7\x73", 4);  /* 7 × 128 + 115 = 1011 */
    assert_memory_equal(tag.bytes + 14, "\0\0\7\x69", 4); /* 7 × 128 + 105 = 1001 */
    buffer_finish(&tag);
}

static void a_hostile_text_is_cut_and_made_utf8(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, 0xff, sizeof text - 1);
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    id3_add_text(&tag, "TIT2", text);
    id3_finish(&tag);
    assert_in_range(tag.size, 100, 3 * ID3_TEXT_SIZE_MAX + 100);
    assert_memory_equal(tag.bytes + 21, "\xef\xbf\xbd", 3);
    buffer_finish(&tag);
}

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    struct buffer tag = BUFFER_WITH_MAX(40);
    id3_add_text(&tag, "TIT2", "this text is longer than the tag may be");
    id3_add_text(&tag, "TPE1", "short");
    id3_finish(&tag);
    assert_int_equal(tag.size, 10 + 10 + 6);
    assert_memory_equal(tag.bytes + 10, "TPE1", 4);
    buffer_finish(&tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_has_its_header_and_frames),
        cmocka_unit_test(nothing_to_say_is_no_tag),
        cmocka_unit_test(sizes_have_seven_bits_a_byte),
        cmocka_unit_test(a_hostile_text_is_cut_and_made_utf8),
        cmocka_unit_test(what_does_not_fit_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
