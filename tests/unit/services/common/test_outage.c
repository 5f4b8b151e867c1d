#include "services/common/outage.h"

#include "support/cmocka_all.h"

#define LEASE_MS 30000

static void without_an_outage_nothing_is_waited_for(void **state)
{
    (void)state;
    struct outage outage = {0};
    assert_true(outage_allows_take_over(&outage, 0, LEASE_MS));
}

static void a_short_outage_is_waited_for_one_lease(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_note_failure(&outage, 100000, LEASE_MS);
    outage_note_failure(&outage, 105000, LEASE_MS);
    outage_note_answer(&outage, 106000);
    assert_false(outage_allows_take_over(&outage, 129999, LEASE_MS));
    assert_true(outage_allows_take_over(&outage, 130000, LEASE_MS));
}

static void after_a_long_outage_every_holder_can_renew_once(void **state)
{
    (void)state;
    struct outage outage = {0};
    for (int64_t at_ms = 100000; at_ms <= 700000; at_ms += 5000)
        outage_note_failure(&outage, at_ms, LEASE_MS);
    outage_note_answer(&outage, 702000);
    assert_false(outage_allows_take_over(&outage, 711999, LEASE_MS));
    outage_note_answer(&outage, 711999); /* the first counts */
    assert_true(outage_allows_take_over(&outage, 712000, LEASE_MS));
}

static void who_asks_seldom_waits_from_the_first_answer_on(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_note_failure(&outage, 100000, LEASE_MS);
    assert_false(outage_allows_take_over(&outage, 200000, LEASE_MS));
    outage_note_failure(&outage, 200000, LEASE_MS); /* no answer between: the same outage */
    outage_note_answer(&outage, 215000);
    assert_false(outage_allows_take_over(&outage, 224999, LEASE_MS));
    assert_true(outage_allows_take_over(&outage, 225000, LEASE_MS));
}

static void failures_far_apart_are_outages_of_their_own(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_note_failure(&outage, 100000, LEASE_MS);
    outage_note_answer(&outage, 101000);
    outage_note_failure(&outage, 200000, LEASE_MS);
    outage_note_answer(&outage, 201000);
    assert_false(outage_allows_take_over(&outage, 229999, LEASE_MS));
    assert_true(outage_allows_take_over(&outage, 230000, LEASE_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_outage_nothing_is_waited_for),
        cmocka_unit_test(a_short_outage_is_waited_for_one_lease),
        cmocka_unit_test(after_a_long_outage_every_holder_can_renew_once),
        cmocka_unit_test(who_asks_seldom_waits_from_the_first_answer_on),
        cmocka_unit_test(failures_far_apart_are_outages_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
