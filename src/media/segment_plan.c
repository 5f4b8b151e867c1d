#include "media/segment_plan.h"

#include <assert.h>

static uint64_t divide_up(uint64_t number, uint64_t by)
{
    return number / by + (number % by != 0 ? 1 : 0);
}

uint64_t segment_plan_frames(uint64_t frames, uint32_t encoders)
{
    if (frames == 0)
        return SEGMENT_FRAMES_MAX;
    /* As many for each, or some would have nothing to do while others encode the last. */
    uint64_t segments = divide_up(frames, (uint64_t)encoders * SEGMENT_FRAMES_MAX) * encoders;
    uint64_t fair = divide_up(frames, segments);
    return fair < SEGMENT_FRAMES_MIN ? SEGMENT_FRAMES_MIN : fair;
}

uint64_t segment_plan_period_frames(uint32_t sample_rate_hz)
{
    /* 144000 × kb/s ÷ 44100 leaves 49ths of a byte; all other rates' frames are whole bytes. */
    return sample_rate_hz % 11025 == 0 ? 49 : 1;
}

uint64_t segment_plan_begin(uint64_t frame, uint64_t frames_done, uint64_t period_frames)
{
    assert(frame >= SEGMENT_LEAD_IN_FRAMES + period_frames);
    uint64_t latest = frame - SEGMENT_LEAD_IN_FRAMES;
    uint64_t ahead =
        (latest % period_frames + period_frames - frames_done % period_frames) % period_frames;
    return latest - ahead;
}
