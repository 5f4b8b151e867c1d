#include "services/gateway/cursor.h"

#include "support/cmocka_all.h"

static void a_cursor_comes_back_as_its_id(void **state)
{
    (void)state;
    struct error error = {0};
    for (int i = 0; i < 100; i++) {
        char cursor[CURSOR_SIZE];
        struct id id = id_make_random(), back;
        cursor_format(&id, cursor);
        assert_true(cursor_parse(cursor, &back, &error));
        assert_string_equal(back.text, id.text);
    }
}

static void what_is_none_of_ours_is_refused(void **state)
{
    (void)state;
    static const char *const cursors[] = {
        "",
        "x",
        "66f000000000000000000001",
        "MWbwAAAAAAAAAAAAAAA=",
        "MWbwAAAAAAAAAAAA",
        "MmbwAAAAAAAAAAAAAQ", /* another version */
        "MWbwAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAA",
        "MWbw/AAAAAAAAAAAAQ",
        "MWbw AAAAAAAAAAAAQ",
    };
    for (size_t i = 0; i < ARRAY_COUNT(cursors); i++) {
        struct error error = {0};
        struct id id = {{0}};
        if (cursor_parse(cursors[i], &id, &error))
            fail_msg("taken: %s", cursors[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_true(id_is_none(&id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_its_id),
        cmocka_unit_test(what_is_none_of_ours_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
