#include "media/id3.h"

#include "support/cmocka_all.h"
#include <stdlib.h>
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

static void chapters_follow_their_table_of_contents(void **state)
{
    (void)state;
    static const struct id3_chapter chapters[] = {{0, 1500, "Eins"}, {1500, 0x01020304, ""}};
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    id3_add_chapters(&tag, chapters, 2);
    static const char expected[] = "CTOC\0\0\0\x10\0\0toc\0\3\2chp0\0chp1\0"
                                   "CHAP\0\0\0\x24\0\0chp0\0\0\0\0\0\0\0\x05\xdc"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "TIT2\0\0\0\5\0\0\3Eins"
                                   "CHAP\0\0\0\x15\0\0chp1\0\0\0\x05\xdc\1\2\3\4"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_int_equal(tag.size, sizeof expected - 1);
    assert_memory_equal(tag.bytes, expected, sizeof expected - 1);
    buffer_finish(&tag);
}

static void as_many_chapters_as_can_be_counted_fit_beside_all_texts(void **state)
{
    (void)state;
    static char title[100000], text[2 * ID3_TEXT_SIZE_MAX];
    static struct id3_chapter chapters[ID3_CHAPTERS_MAX];
    memset(title, 0xff, sizeof title - 1);
    memset(text, 0xff, sizeof text - 1);
    for (size_t i = 0; i < ID3_CHAPTERS_MAX; i++)
        chapters[i] = (struct id3_chapter){0, UINT32_MAX - 1, title};
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    for (size_t i = 0; i < 20; i++)
        id3_add_text(&tag, "TXXX", text);
    size_t before = tag.size;
    id3_add_chapters(&tag, chapters, ID3_CHAPTERS_MAX);
    assert_true(tag.size > before + ID3_CHAPTERS_MAX * (size_t)(ID3_CHAPTER_TITLE_SIZE_MAX + 30));
    /* The last title: 42 characters, in place of bytes that are none, after its encoding. */
    assert_memory_equal(tag.bytes + tag.size - 133, "\0\0\0\x7f\0\0\3\xef\xbf\xbd", 10);
    unsigned char *picture = calloc(1, ID3_PICTURE_SIZE_MAX);
    memcpy(picture, "\xff\xd8\xff", 3);
    assert_true(id3_add_picture(&tag, picture, ID3_PICTURE_SIZE_MAX));
    free(picture);
    buffer_finish(&tag);
}

static void chapters_that_do_not_fit_leave_nothing(void **state)
{
    (void)state;
    static const struct id3_chapter chapters[] = {{0, 1, "a"}, {1, 2, "b"}};
    struct buffer tag = BUFFER_WITH_MAX(70);
    id3_add_chapters(&tag, chapters, 2);
    assert_int_equal(tag.size, 0);
    id3_add_chapters(&tag, chapters, 0);
    assert_int_equal(tag.size, 0);
    buffer_finish(&tag);
}

static void a_picture_has_the_type_that_its_first_bytes_say(void **state)
{
    (void)state;
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    assert_true(id3_add_picture(&tag, (const unsigned char *)"\xff\xd8\xff\xe0x", 5));
    assert_true(id3_add_picture(&tag, (const unsigned char *)"\x89PNG\r\n\x1a\nx", 9));
    static const char expected[] = "APIC\0\0\0\x13\0\0\0image/jpeg\0\3\0\xff\xd8\xff\xe0x"
                                   "APIC\0\0\0\x16\0\0\0image/png\0\3\0\x89PNG\r\n\x1a\nx";
    assert_int_equal(tag.size, sizeof expected - 1);
    assert_memory_equal(tag.bytes, expected, sizeof expected - 1);
    buffer_finish(&tag);
}

static void other_pictures_and_large_ones_are_left_out(void **state)
{
    (void)state;
    struct buffer tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    unsigned char *picture = calloc(1, ID3_PICTURE_SIZE_MAX + 1);
    memcpy(picture, "\xff\xd8\xff", 3);
    assert_false(id3_add_picture(&tag, picture, ID3_PICTURE_SIZE_MAX + 1));
    assert_false(id3_add_picture(&tag, picture, 3));
    assert_false(id3_add_picture(&tag, (const unsigned char *)"GIF89a??????", 12));
    assert_false(id3_add_picture(&tag, (const unsigned char *)"", 0));
    assert_int_equal(tag.size, 0);
    free(picture);
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
        cmocka_unit_test(chapters_follow_their_table_of_contents),
        cmocka_unit_test(as_many_chapters_as_can_be_counted_fit_beside_all_texts),
        cmocka_unit_test(chapters_that_do_not_fit_leave_nothing),
        cmocka_unit_test(a_picture_has_the_type_that_its_first_bytes_say),
        cmocka_unit_test(other_pictures_and_large_ones_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
