#include "media/cut.h"

#define MILLION 1000000

/* In two steps: a hundred hours at the highest rate would overflow in one. */
static int64_t to_samples(int64_t us, int64_t sample_rate_hz)
{
    return us / MILLION * sample_rate_hz + (us % MILLION * sample_rate_hz + MILLION / 2) / MILLION;
}

/* How many of the frame's samples lie before `place`. */
static int count_before(int64_t place, int64_t at, int samples)
{
    if (place <= at)
        return 0;
    /* Without overflow, wherever a broken file puts its frames. */
    uint64_t distance = (uint64_t)place - (uint64_t)at;
    return distance < (uint64_t)samples ? (int)distance : samples;
}

struct cut_part cut_frame(const struct cut *cut, int64_t at, int sample_rate_hz, int samples)
{
    int64_t start = to_samples(cut->start_us, sample_rate_hz);
    int first = cut->start_us != 0 ? count_before(start, at, samples) : 0;
    int last = samples;
    if (cut->end_us != 0)
        last = count_before(start + to_samples(cut->end_us - cut->start_us, sample_rate_hz), at,
                            samples);
    return (struct cut_part){
        .from = first,
        .count = last > first ? last - first : 0,
        .is_over = last < samples,
    };
}

bool cut_span(const struct cut *cut, int64_t sound_start_us, struct cut_span *span)
{
    /* Where sound begins later than it is asked for, there is no silence in front of it. */
    int64_t start_us = sound_start_us;
    if (cut->start_us != 0 && cut->start_us > start_us)
        start_us = cut->start_us;
    bool is_before = cut->start_us != 0 && span->begin_us < start_us && span->end_us <= start_us;
    if (is_before || (cut->end_us != 0 && span->begin_us >= cut->end_us))
        return false;
    if (cut->end_us != 0 && span->end_us > cut->end_us)
        span->end_us = cut->end_us;
    span->begin_us = span->begin_us > start_us ? span->begin_us - start_us : 0;
    span->end_us = span->end_us > start_us ? span->end_us - start_us : 0;
    return true;
}

uint64_t cut_duration_us(const struct cut *cut, uint64_t source_duration_us)
{
    uint64_t start_us = (uint64_t)cut->start_us;
    uint64_t end_us = (uint64_t)cut->end_us;
    if (source_duration_us == 0) /* what is asked for is likely to be there */
        return end_us != 0 ? end_us - start_us : 0;
    if (end_us == 0 || end_us > source_duration_us)
        end_us = source_duration_us;
    return end_us > start_us ? end_us - start_us : 0;
}
