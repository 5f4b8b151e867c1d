#include "services/auth/hash_gate.h"

#include <time.h>

void hash_gate_init(struct hash_gate *gate, uint64_t inside_max, uint64_t waiting_max)
{
    *gate = (struct hash_gate){.inside_max = inside_max, .waiting_max = waiting_max};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->left, &attributes);
    pthread_condattr_destroy(&attributes);
}

void hash_gate_finish(struct hash_gate *gate)
{
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
}

static struct timespec deadline_after(int64_t timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nanoseconds = at.tv_nsec + timeout_ms % 1000 * 1000000;
    at.tv_sec += (time_t)(timeout_ms / 1000 + nanoseconds / 1000000000);
    at.tv_nsec = (long)(nanoseconds % 1000000000);
    return at;
}

bool hash_gate_enter(struct hash_gate *gate, int64_t timeout_ms)
{
    struct timespec deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&gate->lock);
    bool may_wait = gate->inside < gate->inside_max || gate->waiting < gate->waiting_max;
    int outcome = may_wait ? 0 : -1;
    gate->waiting++;
    while (outcome == 0 && gate->inside >= gate->inside_max)
        outcome = pthread_cond_timedwait(&gate->left, &gate->lock, &deadline);
    gate->waiting--;
    bool is_in = may_wait && gate->inside < gate->inside_max;
    if (is_in)
        gate->inside++;
    pthread_mutex_unlock(&gate->lock);
    return is_in;
}

void hash_gate_leave(struct hash_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->inside--;
    pthread_cond_signal(&gate->left);
    pthread_mutex_unlock(&gate->lock);
}
