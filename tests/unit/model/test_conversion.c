#include "model/conversion.h"

#include "conversion_fixture.h"
#include "support/cmocka_all.h"
#include <string.h>

static void the_mp3_id_follows_from_conversion_and_claim(void **state)
{
    (void)state;
    /* printf '66f0aabbccddeeff00112233:1' | sha256sum | cut -c1-24 */
    struct id first = conversion_mp3_id(&video_id, 1);
    assert_string_equal(first.text, "dc6279f1b10412fba249b0df");
    struct id eleventh = conversion_mp3_id(&video_id, 11);
    assert_string_equal(eleventh.text, "b5735287dbeee67f66d8248f");
}

static void states_have_names_and_are_found_by_them(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        enum conversion_state found;
        assert_true(
            conversion_state_parse(conversion_state_name((enum conversion_state)i), &found));
        assert_int_equal(found, i);
    }
    enum conversion_state found = CONVERSION_FAILED;
    assert_false(conversion_state_parse("", &found));
    assert_false(conversion_state_parse("Done", &found));
    assert_int_equal(found, CONVERSION_FAILED);
    assert_string_equal(conversion_role_name(CONVERSION_DUE_NOTIFY), "notify");
    assert_string_equal(conversion_notice_name(CONVERSION_NOTICE_SENDING), "sending");
}

static void due_means_the_role_and_the_time(void **state)
{
    (void)state;
    struct conversion record = queued();
    assert_false(conversion_is_due(&record, CONVERSION_DUE_CONVERT, record.due_at_ms - 1));
    assert_true(conversion_is_due(&record, CONVERSION_DUE_CONVERT, record.due_at_ms));
    assert_false(conversion_is_due(&record, CONVERSION_DUE_CLEAN, record.due_at_ms));
}

static void four_states_are_ends(void **state)
{
    (void)state;
    for (int i = CONVERSION_UPLOADING; i <= CONVERSION_DELETING; i++) {
        struct conversion record = {.state = (enum conversion_state)i};
        assert_int_equal(conversion_has_ended(&record), i >= CONVERSION_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mp3_id_follows_from_conversion_and_claim),
        cmocka_unit_test(states_have_names_and_are_found_by_them),
        cmocka_unit_test(due_means_the_role_and_the_time),
        cmocka_unit_test(four_states_are_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
