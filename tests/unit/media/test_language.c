#include "media/language.h"

#include "support/cmocka_all.h"

static void two_and_three_letters_of_both_kinds_mean_the_same(void **state)
{
    (void)state;
    assert_true(language_is_equal("de", "deu"));
    assert_true(language_is_equal("deu", "ger"));
    assert_true(language_is_equal("GER", "de"));
    assert_true(language_is_equal("eng", "en"));
    assert_true(language_is_equal("pt-BR", "por"));
    assert_true(language_is_equal("nds", "nds")); /* has only one code */
}

static void different_languages_and_no_language_are_not_equal(void **state)
{
    (void)state;
    assert_false(language_is_equal("de", "en"));
    assert_false(language_is_equal("nds", "deu"));
    assert_false(language_is_equal("", ""));
    assert_false(language_is_equal("", "aar")); /* which has no bibliographic code */
    assert_false(language_is_equal("-", "-"));
    assert_false(language_is_equal("xx", "yy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_and_three_letters_of_both_kinds_mean_the_same),
        cmocka_unit_test(different_languages_and_no_language_are_not_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
