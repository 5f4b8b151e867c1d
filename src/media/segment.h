#pragma once

/* A segment (segment_plan.h) as its encoder makes it, and the joint to the one that goes on.
 *
 * Segments are numbered in the frames of the whole MP3 and stand in the order in which they were
 * taken. Past the end of its own, an encoder still makes frames, which are compared with those of
 * the next segment; once so many in a row are equal that both encoders must be in the same state
 * (SEGMENT_EVIDENCE_FRAMES), the later one's are as good as its own, and it can stop. Where they do
 * not become equal, it goes on, and is compared with whoever made the frames there:
 *
 *     A   ─────────────┤≠ ≠ ≠ ≠ ≠ ≠ ≠ ≠ ≠ ≠ ≠ = = = =│     passes B over, and joins C
 *     B         ├──────┼────────────────────┤= = =│         had joined C
 *     C                              ├──────┼─────┴─────────────── …
 *
 * Pure; the encoder pool guards all segments with its lock. */

#include "media/frame_row.h"

struct segment {
    struct segment *later; /* taken next; NULL for the one taken last */
    struct frame_row row;
    uint64_t hand_over; /* from this frame on, the later one can go on */
    enum segment_state { SEGMENT_ENCODED, SEGMENT_JOINED, SEGMENT_COMPLETE } state;

    /* Its encoder's: how far it is. */
    uint64_t block; /* that it needs next */
    uint64_t input_position;
    uint64_t samples; /* before the end of the sound; once complete */

    /* The search for where it joins a later one. */
    uint64_t compared; /* frames before this one were */
    uint32_t equal;    /* frames up to there, in a row */

    /* Once joined: before which frame, and who goes on. */
    uint64_t cut;
    struct segment *successor;
    uint64_t successor_begin;
};

/* Its encoder begins with frame `begin`, and may hand over at `hand_over`, which is at least
 * SEGMENT_EVIDENCE_FRAMES later. */
struct segment *segment_create(uint64_t begin, uint64_t hand_over);
void segment_destroy(struct segment *segment); /* only this one, not those taken later */

/* Nobody has taken the next one: it is longer by so many frames. */
void segment_extend(struct segment *segment, uint64_t frames);

/* Who makes that frame, among `segment` and those that it, and they in turn, were joined to. */
struct segment *segment_at(struct segment *segment, uint64_t frame);

/* Goes on comparing as far as both are. True: there was evidence enough, and it is joined. There
 * must be a later one. */
bool segment_join(struct segment *segment);

/* Frames before this one are as one encoder would have made them, and here to stay. */
uint64_t segment_certain_end(const struct segment *segment);
