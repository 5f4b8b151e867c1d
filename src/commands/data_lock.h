#pragma once

/* data.dir belongs to one `serve` at a time: a lock on the file data.dir/lock, which its services
 * inherit, so that it is held until the last of them has ended, however that came about. */

#include "base/error.h"
#include <stdint.h>

/* Waits at most wait_max_ms for the services of a `serve` that ends, or until interrupt_fd is
 * readable (ERROR_UNAVAILABLE). ERROR_CONFLICT names the processes that hold it. The descriptor is
 * the caller's to close; the lock ends with its last copy. */
MUST_CHECK bool data_lock_take(const char *data_folder, int64_t wait_max_ms, int interrupt_fd,
                               int *out_fd, struct error *error);
/* Whether somebody holds it now. Makes nothing. */
MUST_CHECK bool data_lock_is_held(const char *data_folder, bool *out_is_held, struct error *error);
