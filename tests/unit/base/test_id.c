#include "base/id.h"

#include "base/clock.h"
#include "support/cmocka_all.h"
#include <string.h>

static void an_id_names_the_second_it_was_made_in(void **state)
{
    (void)state;
    int64_t before_ms = clock_wall_ms() / 1000 * 1000;
    struct id id = id_make();
    assert_int_equal(strlen(id.text), 24);
    assert_in_range(id_made_ms(&id), before_ms, clock_wall_ms());
}

static void ids_differ(void **state)
{
    (void)state;
    struct id a = id_make();
    struct id b = id_make();
    assert_false(id_is_equal(&a, &b));
    assert_memory_equal(a.text + 8, b.text + 8, 10); /* the process's five bytes */
}

static void parsing_takes_24_hex_digits_and_nothing_else(void **state)
{
    (void)state;
    struct error error = {0};
    struct id id;
    assert_true(id_parse("66F0aabbccddeeff00112233", &id, &error));
    assert_string_equal(id.text, "66f0aabbccddeeff00112233");
    const char *const wrong[] = {"",
                                 "66f0",
                                 "66f0aabbccddeeff0011223",
                                 "66f0aabbccddeeff001122334",
                                 "66f0aabbccddeeff0011223g",
                                 "../../../../../etc/passwd"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_false(id_parse(wrong[i], &id, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_names_the_second_it_was_made_in),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(parsing_takes_24_hex_digits_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
