#pragma once

/* How the sound is cut into segments, each encoded by an encoder of its own, so that what comes out
 * is what one encoder would have made of all.
 *
 * An encoder's choices depend on what it heard before: masking that fades, bits left over, averages
 * over the last frames. All of it fades. So an encoder that begins early enough, its lead-in, ends
 * up in the very state in which the one before it arrives, and from then on makes the same frames:
 *
 *     encoder A   ──────────── segment ────────────┤run-on┤
 *     encoder B                          ├─lead-in─┼──────────── segment ──────────── …
 *                                          ≠ ≠ = = = = =│
 *                                                     joined
 *
 * Where it has not, A just goes on until it has. What is evidence enough was measured over
 * thousands of joins: docs/engine.md. Pure. */

#include <stdbool.h>
#include <stdint.h>

/* So many frames in a row are equal before the earlier encoder hands over. */
#define SEGMENT_EVIDENCE_FRAMES 50
/* So many frames before the hand-over an encoder begins. */
#define SEGMENT_LEAD_IN_FRAMES 98
/* The lead-in is work done twice, so a segment is not shorter. */
#define SEGMENT_FRAMES_MIN 392
/* Sound is held for as many frames for each encoder but one, which bounds how long segments are. */
#define SEGMENT_FRAMES_HELD 1470

/* Encoders that began side by side would be a whole segment apart from one another, and the sound
 * between the first and the last is what has to be held. So they are staggered: the first segments
 * are shorter, each by as much, and from then on every encoder is elsewhere in its one. So are the
 * last ones, that all encoders may end together:
 *
 *     A   ────┤         ├─────────┤         ├────┤
 *     B       ├─────────┤         ├─────────┤
 *
 * That takes one segment more for each encoder but one. Where longer ones do not make up for it,
 * none is staggered and all are as long. */
struct segment_plan {
    uint64_t frames; /* of all, about; 0: nobody knows */
    uint32_t encoders;
    bool is_staggered;
    uint64_t longest; /* of the segments, in frames */
};

/* So many frames shared by so many encoders, 1 or more, of which each is to make as many. */
struct segment_plan segment_plan_make(uint64_t frames, uint32_t encoders);

/* How many frames the segment has that is taken as the one of that number, from 0 on, and begins
 * with frame `from`. */
uint64_t segment_plan_length(const struct segment_plan *plan, uint64_t number, uint64_t from);

/* How many frames the last encoder is ahead of the first, at most. */
uint64_t segment_plan_ahead(const struct segment_plan *plan);

/* After so many frames LAME's CBR makes frames a byte longer at the same places again; an encoder
 * must stand in that period where the whole MP3 stands. */
uint64_t segment_plan_period_frames(uint32_t sample_rate_hz);

/* The first frame from `frame` on at which an encoder can take over that was given `frames_done`
 * before: it begins SEGMENT_LEAD_IN_FRAMES earlier, in step with the period. `frame` is at least
 * SEGMENT_FRAMES_MIN. */
uint64_t segment_plan_take_over(uint64_t frame, uint64_t frames_done, uint64_t period_frames);
