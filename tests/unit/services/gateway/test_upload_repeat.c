#include "services/gateway/upload.h"

#include "support/cmocka_all.h"
#include <stdio.h>

static struct conversion stored(void)
{
    struct conversion record = {.state = CONVERSION_QUEUED};
    snprintf(record.video.name, sizeof record.video.name, "talk.mp4");
    record.video.size_bytes = 1000;
    record.options.bitrate_kbps = 128;
    return record;
}

static struct upload_wish wished(void)
{
    struct upload_wish wish = {.has_length = true, .length = 1000, .has_name = true};
    snprintf(wish.name, sizeof wish.name, "talk.mp4");
    wish.options.bitrate_kbps = 128;
    return wish;
}

static void the_same_again_is_a_repeat(void **state)
{
    (void)state;
    struct conversion record = stored();
    struct upload_wish wish = wished();
    assert_true(upload_is_repeat(&wish, &wish.options, &record));
    wish.has_name = false; /* not given again: nothing to compare */
    wish.name[0] = '\0';
    assert_true(upload_is_repeat(&wish, &wish.options, &record));
    wish.has_length = false; /* chunked */
    assert_true(upload_is_repeat(&wish, &wish.options, &record));
}

static void another_size_name_or_option_is_none(void **state)
{
    (void)state;
    struct conversion record = stored();
    struct upload_wish wish = wished();
    wish.length = 1001;
    assert_false(upload_is_repeat(&wish, &wish.options, &record));
    wish = wished();
    wish.name[0] = 'T';
    assert_false(upload_is_repeat(&wish, &wish.options, &record));
    wish = wished();
    wish.options.bitrate_kbps = 192;
    assert_false(upload_is_repeat(&wish, &wish.options, &record));
    wish = wished();
    wish.options.channels = 1;
    assert_false(upload_is_repeat(&wish, &wish.options, &record));
}

static void a_form_is_longer_than_its_video(void **state)
{
    (void)state;
    struct conversion record = stored();
    struct upload_wish wish = wished();
    wish.is_form = true;
    wish.length = 1300;
    assert_true(upload_is_repeat(&wish, &wish.options, &record));
    wish.length = 1000;
    assert_false(upload_is_repeat(&wish, &wish.options, &record));
    record.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    assert_true(upload_is_repeat(&wish, &wish.options, &record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_again_is_a_repeat),
        cmocka_unit_test(another_size_name_or_option_is_none),
        cmocka_unit_test(a_form_is_longer_than_its_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
