#include "media/timeline.h"

#include <libavutil/avutil.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>

/* Further than any honest time, and so that sums and products with it do not overflow. */
#define TIME_MOST (INT64_MAX / 8)
/* Jumps that ffmpeg takes for times that start over. */
#define JUMP_AHEAD_US 10000000
#define JUMP_BACK_US 100000
/* Frames after which a grid is believed. */
#define GRID_FRAMES_LEAST 100
/* What a time on the grid may be off, beside half of its tick. */
#define GRID_SLACK_SAMPLES 2

static int64_t bound(int64_t time)
{
    return av_clip64(time, -TIME_MOST, TIME_MOST);
}

void timeline_init(struct timeline *timeline, AVRational time_base, int64_t start_us, bool can_jump)
{
    *timeline = (struct timeline){.time_base = time_base, .can_jump = can_jump};
    timeline->offset = -bound(av_rescale_q(bound(start_us), AV_TIME_BASE_Q, time_base));
    timeline->counted = AV_NOPTS_VALUE;
    timeline->packet_time = AV_NOPTS_VALUE;
}

void timeline_note_packet(struct timeline *timeline, int64_t time, int64_t duration)
{
    if (time == AV_NOPTS_VALUE)
        return;
    bool is_known = timeline->packet_time != AV_NOPTS_VALUE && duration > 0;
    if (is_known && bound(time) - bound(timeline->packet_time) > duration)
        timeline->counted = AV_NOPTS_VALUE;
    timeline->packet_time = time;
}

static void change_rate(struct timeline *timeline, int sample_rate_hz)
{
    if (timeline->sample_rate_hz == sample_rate_hz)
        return;
    if (timeline->sample_rate_hz != 0)
        timeline->next =
            bound(av_rescale(timeline->next, sample_rate_hz, timeline->sample_rate_hz));
    timeline->counted = AV_NOPTS_VALUE;
    timeline->sample_rate_hz = sample_rate_hz;
    timeline->frame_samples = 0;
    timeline->frames = 0;
}

/* Where times start over, what follows goes on where the sound before it ended. */
static int64_t bridge_jump(struct timeline *timeline, int64_t time)
{
    const AVRational sample = {1, timeline->sample_rate_hz};
    if (!timeline->can_jump || !timeline->has_begun)
        return time;
    int64_t us = bound(av_rescale_q(time, timeline->time_base, AV_TIME_BASE_Q));
    int64_t ahead_us = us - bound(av_rescale_q(timeline->next, sample, AV_TIME_BASE_Q));
    if (ahead_us <= JUMP_AHEAD_US && ahead_us >= -JUMP_BACK_US)
        return time;
    int64_t ahead = bound(av_rescale_q(bound(ahead_us), AV_TIME_BASE_Q, timeline->time_base));
    timeline->offset = bound(timeline->offset - ahead);
    timeline->counted = AV_NOPTS_VALUE;
    return bound(time - ahead);
}

static void note_length(struct timeline *timeline, int samples)
{
    /* The first can be shorter, since decoders take their delay off it. */
    if (timeline->frames == 1)
        timeline->frame_samples = samples;
    else if (timeline->frames > 1 && samples != timeline->frame_samples)
        timeline->frame_samples = 0;
    if (timeline->frames < GRID_FRAMES_LEAST)
        timeline->frames++;
}

/* Which of the grid's places the time means. The grid goes through timeline->next. */
static void put_on_grid(struct timeline *timeline, int64_t time)
{
    const AVRational sample = {1, timeline->sample_rate_hz};
    int64_t rough = bound(av_rescale_q(time, timeline->time_base, sample));
    int64_t length = timeline->frame_samples;
    int64_t behind = (rough - timeline->next) % length;
    if (behind < 0)
        behind += length;
    int64_t off = behind <= length / 2 ? -behind : length - behind;
    int64_t tick = av_rescale_q(1, timeline->time_base, sample);
    timeline->has_missed = FFABS(off) > tick / 2 + GRID_SLACK_SAMPLES;
    timeline->counted = rough + off;
}

int64_t timeline_place(struct timeline *timeline, int64_t time, int sample_rate_hz, int samples)
{
    change_rate(timeline, sample_rate_hz);
    const AVRational sample = {1, sample_rate_hz};
    int64_t at = timeline->next;
    if (time != AV_NOPTS_VALUE) {
        time = bridge_jump(timeline, bound(bound(time) + timeline->offset));
        if (timeline->is_on_grid && timeline->frame_samples > 0)
            put_on_grid(timeline, time);
        timeline->is_on_grid = false;
        at = bound(av_rescale_delta(timeline->time_base, time, sample, samples, &timeline->counted,
                                    sample));
    }
    timeline->next = bound(at + samples);
    timeline->has_begun = true;
    note_length(timeline, samples);
    return at;
}

int64_t timeline_time(const struct timeline *timeline, int64_t us, AVRational time_base)
{
    int64_t offset = av_rescale_q(timeline->offset, timeline->time_base, time_base);
    return bound(bound(av_rescale_q(us, AV_TIME_BASE_Q, time_base)) - bound(offset));
}

bool timeline_is_exact(const struct timeline *timeline, int sample_rate_hz)
{
    return av_cmp_q(timeline->time_base, (AVRational){1, sample_rate_hz}) <= 0;
}

bool timeline_has_grid(const struct timeline *timeline)
{
    return timeline->frames >= GRID_FRAMES_LEAST && timeline->frame_samples > 0;
}

void timeline_jump(struct timeline *timeline)
{
    timeline->counted = AV_NOPTS_VALUE;
    timeline->packet_time = AV_NOPTS_VALUE;
    timeline->has_begun = false;
    timeline->is_on_grid = timeline_has_grid(timeline);
    timeline->has_missed = false;
}
