#include "media/segment_plan.h"

#include <assert.h>

static uint64_t divide_up(uint64_t number, uint64_t by)
{
    assert(by >= 1);
    return number / by + (number % by != 0 ? 1 : 0);
}

static uint64_t at_least(uint64_t number, uint64_t least)
{
    return number < least ? least : number;
}

struct segment_plan segment_plan_make(uint64_t frames, uint32_t encoders)
{
    struct segment_plan plan = {
        .frames = frames, .encoders = encoders, .longest = SEGMENT_FRAMES_HELD};
    if (encoders == 1)
        return plan;
    /* Then segment_plan_ahead() is SEGMENT_FRAMES_HELD for each encoder but one. */
    uint64_t staggered = (uint64_t)SEGMENT_FRAMES_HELD * encoders / (encoders - 1);
    uint64_t share = divide_up(frames, encoders);
    uint64_t rounds = divide_up(share, SEGMENT_FRAMES_HELD);
    uint64_t staggered_rounds = divide_up(share, staggered);
    plan.is_staggered = frames == 0 || staggered_rounds < rounds;
    if (frames == 0)
        plan.longest = staggered;
    else
        plan.longest = at_least(divide_up(share, staggered_rounds), SEGMENT_FRAMES_MIN);
    return plan;
}

/* As the first segments take 1, 2, 3… steps, the last ones do, seen from the end. */
static uint64_t steps_to_the_end(const struct segment_plan *plan, uint64_t frames_left)
{
    uint64_t steps = 1;
    while (steps < plan->encoders &&
           steps * (steps + 1) / 2 * plan->longest < frames_left * plan->encoders)
        steps++;
    return steps;
}

uint64_t segment_plan_length(const struct segment_plan *plan, uint64_t number, uint64_t from)
{
    if (!plan->is_staggered)
        return plan->longest;
    uint64_t steps = number < plan->encoders ? number + 1 : plan->encoders;
    if (from < plan->frames) {
        uint64_t last_steps = steps_to_the_end(plan, plan->frames - from);
        steps = steps < last_steps ? steps : last_steps;
    }
    return at_least(divide_up(plan->longest * steps, plan->encoders), SEGMENT_FRAMES_MIN);
}

uint64_t segment_plan_ahead(const struct segment_plan *plan)
{
    uint64_t others = plan->encoders - 1;
    if (!plan->is_staggered)
        return others * plan->longest;
    /* One step less than a segment for each of them. */
    return divide_up(others * others * plan->longest, plan->encoders);
}

uint64_t segment_plan_period_frames(uint32_t sample_rate_hz)
{
    /* 144000 × kb/s ÷ 44100 leaves 49ths of a byte; all other rates' frames are whole bytes. */
    return sample_rate_hz % 11025 == 0 ? 49 : 1;
}

uint64_t segment_plan_take_over(uint64_t frame, uint64_t frames_done, uint64_t period_frames)
{
    assert(frame >= SEGMENT_FRAMES_MIN);
    uint64_t begin = frame - SEGMENT_LEAD_IN_FRAMES;
    uint64_t later =
        (frames_done % period_frames + period_frames - begin % period_frames) % period_frames;
    return frame + later;
}
