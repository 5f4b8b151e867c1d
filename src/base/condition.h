#pragma once

/* Condition variables that wait by CLOCK_MONOTONIC: a clock that is set makes no wait longer. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

void condition_init(pthread_cond_t *condition);
/* For pthread_cond_timedwait(). */
struct timespec condition_deadline(int64_t wait_ms);
/* Sets a flag that `lock` guards, and wakes all who wait for it. */
void condition_raise(pthread_cond_t *condition, pthread_mutex_t *lock, bool *flag);
