#pragma once

/* A file beside the queue's database by which processes of one host tell each other two things.
 *
 * That something was published: the publisher writes a byte, and whoever waits is woken by inotify.
 * That a taker lives: each holds a lock on one byte, at an offset that it drew at random, for as
 * long as it is open. The kernel drops the lock when the process ends, however it ends; so what a
 * killed process had taken is known to be free at once, without a lease to renew or a clock to
 * trust. */

#include "base/error.h"
#include "base/file.h"
#include <stdint.h>

struct wake_file {
    char path[FILE_PATH_SIZE];
    int fd;        /* -1: not open */
    int notify_fd; /* -1: none; opened by the first wait */
    int64_t taker; /* 0: none yet; never 0 once it is open */
};

#define WAKE_FILE_CLOSED ((struct wake_file){.fd = -1, .notify_fd = -1})

/* Opens it where it is not open. */
MUST_CHECK bool wake_file_open(struct wake_file *file, struct error *error);
void wake_file_close(struct wake_file *file);

/* Who waits looks again. */
MUST_CHECK bool wake_file_ring(struct wake_file *file, struct error *error);
/* Has another handle, here or in another process, this taker's number? */
MUST_CHECK bool wake_file_is_alive(struct wake_file *file, int64_t taker, bool *out_is_alive,
                                   struct error *error);

/* Call it before looking for a message: forgets the rings so far, and hears all that come. */
MUST_CHECK bool wake_file_listen(struct wake_file *file, struct error *error);
/* Until a ring, interrupt_fd (-1: none) is readable, or the time is over. */
enum wake_cause { WAKE_RING, WAKE_INTERRUPT, WAKE_TIMEOUT };
enum wake_cause wake_file_wait(struct wake_file *file, int timeout_ms, int interrupt_fd);
