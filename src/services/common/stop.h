#pragma once

/* How a service's threads learn that it ends, and until when they may go on. */

#include "base/error.h"
#include <stdatomic.h>
#include <stdint.h>

struct stop {
    int fd; /* readable once told; never read from */
    _Atomic bool is_told;
    _Atomic int64_t end_boot_ms;
};

MUST_CHECK bool stop_open(struct stop *stop, struct error *error);
void stop_close(struct stop *stop);
/* From any thread, once: what runs may take within_ms more. */
void stop_tell(struct stop *stop, int64_t within_ms);
bool stop_is_told(const struct stop *stop);
/* INT64_MAX while nobody was told; never negative. */
int64_t stop_left_ms(const struct stop *stop);
/* Waits timeout_ms, or until it is told. True: go on. */
bool stop_wait(const struct stop *stop, int64_t timeout_ms);
/* For what must still be written down: waits timeout_ms even then, but not past the end. True:
 * there is time left. */
bool stop_linger(const struct stop *stop, int64_t timeout_ms);
