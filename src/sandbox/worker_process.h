#pragma once

/* tapedeck-worker seen from outside: the one process that parses media, started clean, given one
 * conversion, watched, and always reaped. `convert` and the converter use it.
 *
 * The worker is the hostile side: it may have been taken over by the file that it reads. So every
 * frame from it is checked (sandbox/protocol.h), it can read nothing but ranges of its input and
 * write nothing but its output, and it holds no credentials, no files and no sockets. */

#include "base/error.h"
#include "model/conversion_options.h"
#include "sandbox/confine.h"
#include <stddef.h>
#include <stdint.h>

/* A place for workers: at most one process at a time. Belongs to the thread that prepares and runs
 * it, since a worker dies with that thread. */
struct worker_process;

/* Finds the program (beside the running one, else where `meson install` puts it); starts nothing
 * yet. ERROR_NOT_FOUND. */
MUST_CHECK bool worker_process_open(struct worker_process **out_process, struct error *error);
/* Starts a worker that has its libraries loaded and waits for its job: 30 ms of a conversion that
 * can be spent before there is one. Returns without waiting; nothing happens where one waits
 * already. worker_process_run() does the same where this was not called. */
MUST_CHECK bool worker_process_prepare(struct worker_process *process, struct error *error);
/* Kills and reaps a worker that waits. NULL is fine. */
void worker_process_close(struct worker_process *process);
void worker_process_closep(struct worker_process **process);

#define WORKER_SIZE_UNKNOWN UINT64_MAX
#define WORKER_THREADS_MAX CONFINE_ENCODERS_MAX
#define WORKER_TICK_MS 250 /* the longest time between two ticks, callbacks aside */

struct worker_job {
    const struct conversion_options *options; /* checked ones */
    uint64_t input_size;      /* bytes; WORKER_SIZE_UNKNOWN: it ends where read_at() is short */
    uint64_t output_size_max; /* a larger MP3 is FAILURE_TOO_LARGE; 0: 4 GiB - 1, what its own
                               * header can count */
    int64_t duration_max_ms;  /* longer sound is FAILURE_TOO_LONG; 0: no limit */
    uint32_t threads;         /* encoders at once, 1 to WORKER_THREADS_MAX */
    int64_t stall_max_ms;     /* without output while it waits for nothing of ours; sound on the
                               * way to start_seconds, or measured for loudness_lufs, counts while
                               * it comes faster than it plays; 0: no limit */
    int64_t deadline_ms;      /* of the whole run, from its start; 0: none */
    int cancel_fd;            /* readable: stop; never read from; -1: none */
};

struct worker_progress {
    double fraction;         /* 0 to 1, never less than before; of what is to be converted, as
                              * long as the file claims it is, else of its bytes; a guess, for
                              * display only */
    double position_seconds; /* of sound that is in the MP3 */
    double duration_seconds; /* what that will become; 0: unknown */
};

struct worker_result {
    uint64_t size_bytes;
    double duration_seconds;       /* of the sound, exact to the sample */
    double input_duration_seconds; /* as the file claims; 0: unknown */
    uint64_t samples;              /* the same, in samples a channel at sample_rate_hz */
    uint64_t frames;               /* without the Info frame */
    uint32_t bitrate_kbps; /* the one used, which may be lower than the one asked for; VBR: mean */
    uint32_t sample_rate_hz;
    uint32_t channels;
    bool is_truncated; /* the input ended or broke early: warning "truncated" */
};

/* All run in the thread that called worker_process_run(), one at a time. While one blocks nothing
 * else happens (no tick, no cancel), so each returns within seconds. Time spent in them never
 * counts as a stall. False ends the run: *error is then what worker_process_run() hands on. */
struct worker_callbacks {
    void *context;
    /* Short (or nothing) only at the end of the input. */
    bool (*read_at)(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error);
    /* Never past output_size_max, never past what was written so far, at most 256 KiB a call. Last
     * of all come a few hundred bytes behind the tag again: the MP3's Info frame, known only at the
     * end. */
    bool (*write_at)(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error);
    /* At least every WORKER_TICK_MS: where a lease is renewed and progress shown. */
    bool (*tick)(void *context, const struct worker_progress *progress, struct error *error);
};

enum worker_end {
    WORKER_DONE,      /* *out_result is set, the output is whole and verified */
    WORKER_REFUSED,   /* the input is at fault: error->failure says how; a retry cannot help */
    WORKER_BROKE,     /* it crashed, stalled, lied or ran past its deadline: accuses the input, but
                       * a retry may help; error->failure is INTERNAL or TIMED_OUT */
    WORKER_STOPPED,   /* tick() returned false (*error is its own), or cancel_fd was readable */
    WORKER_CALLBACK,  /* read_at() or write_at() failed: *error is its own */
    WORKER_NO_WORKER, /* it could not be started: ERROR_UNAVAILABLE and the like */
};

/* Converts one input. Blocks until it ends; the worker is dead and reaped on every return. *error
 * is set for all ends but WORKER_DONE. */
MUST_CHECK enum worker_end worker_process_run(struct worker_process *process,
                                              const struct worker_job *job,
                                              const struct worker_callbacks *callbacks,
                                              struct worker_result *out_result,
                                              struct error *error);
