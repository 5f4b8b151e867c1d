/* The promises of stores/user_store/user_store.h. */

#include "stores/user_store/user_store.h"

#include "base/clock.h"
#include "contract.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *backend_name;

static int set_up(void **state)
{
    static struct contract contract;
    contract_init(&contract, "stores.users", backend_name);
    struct error error = {0};
    if (!user_store_migrate(contract.config, &error))
        fail_msg("%s", error.text);
    *state = &contract;
    return 0;
}

static int tear_down(void **state)
{
    contract_finish(*state);
    return 0;
}

static struct user_store *store_of(void **state)
{
    struct contract *contract = *state;
    struct user_store *store = NULL;
    struct error error = {0};
    if (!user_store_open(contract->config, &store, &error))
        fail_msg("%s", error.text);
    return store;
}

static struct user make_user(const char *email)
{
    struct user user = {.id = id_make(), .epoch = 1, .created_at_ms = clock_wall_ms()};
    user.epoch_at_ms = user.created_at_ms;
    snprintf(user.email, sizeof user.email, "%s", email);
    snprintf(user.password_hash, sizeof user.password_hash, "$argon2id$…");
    return user;
}

static void an_account_is_found_as_it_was_stored(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    struct user user = make_user("ada@example.test");
    user.is_admin = true;
    assert_true(user_store_check(store, &error));
    assert_true(user_store_insert(store, &user, &error));
    struct user found = {0};
    assert_true(user_store_find_by_email(store, "ada@example.test", &found, &error));
    assert_string_equal(found.id.text, user.id.text);
    assert_string_equal(found.password_hash, user.password_hash);
    assert_true(found.is_admin);
    assert_false(found.is_disabled);
    assert_int_equal(found.created_at_ms, user.created_at_ms);
    assert_true(user_store_find_by_id(store, &user.id, &found, &error));
    assert_string_equal(found.email, "ada@example.test");
}

static void case_does_not_tell_accounts_apart(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    struct user user = make_user("Ada@Example.test");
    assert_true(user_store_insert(store, &user, &error));
    struct user found = {0};
    assert_true(user_store_find_by_email(store, "aDA@example.TEST", &found, &error));
    assert_string_equal(found.email, "ada@example.test");
    struct user again = make_user("ADA@example.test");
    assert_false(user_store_insert(store, &again, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void nobody_is_not_found(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    const char *const nobody[] = {"", "x@example.test", "' OR 1=1 --", "%"};
    struct user found = {0};
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_COUNT(nobody); i++) {
        assert_false(user_store_find_by_email(store, nobody[i], &found, &error));
        assert_int_equal(error.kind, ERROR_NOT_FOUND);
    }
    char long_email[2 * CLAIMS_EMAIL_SIZE];
    memset(long_email, 'x', sizeof long_email);
    long_email[sizeof long_email - 1] = '\0';
    assert_false(user_store_find_by_email(store, long_email, &found, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

/* Whatever the text looks like to a database, it is a text: it finds only itself, and changes
 * nothing else. */
static void text_of_any_kind_is_only_text(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    static const char *const texts[] = {
        "' or '1'='1",
        "'; drop table user; --",
        "\\'; delete from user; -- ",
        "\\",
        "x' union select id, version, email, password_hash, 1, 0, 0, 0, 0, 0 from user --",
        "\xbf' or 1=1 -- ",
        "/*! or 1=1 */",
        "%",
        "_",
        "a@x.test ",
        "a@x.test\t",
        "\"a\"@x.test",
        "?",
        "%s%n",
        "1 or sleep(9)",
        "\xf0\x9f\x8d\xa3@x.test",
    };
    struct error error = {0};
    struct user victim = make_user("a@x.test");
    assert_true(user_store_insert(store, &victim, &error));
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct user found;
        assert_false(user_store_find_by_email(store, texts[i], &found, &error));
        assert_int_equal(error.kind, ERROR_NOT_FOUND);
        struct user user = make_user(texts[i]);
        snprintf(user.password_hash, sizeof user.password_hash, "%s", texts[i]);
        if (!user_store_insert(store, &user, &error)) {
            assert_int_equal(error.kind, ERROR_BAD_INPUT); /* not UTF-8 */
            continue;
        }
        assert_true(user_store_find_by_email(store, texts[i], &found, &error));
        assert_string_equal(found.id.text, user.id.text);
        assert_string_equal(found.password_hash, texts[i]);
        snprintf(user.email, sizeof user.email, "%s'", texts[i]);
        assert_true(user_store_update(store, &user, &error));
        assert_true(user_store_remove(store, &user.id, user.version, &error));
    }
    struct user page[2];
    size_t count = 0;
    assert_true(user_store_list(store, "", 2, page, &count, &error));
    assert_int_equal(count, 1);
    assert_string_equal(page[0].id.text, victim.id.text);
    assert_string_equal(page[0].password_hash, victim.password_hash);
    assert_int_equal(page[0].version, victim.version);
}

static void an_update_needs_the_version_that_is_stored(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    struct user user = make_user("ada@example.test");
    assert_true(user_store_insert(store, &user, &error));
    struct user stale = user;
    user.is_disabled = true;
    assert_true(user_store_update(store, &user, &error));
    assert_int_equal(user.version, stale.version + 1);
    assert_false(user_store_update(store, &stale, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_false(user_store_remove(store, &user.id, stale.version, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_true(user_store_remove(store, &user.id, user.version, &error));
    assert_false(user_store_find_by_id(store, &user.id, &user, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

/* Each of eight processes raises the epoch until its own write took: none may be lost. */
static void racing_updates_are_all_kept(void **state)
{
    enum { WRITERS = 8, ROUNDS = 5 };
    struct user user = make_user("ada@example.test");
    struct user_store *store = store_of(state);
    assert_true(user_store_insert(store, &user, NULL));
    user_store_close(store);
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] != 0)
            continue;
        store = store_of(state);
        for (int round = 0; round < ROUNDS;) {
            struct error error = {0};
            struct user mine;
            if (!user_store_find_by_id(store, &user.id, &mine, &error))
                _exit(1);
            mine.epoch++;
            if (user_store_update(store, &mine, &error))
                round++;
            else if (error.kind != ERROR_CONFLICT)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    store = store_of(state);
    assert_true(user_store_find_by_id(store, &user.id, &user, NULL));
    assert_int_equal(user.epoch, 1 + WRITERS * ROUNDS);
    user_store_close(store);
}

static void accounts_are_listed_by_email_in_pages(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    const char *const emails[] = {"c@x.test", "a@x.test", "b@x.test"};
    for (size_t i = 0; i < ARRAY_COUNT(emails); i++) {
        struct user user = make_user(emails[i]);
        assert_true(user_store_insert(store, &user, &error));
    }
    struct user page[2];
    size_t count = 0;
    assert_true(user_store_list(store, "", 2, page, &count, &error));
    assert_int_equal(count, 2);
    assert_string_equal(page[0].email, "a@x.test");
    assert_string_equal(page[1].email, "b@x.test");
    assert_true(user_store_list(store, page[1].email, 2, page, &count, &error));
    assert_int_equal(count, 1);
    assert_string_equal(page[0].email, "c@x.test");
}

static void raised_epochs_are_told_since_a_time(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    struct user old = make_user("old@x.test");
    old.epoch_at_ms = 1000;
    struct user raised = make_user("raised@x.test");
    raised.epoch_at_ms = 5000;
    assert_true(user_store_insert(store, &old, &error));
    assert_true(user_store_insert(store, &raised, &error));
    struct user found[4];
    size_t count = 0;
    struct id none = {{0}};
    assert_true(user_store_revoked(store, 5000, &none, 4, found, &count, &error));
    assert_int_equal(count, 1);
    assert_string_equal(found[0].email, "raised@x.test");
    assert_true(user_store_revoked(store, 5000, &raised.id, 4, found, &count, &error));
    assert_int_equal(count, 0);
}

static void what_is_being_erased_is_told_until_it_is_gone(void **state)
{
    CLEANUP(user_store_closep) struct user_store *store = store_of(state);
    struct error error = {0};
    struct user erased = make_user("erased@x.test");
    erased.epoch_at_ms = erased.erased_at_ms = 1000;
    assert_true(user_store_insert(store, &erased, &error));
    struct user found[4];
    size_t count = 0;
    struct id none = {{0}};
    assert_true(user_store_revoked(store, 5000, &none, 4, found, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(found[0].erased_at_ms, 1000);
    assert_true(user_store_remove(store, &erased.id, erased.version, &error));
    assert_true(user_store_revoked(store, 5000, &none, 4, found, &count, &error));
    assert_int_equal(count, 0);
}

static void without_a_schema_it_is_unavailable(void **state)
{
    (void)state;
    struct contract fresh;
    contract_init(&fresh, "stores.users", backend_name);
    struct user_store *store = NULL;
    struct error error = {0};
    assert_true(user_store_open(fresh.config, &store, &error));
    assert_false(user_store_check(store, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_true(user_store_migrate(fresh.config, &error));
    assert_true(user_store_migrate(fresh.config, &error));
    assert_true(user_store_check(store, &error));
    user_store_close(store);
    contract_finish(&fresh);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    backend_name = argv[1];
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_account_is_found_as_it_was_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(case_does_not_tell_accounts_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_of_any_kind_is_only_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_update_needs_the_version_that_is_stored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(racing_updates_are_all_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accounts_are_listed_by_email_in_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(raised_epochs_are_told_since_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_being_erased_is_told_until_it_is_gone, set_up,
                                        tear_down),
        cmocka_unit_test(without_a_schema_it_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
