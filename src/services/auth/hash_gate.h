#pragma once

/* At most so many passwords are hashed at once, and so many wait their turn: memory and time of a
 * flood of logins are bounded by it. Thread-safe. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct hash_gate {
    /* Set by hash_gate_init(), then read-only. */
    uint64_t inside_max, waiting_max;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t left;
    uint64_t inside, waiting;
};

void hash_gate_init(struct hash_gate *gate, uint64_t inside_max, uint64_t waiting_max);
void hash_gate_finish(struct hash_gate *gate);

/* False: too many wait already, or it was not our turn within timeout_ms. */
bool hash_gate_enter(struct hash_gate *gate, int64_t timeout_ms);
void hash_gate_leave(struct hash_gate *gate);
