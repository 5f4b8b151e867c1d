#include "services/gateway/revocations.h"

#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

static const char list[] =
    "{\"revocations\":[{\"sub\":\"66f000000000000000000002\",\"epoch\":3},"
    "{\"sub\":\"66f000000000000000000001\",\"epoch\":1,\"erased_at_ms\":5}]}";

static struct claims claims_of(const char *id, int64_t epoch)
{
    struct claims claims = {.epoch = epoch};
    snprintf(claims.user_id.text, sizeof claims.user_id.text, "%s", id);
    return claims;
}

static void a_smaller_epoch_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(revocations_finish) struct revocations revocations = {0};
    assert_true(revocations_parse(list, strlen(list), &revocations, &error));
    assert_int_equal(revocations.count, 2);
    struct claims old = claims_of("66f000000000000000000002", 2);
    struct claims new = claims_of("66f000000000000000000002", 3);
    struct claims other = claims_of("66f000000000000000000003", 0);
    struct claims first = claims_of("66f000000000000000000001", 0);
    assert_true(revocations_refuse(&revocations, &old));
    assert_false(revocations_refuse(&revocations, &new));
    assert_false(revocations_refuse(&revocations, &other));
    assert_true(revocations_refuse(&revocations, &first));
    assert_true(revocations.entries[0].is_erased);
    assert_false(revocations.entries[1].is_erased);
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"revocations\":{}}",
        "{\"revocations\":[1]}",
        "{\"revocations\":[{\"sub\":\"x\",\"epoch\":1}]}",
        "{\"revocations\":[{\"sub\":\"66f000000000000000000002\"}]}",
        "{\"revocations\":[{\"sub\":\"66f000000000000000000002\",\"epoch\":-1}]}",
        ("{\"revocations\":[{\"sub\":\"66f000000000000000000002\",\"epoch\":1,"
         "\"erased_at_ms\":true}]}"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct error error = {0};
        struct revocations revocations = {0};
        if (revocations_parse(texts[i], strlen(texts[i]), &revocations, &error))
            fail_msg("taken: %s", texts[i]);
    }
    struct claims claims = claims_of("66f000000000000000000001", 0);
    const struct revocations none = {0};
    assert_false(revocations_refuse(&none, &claims));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_smaller_epoch_is_refused),
        cmocka_unit_test(what_is_no_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
