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

#include <stdint.h>

/* So many frames in a row are equal before the earlier encoder hands over. */
#define SEGMENT_EVIDENCE_FRAMES 50
/* At least so many frames before the hand-over an encoder begins. */
#define SEGMENT_LEAD_IN_FRAMES 98
/* The lead-in is work done twice: longer segments waste less and hold more sound in memory. */
#define SEGMENT_FRAMES_MAX 1568
#define SEGMENT_FRAMES_MIN 392

/* How long segments are where so many frames are to be shared by so many encoders, each of which is
 * to get as many. 0 frames: nobody knows. */
uint64_t segment_plan_frames(uint64_t frames, uint32_t encoders);

/* After so many frames LAME's CBR makes frames a byte longer at the same places again; an encoder
 * must stand in that period where the whole MP3 stands. */
uint64_t segment_plan_period_frames(uint32_t sample_rate_hz);

/* The frame at which an encoder begins that takes over at `frame`: a lead-in earlier, and in step
 * with the period. `frames_done` is what that encoder was given before. `frame` is at least
 * SEGMENT_FRAMES_MIN. */
uint64_t segment_plan_begin(uint64_t frame, uint64_t frames_done, uint64_t period_frames);
