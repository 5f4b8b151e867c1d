#include "services/gateway/video_name.h"

#include "support/cmocka_all.h"
#include <string.h>

static void expect_clean(const char *name, const char *expected)
{
    char clean[CONVERSION_NAME_SIZE];
    memset(clean, 'x', sizeof clean);
    video_name_clean(name, strlen(name), clean);
    assert_string_equal(clean, expected);
}

static void a_name_is_the_last_part_of_any_path(void **state)
{
    (void)state;
    expect_clean("talk.mp4", "talk.mp4");
    expect_clean("../../etc/passwd", "passwd");
    expect_clean("C:\\Users\\me\\talk.mp4", "talk.mp4");
    expect_clean("/", "video");
    expect_clean("a/", "video");
    expect_clean("..", "video");
    expect_clean(".", "video");
    expect_clean("", "video");
    expect_clean("   ", "video");
    expect_clean("  a b  ", "a b");
}

static void what_could_deceive_is_left_out(void **state)
{
    (void)state;
    char clean[CONVERSION_NAME_SIZE];
    expect_clean("a\r\nSet-Cookie: x.mp4", "aSet-Cookie: x.mp4");
    expect_clean("gpj\xe2\x80\xae"
                 "3pm.exe",
                 "gpj3pm.exe");
    expect_clean("M\xc3\xbcller \xf0\x9f\x8e\xb5.mkv", "M\xc3\xbcller \xf0\x9f\x8e\xb5.mkv");
    expect_clean("\xff.mp4", "\xef\xbf\xbd.mp4");
    video_name_clean("a\0b.mp4", 7, clean);
    assert_string_equal(clean, "ab.mp4");
}

static void a_long_name_keeps_its_ending(void **state)
{
    (void)state;
    char name[5001];
    char clean[CONVERSION_NAME_SIZE];
    memset(name, 'a', sizeof name);
    memcpy(name + 4996, ".mp4", 5);
    video_name_clean(name, 5000, clean);
    assert_int_equal(strlen(clean), CONVERSION_NAME_SIZE - 1);
    assert_string_equal(clean + CONVERSION_NAME_SIZE - 5, ".mp4");

    /* No character is split. */
    for (int i = 0; i < 2500; i++)
        memcpy(name + 2 * i, "\xc3\xbc", 2);
    video_name_clean(name, 5000, clean);
    assert_int_equal(strlen(clean), 254);
}

static void the_mp3_is_named_after_the_video(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"talk.mp4", "talk.mp3"}, {"talk", "talk.mp3"},
        {"a.b.c", "a.b.mp3"},     {".hidden", ".hidden.mp3"},
        {"song.mp3", "song.mp3"}, {"Vol. 1, the second half", "Vol. 1, the second half.mp3"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        char mp3_name[CONVERSION_NAME_SIZE];
        video_name_to_mp3(pairs[i][0], mp3_name);
        assert_string_equal(mp3_name, pairs[i][1]);
    }

    char longest[CONVERSION_NAME_SIZE], mp3_name[CONVERSION_NAME_SIZE];
    for (size_t i = 0; i + 1 < sizeof longest; i += 3)
        memcpy(longest + i, "\xe2\x82\xac", 4);
    video_name_to_mp3(longest, mp3_name);
    assert_int_equal(strlen(mp3_name), 249 + 4); /* no character is split */
    assert_string_equal(mp3_name + 249, ".mp3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_the_last_part_of_any_path),
        cmocka_unit_test(what_could_deceive_is_left_out),
        cmocka_unit_test(a_long_name_keeps_its_ending),
        cmocka_unit_test(the_mp3_is_named_after_the_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
