#include "media/segment.h"

#include "media/segment_plan.h"
#include <assert.h>
#include <stdlib.h>

static void hand_over_at(struct segment *segment, uint64_t frame)
{
    segment->hand_over = frame;
    segment->compared = frame - SEGMENT_EVIDENCE_FRAMES;
}

struct segment *segment_create(uint64_t begin, uint64_t hand_over)
{
    assert(hand_over >= begin + SEGMENT_EVIDENCE_FRAMES);
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        abort();
    frame_row_init(&segment->row, begin);
    hand_over_at(segment, hand_over);
    return segment;
}

void segment_destroy(struct segment *segment)
{
    frame_row_finish(&segment->row);
    free(segment);
}

void segment_extend(struct segment *segment, uint64_t frames)
{
    hand_over_at(segment, segment->hand_over + frames);
}

struct segment *segment_at(struct segment *segment, uint64_t frame)
{
    while (segment->state == SEGMENT_JOINED && frame >= segment->cut)
        segment = segment->successor;
    return segment;
}

/* True once there is evidence enough, and what the other made with what it had left over fits what
 * is left over here (in CBR that is the same anyway). */
static bool find_cut(struct segment *segment)
{
    while (segment->compared < frame_row_end(&segment->row)) {
        const struct segment *other = segment_at(segment->later, segment->compared);
        if (segment->compared >= frame_row_end(&other->row))
            return false;
        uint64_t frame = segment->compared++;
        bool is_equal = frame_row_is_equal(&segment->row, &other->row, frame);
        segment->equal = is_equal ? segment->equal + 1 : 0;
        if (segment->equal >= SEGMENT_EVIDENCE_FRAMES &&
            frame_row_left_over(&segment->row, frame) >= frame_row_left_over(&other->row, frame))
            return true;
    }
    return false;
}

bool segment_join(struct segment *segment)
{
    if (!find_cut(segment))
        return false;
    segment->cut = segment->compared;
    segment->successor = segment_at(segment->later, segment->cut);
    segment->successor_begin = segment->successor->row.begin;
    segment->state = SEGMENT_JOINED;
    return true;
}

uint64_t segment_certain_end(const struct segment *segment)
{
    uint64_t end = frame_row_end(&segment->row);
    if (segment->state == SEGMENT_COMPLETE)
        return end;
    uint64_t certain =
        segment->hand_over > segment->compared ? segment->hand_over : segment->compared;
    if (segment->state == SEGMENT_JOINED)
        certain = segment->cut;
    return certain < end ? certain : end;
}
