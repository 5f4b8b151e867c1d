#pragma once

/* A thread that does one thing whenever it is asked to, so that who asks waits for it no longer
 * than is good: the work of a request that a store which hangs would hold. Thread-safe. */

#include <stdbool.h>
#include <stdint.h>

struct background;

/* `run` is called in that thread, never twice at once. Never fails: without a thread it aborts. */
struct background *background_open(void (*run)(void *context), void *context);
/* Begins, where it is not under way already. */
void background_ask(struct background *background);
/* False: it is still under way, `wait_ms` after it was asked for. Blocks until then. */
bool background_wait(struct background *background, int64_t wait_ms);
/* Waits for it to end, however long. NULL is fine. */
void background_close(struct background *background);
