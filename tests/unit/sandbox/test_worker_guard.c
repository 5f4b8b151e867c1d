#include "sandbox/worker_guard.h"

#include "support/cmocka_all.h"

static struct worker_guard make_guard(void)
{
    return (struct worker_guard){
        .input_size = 1000, .output_size_max = 5000, .duration_max_ms = 10000};
}

static bool reads(const struct worker_guard *guard, uint64_t offset, uint32_t size)
{
    struct error error = {0};
    return worker_guard_read(guard, &(struct protocol_read){offset, size}, &error);
}

static bool writes(struct worker_guard *guard, uint64_t offset, uint32_t size)
{
    struct error error = {0};
    return worker_guard_write(guard, &(struct protocol_write){.offset = offset, .size = size},
                              &error);
}

static bool ends(const struct worker_guard *guard, const struct protocol_result *result)
{
    struct error error = {0};
    return worker_guard_result(guard, result, &error);
}

static void nothing_past_the_inputs_end_is_given(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    assert_true(reads(&guard, 0, 1000));
    assert_true(reads(&guard, 999, 1));
    assert_false(reads(&guard, 999, 2));
    assert_false(reads(&guard, 1001, 1));
    assert_false(reads(&guard, UINT64_MAX, 2));
    guard.input_size = PROTOCOL_SIZE_UNKNOWN;
    assert_true(reads(&guard, UINT64_C(1) << 40, 1));
    assert_false(reads(&guard, UINT64_MAX - 1, 1));
}

static void output_grows_without_gaps_up_to_its_limit(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    assert_false(writes(&guard, 1, 1));
    assert_true(writes(&guard, 0, 4000));
    assert_false(writes(&guard, 4001, 1));
    assert_false(writes(&guard, 3999, 2)); /* half old, half new */
    assert_false(writes(&guard, 4000, 1001));
    assert_true(writes(&guard, 4000, 1000));
    assert_false(writes(&guard, 5000, 1));
    assert_false(writes(&guard, UINT64_MAX, 2));
}

static void one_place_is_written_again_and_that_is_the_last_of_all(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    assert_true(writes(&guard, 0, 1000));
    assert_true(writes(&guard, 10, 400));
    assert_false(writes(&guard, 10, 400));
    assert_false(writes(&guard, 1000, 1));
}

static void time_does_not_run_back(void **state)
{
    (void)state;
    struct error error = {0};
    struct worker_guard guard = make_guard();
    struct protocol_progress progress = {.position_us = 5};
    assert_true(worker_guard_progress(&guard, &progress, &error));
    assert_true(worker_guard_progress(&guard, &progress, &error));
    progress.position_us = 4;
    assert_false(worker_guard_progress(&guard, &progress, &error));
}

static void sound_is_prepared_within_its_limit_and_before_the_rest(void **state)
{
    (void)state;
    struct error error = {0};
    struct worker_guard guard = make_guard();
    struct protocol_progress progress = {.prepared_us = 1};
    assert_false(worker_guard_progress(&guard, &progress, &error));
    guard.prepared_us_max = 10;
    assert_true(worker_guard_progress(&guard, &progress, &error));
    progress.prepared_us = 11;
    assert_false(worker_guard_progress(&guard, &progress, &error));
    progress.prepared_us = 0;
    assert_false(worker_guard_progress(&guard, &progress, &error));
    progress.prepared_us = 10;
    assert_true(worker_guard_progress(&guard, &progress, &error));
    assert_true(writes(&guard, 0, 1000));
    assert_true(worker_guard_progress(&guard, &progress, &error));
    guard.prepared_us_max = 20;
    progress.prepared_us = 11;
    assert_false(worker_guard_progress(&guard, &progress, &error));
}

static bool prepares(struct worker_guard *guard, uint64_t prepared_ms, int64_t silent_ms)
{
    struct error error = {0};
    const struct protocol_progress progress = {.prepared_us = prepared_ms * 1000};
    assert_true(worker_guard_progress(guard, &progress, &error));
    return worker_guard_is_preparing(guard, silent_ms);
}

static void sound_prepared_is_a_sign_of_life_where_it_comes_faster_than_it_plays(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    guard.prepared_us_max = 100000000;
    assert_false(prepares(&guard, 0, 0));
    assert_true(prepares(&guard, 1000, 1000));
    assert_false(prepares(&guard, 1000, 0)); /* counted already */
    assert_false(prepares(&guard, 1500, 501));
    assert_false(prepares(&guard, 2000, 1001));
    assert_true(prepares(&guard, 2100, 1100)); /* of all that time, fast enough in the end */
    /* A leap keeps nobody alive afterwards. */
    assert_true(prepares(&guard, 90000, 100));
    assert_false(prepares(&guard, 90000, 100));
    assert_false(prepares(&guard, 90099, 100));
}

static void once_the_mp3_begins_only_its_bytes_are_signs_of_life(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    guard.prepared_us_max = 100000000;
    assert_false(prepares(&guard, 5000, 6000));
    assert_true(writes(&guard, 0, 1));
    assert_false(prepares(&guard, 5000, 4000));
}

static void a_result_that_does_not_fit_what_was_written_is_a_lie(void **state)
{
    (void)state;
    struct worker_guard guard = make_guard();
    assert_true(writes(&guard, 0, 1000));
    struct protocol_result result = {
        .size_bytes = 1000, .samples = 1152, .frames = 1, .sample_rate_hz = 44100};
    assert_true(ends(&guard, &result));
    result.size_bytes = 1001;
    assert_false(ends(&guard, &result));
    result.size_bytes = 999;
    assert_false(ends(&guard, &result));
    result.size_bytes = 1000;
    result.samples = 1153;
    assert_false(ends(&guard, &result));
    result.samples = 0;
    assert_false(ends(&guard, &result));
    result.samples = UINT64_MAX;
    result.frames = UINT64_MAX;
    assert_false(ends(&guard, &result));
    result.samples = 44100 * 10;
    result.frames = 1000;
    assert_true(ends(&guard, &result));
    result.samples = 44100 * 10 + 45;
    assert_false(ends(&guard, &result)); /* longer than allowed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_past_the_inputs_end_is_given),
        cmocka_unit_test(output_grows_without_gaps_up_to_its_limit),
        cmocka_unit_test(one_place_is_written_again_and_that_is_the_last_of_all),
        cmocka_unit_test(time_does_not_run_back),
        cmocka_unit_test(sound_is_prepared_within_its_limit_and_before_the_rest),
        cmocka_unit_test(sound_prepared_is_a_sign_of_life_where_it_comes_faster_than_it_plays),
        cmocka_unit_test(once_the_mp3_begins_only_its_bytes_are_signs_of_life),
        cmocka_unit_test(a_result_that_does_not_fit_what_was_written_is_a_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
