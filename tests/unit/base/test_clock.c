#include "base/clock.h"

#include "support/cmocka_all.h"
#include <string.h>
#include <time.h>

static void assert_times_read(int64_t wall_ms, const char *seconds, const char *milliseconds)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format_seconds(wall_ms, text);
    assert_string_equal(text, seconds);
    clock_format_milliseconds(wall_ms, text);
    assert_string_equal(text, milliseconds);
}

static void times_read_as_rfc_3339(void **state)
{
    (void)state;
    assert_times_read(0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z");
    assert_times_read(1795514400123, "2026-11-24T10:00:00Z", "2026-11-24T10:00:00.123Z");
    assert_times_read(951782400000, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z");
    /* Before 1970 the fraction still counts upwards. */
    assert_times_read(-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z");
}

static void a_time_out_of_all_bounds_does_no_harm(void **state)
{
    (void)state;
    const int64_t times[] = {INT64_MAX, INT64_MIN + 1000, CLOCK_DAY_MS * 365 * 10000};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[CLOCK_TEXT_SIZE];
        memset(text, 'x', sizeof text);
        clock_format_milliseconds(times[i], text);
        assert_non_null(memchr(text, '\0', sizeof text));
        memset(text, 'x', sizeof text);
        clock_format_seconds(times[i], text);
        assert_non_null(memchr(text, '\0', sizeof text));
    }
}

static void time_can_be_advanced(void **state)
{
    (void)state;
    int64_t wall_ms = clock_wall_ms();
    int64_t boot_ms = clock_boot_ms();
    assert_in_range(wall_ms, (int64_t)time(NULL) * 1000 - 2000, (int64_t)time(NULL) * 1000 + 2000);
    clock_advance_ms(CLOCK_DAY_MS);
    assert_in_range(clock_wall_ms() - wall_ms, CLOCK_DAY_MS, CLOCK_DAY_MS + 5000);
    assert_in_range(clock_boot_ms() - boot_ms, CLOCK_DAY_MS, CLOCK_DAY_MS + 5000);
    clock_advance_ms(-CLOCK_DAY_MS);
    assert_in_range(clock_boot_ms() - boot_ms, 0, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_read_as_rfc_3339),
        cmocka_unit_test(a_time_out_of_all_bounds_does_no_harm),
        cmocka_unit_test(time_can_be_advanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
