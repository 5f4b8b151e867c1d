#include "base/condition.h"

#include "base/compiler.h"
#include "support/cmocka_all.h"
#include <errno.h>

static int64_t nanoseconds_of(struct timespec at)
{
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    condition_init(&condition);
    struct timespec deadline = condition_deadline(20);
    struct timespec now;
    pthread_mutex_lock(&lock);
    while (pthread_cond_timedwait(&condition, &lock, &deadline) != ETIMEDOUT)
        continue;
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_in_range(nanoseconds_of(now) - nanoseconds_of(deadline), 0, 10000000000);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&condition);
}

static void a_deadline_is_so_far_away_and_can_be_waited_for(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 1, 999, 1000, 1999, 90061001};
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        struct timespec before;
        struct timespec after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        struct timespec deadline = condition_deadline(waits_ms[i]);
        clock_gettime(CLOCK_MONOTONIC, &after);
        int64_t wait_ns = waits_ms[i] * 1000000;
        assert_in_range(deadline.tv_nsec, 0, 999999999);
        assert_true(nanoseconds_of(deadline) >= nanoseconds_of(before) + wait_ns);
        assert_true(nanoseconds_of(deadline) <= nanoseconds_of(after) + wait_ns);
    }
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t condition;
    bool is_raised;
};

static void *wait_for_flag(void *context)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    while (!waiting->is_raised)
        pthread_cond_wait(&waiting->condition, &waiting->lock);
    pthread_mutex_unlock(&waiting->lock);
    return NULL;
}

static void a_flag_that_is_raised_wakes_all_who_wait(void **state)
{
    (void)state;
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[3];
    condition_init(&waiting.condition);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_flag, &waiting), 0);
    condition_raise(&waiting.condition, &waiting.lock, &waiting.is_raised);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&waiting.condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_deadline_is_so_far_away_and_can_be_waited_for),
        cmocka_unit_test(a_flag_that_is_raised_wakes_all_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
