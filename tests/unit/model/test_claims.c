#include "model/claims.h"

#include "base/json.h"
#include "model/failure.h"
#include "support/cmocka_all.h"
#include <string.h>

#define ISSUED_S 1795514400
#define EXPIRES_S (ISSUED_S + 86400)

static struct claims make_claims(void)
{
    return (struct claims){
        .user_id = {"66f0c0ffee00000000000001"},
        .email = "a@example.org",
        .is_admin = true,
        .epoch = 3,
        .issued_at_s = ISSUED_S,
        .expires_at_s = EXPIRES_S,
        .token_id = {"66f0c0ffee00000000000002"},
    };
}

static bool is_taken(json_t *json, int64_t now_s)
{
    struct error error = {0};
    struct claims claims = {.epoch = 99};
    bool taken = claims_from_json(json, now_s, &claims, &error);
    if (!taken) {
        assert_int_equal(error.kind, ERROR_DENIED);
        assert_ptr_equal(error.failure, &FAILURE_INVALID_TOKEN);
        assert_int_equal(claims.epoch, 99);
    }
    return taken;
}

static void claims_survive_json(void **state)
{
    (void)state;
    struct error error = {0};
    struct claims claims = make_claims();
    CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    assert_true(json_format(json, &text, &error));
    assert_string_equal(buffer_text(&text),
                        "{\"iss\":\"tapedeck\",\"aud\":\"tapedeck\","
                        "\"sub\":\"66f0c0ffee00000000000001\",\"username\":\"a@example.org\","
                        "\"admin\":true,\"epoch\":3,\"iat\":1795514400,\"exp\":1795600800,"
                        "\"jti\":\"66f0c0ffee00000000000002\"}");
    struct claims again = {0};
    assert_true(claims_from_json(json, ISSUED_S + 10, &again, &error));
    assert_true(id_is_equal(&again.user_id, &claims.user_id));
    assert_true(id_is_equal(&again.token_id, &claims.token_id));
    assert_string_equal(again.email, claims.email);
    assert_true(again.is_admin);
    assert_int_equal(again.epoch, 3);
    assert_int_equal(again.issued_at_s, ISSUED_S);
    assert_int_equal(again.expires_at_s, EXPIRES_S);
}

static void a_token_lives_from_its_issue_to_its_end(void **state)
{
    (void)state;
    struct claims claims = make_claims();
    CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
    assert_false(is_taken(json, ISSUED_S - 61));
    assert_true(is_taken(json, ISSUED_S - 60));
    assert_true(is_taken(json, EXPIRES_S + 59));
    assert_false(is_taken(json, EXPIRES_S + 60));
    assert_false(is_taken(json, INT64_MAX));
    assert_false(is_taken(json, INT64_MIN));
}

static void every_member_is_needed_and_checked(void **state)
{
    (void)state;
    const char *const members[] = {"iss",   "aud", "sub", "username", "admin",
                                   "epoch", "iat", "exp", "jti"};
    struct claims claims = make_claims();
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
        json_object_del(json, members[i]);
        assert_false(is_taken(json, ISSUED_S));
        json_set_take(json, members[i], json_array_make());
        assert_false(is_taken(json, ISSUED_S));
    }
    assert_false(is_taken(NULL, ISSUED_S));
}

static void a_token_for_others_is_not_ours(void **state)
{
    (void)state;
    const struct {
        const char *member, *value;
    } table[] = {
        {"iss", "tapedeck2"}, {"iss", ""}, {"aud", "Tapedeck"}, {"sub", "admin"}, {"jti", "none"}};
    struct claims claims = make_claims();
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
        json_set_text(json, table[i].member, table[i].value);
        assert_false(is_taken(json, ISSUED_S));
    }
    CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
    json_set_integer(json, "exp", INT64_MAX);
    assert_false(is_taken(json, ISSUED_S));
    json_set_integer(json, "exp", EXPIRES_S);
    assert_true(is_taken(json, ISSUED_S));
    json_set_integer(json, "epoch", -1);
    assert_false(is_taken(json, ISSUED_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_survive_json),
        cmocka_unit_test(a_token_lives_from_its_issue_to_its_end),
        cmocka_unit_test(every_member_is_needed_and_checked),
        cmocka_unit_test(a_token_for_others_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
