#include "services/auth/throttle.h"

#include "base/compiler.h"
#include "support/cmocka_all.h"
#include <stdio.h>

#define PAIR_MAX 10

static bool may(struct throttle *throttle, const char *email, const char *address, int64_t now_ms)
{
    int64_t wait_ms = 0;
    return throttle_begin(throttle, email, address, now_ms, &wait_ms);
}

static int open_table(void **state)
{
    *state = throttle_create(PAIR_MAX);
    return 0;
}

static int close_table(void **state)
{
    throttle_destroy(*state);
    return 0;
}

static void the_pair_is_stopped_and_others_are_not(void **state)
{
    for (int i = 0; i < PAIR_MAX; i++)
        assert_true(may(*state, "a@example.org", "192.0.2.1", 1000));
    assert_false(may(*state, "a@example.org", "192.0.2.1", 1000));
    assert_true(may(*state, "a@example.org", "192.0.2.2", 1000));
    assert_true(may(*state, "b@example.org", "192.0.2.1", 1000));
}

static void the_addresses_of_one_network_are_one(void **state)
{
    char address[40];
    for (int i = 0; i < PAIR_MAX; i++) {
        snprintf(address, sizeof address, "2001:db8:0:1::%x", i + 1);
        assert_true(may(*state, "a@example.org", address, 1000));
    }
    assert_false(may(*state, "a@example.org", "2001:db8:0:1:ffff::1", 1000));
    assert_true(may(*state, "a@example.org", "2001:db8:0:2::1", 1000));
}

static void it_says_when_and_keeps_its_word(void **state)
{
    int64_t wait_ms = 0;
    for (int i = 0; i < PAIR_MAX; i++)
        assert_true(may(*state, "a@example.org", "192.0.2.1", 1000));
    assert_false(throttle_begin(*state, "a@example.org", "192.0.2.1", 1000, &wait_ms));
    assert_in_range(wait_ms, THROTTLE_WINDOW_MS / PAIR_MAX - 2, THROTTLE_WINDOW_MS / PAIR_MAX + 2);
    assert_false(may(*state, "a@example.org", "192.0.2.1", 1000 + wait_ms - 10));
    assert_true(may(*state, "a@example.org", "192.0.2.1", 1000 + wait_ms));
}

static void success_is_not_counted(void **state)
{
    for (int i = 0; i < 5 * PAIR_MAX; i++) {
        assert_true(may(*state, "a@example.org", "192.0.2.1", 1000));
        throttle_take_back(*state, "a@example.org", "192.0.2.1");
    }
}

static void one_address_that_tries_many_emails_is_stopped(void **state)
{
    char email[40];
    for (int i = 0; i < PAIR_MAX * THROTTLE_ADDRESS_FACTOR; i++) {
        snprintf(email, sizeof email, "user%d@example.org", i);
        assert_true(may(*state, email, "192.0.2.1", 1000));
    }
    assert_false(may(*state, "another@example.org", "192.0.2.1", 1000));
    assert_true(may(*state, "another@example.org", "192.0.2.2", 1000));
}

static void many_addresses_that_try_one_email_are_stopped(void **state)
{
    char address[40];
    for (int i = 0; i < PAIR_MAX * THROTTLE_EMAIL_FACTOR; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        assert_true(may(*state, "a@example.org", address, 1000));
    }
    assert_false(may(*state, "a@example.org", "203.0.113.1", 1000));
}

static void a_flood_of_others_does_not_free_who_is_stopped(void **state)
{
    char email[40], address[40];
    for (int i = 0; i < PAIR_MAX; i++)
        assert_true(may(*state, "a@example.org", "192.0.2.1", 1000));
    for (int i = 0; i < 100000; i++) {
        snprintf(email, sizeof email, "user%d@example.org", i);
        snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
        may(*state, email, address, 1000);
    }
    assert_false(may(*state, "a@example.org", "192.0.2.1", 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_pair_is_stopped_and_others_are_not, open_table,
                                        close_table),
        cmocka_unit_test_setup_teardown(the_addresses_of_one_network_are_one, open_table,
                                        close_table),
        cmocka_unit_test_setup_teardown(it_says_when_and_keeps_its_word, open_table, close_table),
        cmocka_unit_test_setup_teardown(success_is_not_counted, open_table, close_table),
        cmocka_unit_test_setup_teardown(one_address_that_tries_many_emails_is_stopped, open_table,
                                        close_table),
        cmocka_unit_test_setup_teardown(many_addresses_that_try_one_email_are_stopped, open_table,
                                        close_table),
        cmocka_unit_test_setup_teardown(a_flood_of_others_does_not_free_who_is_stopped, open_table,
                                        close_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
