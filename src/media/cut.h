#pragma once

/* Which samples of a source lie between start_seconds and end_seconds. Pure. */

#include <stdbool.h>
#include <stdint.h>

struct cut {
    int64_t start_us; /* of the source's time; 0: none, and what is before time 0 stays too */
    int64_t end_us;   /* 0: none */
};

/* Of one frame: the samples from `from` on, so many. */
struct cut_part {
    int from;
    int count;
    bool is_over; /* the frame reaches the end; nothing after it is wanted */
};

/* `at` is the frame's place in samples at its own rate, `samples` how long it is. The start is
 * rounded to the nearest sample, and so is the length from there to the end, as ffmpeg does. */
struct cut_part cut_frame(const struct cut *cut, int64_t at, int sample_rate_hz, int samples);

/* Something else of the source's, a chapter: bounds within ±INT64_MAX / 4. */
struct cut_span {
    int64_t begin_us;
    int64_t end_us; /* at least begin_us */
};

/* Changes a span of the source's time to one of what is wanted, whose sound begins at 0.
 * `sound_start_us` is where the source's begins. False: nothing of it is wanted. */
bool cut_span(const struct cut *cut, int64_t sound_start_us, struct cut_span *span);

/* How long of a source of that length is what is wanted; 0 where that is unknown. */
uint64_t cut_duration_us(const struct cut *cut, uint64_t source_duration_us);
