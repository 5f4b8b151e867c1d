#include "services/auth/hash_gate.h"

#include "base/condition.h"

void hash_gate_init(struct hash_gate *gate, uint64_t inside_max, uint64_t waiting_max)
{
    *gate = (struct hash_gate){.inside_max = inside_max, .waiting_max = waiting_max};
    pthread_mutex_init(&gate->lock, NULL);
    condition_init(&gate->left);
}

void hash_gate_finish(struct hash_gate *gate)
{
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
}

bool hash_gate_enter(struct hash_gate *gate, int64_t timeout_ms)
{
    struct timespec deadline = condition_deadline(timeout_ms);
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
