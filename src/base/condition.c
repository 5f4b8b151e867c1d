#include "base/condition.h"

#include "base/clock.h"

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec condition_deadline(int64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nanoseconds = at.tv_nsec + wait_ms % CLOCK_SECOND_MS * 1000000;
    at.tv_sec += (time_t)(wait_ms / CLOCK_SECOND_MS + nanoseconds / 1000000000);
    at.tv_nsec = (long)(nanoseconds % 1000000000);
    return at;
}

void condition_raise(pthread_cond_t *condition, pthread_mutex_t *lock, bool *flag)
{
    pthread_mutex_lock(lock);
    *flag = true;
    pthread_cond_broadcast(condition);
    pthread_mutex_unlock(lock);
}
