#include "services/auth/passwords.h"

#include "support/cmocka_all.h"
#include <string.h>

static void a_password_fits_its_own_hash_and_no_other(void **state)
{
    (void)state;
    struct error error = {0};
    char hash[USER_PASSWORD_HASH_SIZE];
    char again[USER_PASSWORD_HASH_SIZE];
    assert_true(password_hash("correct horse", hash, &error));
    assert_true(password_hash("correct horse", again, &error));
    assert_string_not_equal(hash, again);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(password_verify(hash, "correct horse"));
    assert_false(password_verify(hash, "correct horsf"));
    assert_false(password_verify(hash, ""));
    assert_false(password_verify("", "correct horse"));
    assert_false(password_verify("correct horse", "correct horse"));
    assert_false(password_is_outdated(hash));
    assert_true(password_check_hash(hash, &error));
}

static void a_hash_of_other_parameters_is_taken_and_outdated(void **state)
{
    (void)state;
    struct error error = {0};
    /* "password", from the reference implementation's own tests: t = 2, m = 64 KiB. */
    static const char hash[] = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$"
                               "XABHcvfUpXZ6S4LVtP7+zlvz5gC1WqGDxjHs3Y2QNJc";
    assert_true(password_check_hash(hash, &error));
    assert_true(password_is_outdated(hash));
}

static void a_hash_that_is_none_or_too_costly_is_refused(void **state)
{
    (void)state;
    static const char *const hashes[] = {
        "",
        "secret",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2d$v=19$m=64,t=2,p=1$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$m=64,t=2,p=1$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$v=19$m=64,t=17,p=1$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$v=19$m=64,t=2,p=0$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$v=19$m=99999999999999999999,t=2,p=1$c29tZXNhbHQ$XABHcvfU",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ",
    };
    for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
        struct error error = {0};
        if (password_check_hash(hashes[i], &error))
            fail_msg("taken: %s", hashes[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_fits_its_own_hash_and_no_other),
        cmocka_unit_test(a_hash_of_other_parameters_is_taken_and_outdated),
        cmocka_unit_test(a_hash_that_is_none_or_too_costly_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
