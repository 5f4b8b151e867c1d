#pragma once

/* What a worker may say next. It is the hostile side: a frame that is well formed can still ask for
 * bytes past the end, write over what stands, keep itself alive for ever, or claim an MP3 that was
 * never written. The guard follows one conversion and refuses all of that. Pure. */

#include "sandbox/protocol.h"

struct worker_guard {
    /* Set at the start. */
    uint64_t input_size; /* or PROTOCOL_SIZE_UNKNOWN */
    uint64_t output_size_max;
    uint64_t duration_max_ms; /* 0: no limit */
    uint64_t prepared_us_max;

    /* Its own. */
    uint64_t written; /* bytes of the output so far, without gaps */
    bool has_rewritten;
    struct protocol_progress progress;
    uint64_t counted_us; /* of the sound prepared, as signs of life */
};

/* ERROR_BAD_INPUT: the worker broke the rules and is to be killed. */
MUST_CHECK bool worker_guard_read(const struct worker_guard *guard,
                                  const struct protocol_read *read, struct error *error);
/* In order, within the limit; then once more, as the last of all, a place that was written. */
MUST_CHECK bool worker_guard_write(struct worker_guard *guard, const struct protocol_write *write,
                                   struct error *error);
MUST_CHECK bool worker_guard_progress(struct worker_guard *guard,
                                      const struct protocol_progress *progress,
                                      struct error *error);
/* Is the sound prepared since this was last true a sign of life, after so long without another? It
 * is where it came faster than it would play, before the MP3 begins. */
MUST_CHECK bool worker_guard_is_preparing(struct worker_guard *guard, int64_t silent_ms);
MUST_CHECK bool worker_guard_result(const struct worker_guard *guard,
                                    const struct protocol_result *result, struct error *error);
