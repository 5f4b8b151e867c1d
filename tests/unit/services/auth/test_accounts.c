#include "services/auth/accounts.h"

#include "support/cmocka_all.h"
#include <string.h>

/* A store of one account, with a time of its own: what accounts decide is seen in it. */
static struct user stored;
static bool has_stored;
static int conflicts_to_come;

bool user_store_now(struct user_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)store;
    (void)error;
    *out_now_ms = 1700000000000;
    return true;
}

bool user_store_find_by_email(struct user_store *store, const char *email, struct user *out_user,
                              struct error *error)
{
    (void)store;
    if (!has_stored || strcmp(stored.email, email) != 0)
        return error_set(error, ERROR_NOT_FOUND, "none");
    *out_user = stored;
    return true;
}

bool user_store_insert(struct user_store *store, const struct user *user, struct error *error)
{
    (void)store;
    if (has_stored && strcmp(stored.email, user->email) == 0)
        return error_set(error, ERROR_CONFLICT, "taken");
    stored = *user;
    has_stored = true;
    return true;
}

bool user_store_update(struct user_store *store, struct user *user, struct error *error)
{
    (void)store;
    if (conflicts_to_come > 0) {
        conflicts_to_come--;
        stored.version++;
    }
    if (user->version != stored.version)
        return error_set(error, ERROR_CONFLICT, "another version");
    user->version++;
    stored = *user;
    return true;
}

static int reset(void **state)
{
    (void)state;
    has_stored = false;
    conflicts_to_come = 0;
    struct error error = {0};
    struct user user;
    if (!accounts_create(NULL, "Anna@Example.ORG", "correct horse", false, &user, &error))
        return -1;
    return 0;
}

static void an_email_is_kept_in_lower_case_and_taken_once(void **state)
{
    (void)state;
    struct error error = {0};
    struct user user;
    assert_string_equal(stored.email, "anna@example.org");
    assert_int_equal(stored.epoch, 0);
    assert_false(accounts_create(NULL, "ANNA@example.org", "correct horse", false, &user, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

/* Else gateways had to keep every account that an import made. */
static void a_new_account_revokes_nothing(void **state)
{
    (void)state;
    assert_int_equal(stored.epoch_at_ms, 0);
}

static void what_must_end_tokens_raises_the_epoch(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(accounts_set_password(NULL, "anna@example.org", "battery staple", &error));
    assert_int_equal(stored.epoch, 1);
    assert_true(accounts_set_disabled(NULL, "ANNA@example.org", true, &error));
    assert_int_equal(stored.epoch, 2);
    assert_true(stored.is_disabled);
    assert_true(accounts_set_admin(NULL, "anna@example.org", true, &error));
    assert_int_equal(stored.epoch, 3);
    assert_true(stored.is_admin);
    assert_int_equal(stored.epoch_at_ms, 1700000000000);
}

static void an_erased_account_keeps_no_password_and_is_not_changed_again(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(accounts_erase(NULL, "anna@example.org", &error));
    assert_true(stored.is_disabled);
    assert_string_equal(stored.password_hash, "");
    assert_int_equal(stored.erased_at_ms, 1700000000000);
    assert_int_equal(stored.epoch, 1);
    assert_false(accounts_set_disabled(NULL, "anna@example.org", false, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

static void a_change_that_others_overtake_is_made_again(void **state)
{
    (void)state;
    struct error error = {0};
    conflicts_to_come = 3;
    assert_true(accounts_set_disabled(NULL, "anna@example.org", true, &error));
    assert_true(stored.is_disabled);
    conflicts_to_come = 100;
    assert_false(accounts_set_disabled(NULL, "anna@example.org", false, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void what_is_no_email_is_refused(void **state)
{
    (void)state;
    static const char *const emails[] = {
        "",
        "a",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c.d",
        "a@b c",
        "a\n@b.c",
        "a@.b",
        "a@b.",
        "a@b..c",
        "<a@b.c>",
        "a,b@c.d",
        "\"a\"@b.c",
        "a@b.c\r\nBcc: d@e.f",
        "\xff@b.c",
        "a@b_c",
        "a\xe2\x80\xa8@b.c",
        "a@b\xc2\x85.c",
    };
    for (size_t i = 0; i < ARRAY_COUNT(emails); i++) {
        struct error error = {0};
        char email[CLAIMS_EMAIL_SIZE];
        if (accounts_check_email(emails[i], email, &error))
            fail_msg("taken: %s", emails[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    struct error error = {0};
    char email[CLAIMS_EMAIL_SIZE];
    char longest[CLAIMS_EMAIL_SIZE + 1];
    memset(longest, 'a', sizeof longest);
    longest[10] = '@';
    longest[CLAIMS_EMAIL_SIZE - 1] = '\0';
    assert_true(accounts_check_email(longest, email, &error));
    longest[CLAIMS_EMAIL_SIZE - 1] = 'a';
    longest[CLAIMS_EMAIL_SIZE] = '\0';
    assert_false(accounts_check_email(longest, email, &error));
    assert_true(accounts_check_email("M\xc3\xbcller+x@b\xc3\xbc"
                                     "cher.example",
                                     email, &error));
}

static void a_password_has_8_to_1024_bytes(void **state)
{
    (void)state;
    struct error error = {0};
    char password[1026];
    memset(password, 'p', sizeof password);
    password[1025] = '\0';
    assert_false(accounts_check_password(password, &error));
    password[1024] = '\0';
    assert_true(accounts_check_password(password, &error));
    assert_true(accounts_check_password("12345678", &error));
    assert_false(accounts_check_password("1234567", &error));
    assert_false(accounts_check_password("1234567\n8", &error));
    assert_false(accounts_check_password("1234567\xff", &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_email_is_kept_in_lower_case_and_taken_once, reset),
        cmocka_unit_test_setup(a_new_account_revokes_nothing, reset),
        cmocka_unit_test_setup(what_must_end_tokens_raises_the_epoch, reset),
        cmocka_unit_test_setup(an_erased_account_keeps_no_password_and_is_not_changed_again, reset),
        cmocka_unit_test_setup(a_change_that_others_overtake_is_made_again, reset),
        cmocka_unit_test(what_is_no_email_is_refused),
        cmocka_unit_test(a_password_has_8_to_1024_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
