#include "net/content_disposition.h"

#include "support/cmocka_all.h"
#include "base/compiler.h"
#include <string.h>

static void a_name_is_written_for_old_and_new_clients(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"talk.mp3", "attachment; filename=\"talk.mp3\""},
        {"a b.mp3", "attachment; filename=\"a b.mp3\""},
        {"caf\xc3\xa9.mp3", "attachment; filename=\"caf_.mp3\"; filename*=UTF-8''caf%C3%A9.mp3"},
        {"a\"b\r\nX: y",
         "attachment; filename=\"a_b__X: y\"; filename*=UTF-8''a%22b%0D%0AX%3A%20y"},
        {"a/b\\c%20", "attachment; filename=\"a_b_c_20\"; filename*=UTF-8''a%2Fb%5Cc%2520"},
        {"\xff.mp3", "attachment; filename=\"_.mp3\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = {0};
        struct buffer value = BUFFER_WITH_MAX(CONTENT_DISPOSITION_SIZE_MAX);
        assert_true(content_disposition_format(rows[i].name, &value, &error));
        assert_string_equal(buffer_text(&value), rows[i].value);
        buffer_finish(&value);
    }
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    struct error error = {0};
    char name[2000];
    memset(name, '\x7f', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct buffer value = BUFFER_WITH_MAX(CONTENT_DISPOSITION_SIZE_MAX);
    assert_true(content_disposition_format(name, &value, &error));
    buffer_finish(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_written_for_old_and_new_clients),
        cmocka_unit_test(the_longest_name_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
