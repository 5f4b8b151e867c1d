#pragma once

/* Encoders side by side, a thread each, that make of decoded sound the frames that one encoder
 * would have made: each takes the next segment (segment_plan.h), begins a lead-in before it, and
 * goes on until its frames and those of the next segment's encoder are the same; then it takes
 * another. With one encoder, its segment never ends.
 *
 * An encoder is used again for segment after segment: what it heard in the one before fades in the
 * lead-in as well, and all are made before there are threads, since LAME fills tables that its
 * encoders share. */

#include "media/encoder.h"
#include "media/frame_parts.h"
#include "media/pcm_ring.h"

struct encoder_pool; /* one thread at a time, beside those of its own */

struct encoder_pool_settings {
    struct encoder_settings encoder;
    uint32_t encoders; /* 1 at least */
    uint64_t samples;  /* per channel, about; 0: unknown */
};

/* How many blocks the ring must keep for it. */
size_t encoder_pool_blocks(const struct encoder_pool_settings *settings);

/* `ring` is borrowed until encoder_pool_destroy(). Not beside anything else that creates encoders.
 * Fewer encoders than asked for make the same, where not all threads can be started;
 * ERROR_UNAVAILABLE: none. */
MUST_CHECK bool encoder_pool_start(const struct encoder_pool_settings *settings,
                                   struct pcm_ring *ring, struct encoder_pool **out_pool,
                                   struct error *error);
/* Stops the ring, and waits for the threads. NULL is fine. */
void encoder_pool_destroy(struct encoder_pool *pool);

/* The next frame, in order; waits for it. *out_has_frame is false after the last. ERROR_INTERNAL
 * where LAME failed, for good. The encoders are at most a segment each and one more ahead of who
 * reads: then the ring's writer waits. */
MUST_CHECK bool encoder_pool_read(struct encoder_pool *pool, struct frame_parts *out_parts,
                                  bool *out_has_frame, struct error *error);

uint64_t encoder_pool_input_position(struct encoder_pool *pool); /* of what was read */
/* Given to it in all, per channel; after the last frame. */
uint64_t encoder_pool_samples(struct encoder_pool *pool);
uint32_t encoder_pool_delay_samples(const struct encoder_pool *pool);
uint32_t encoder_pool_lowpass_hz(const struct encoder_pool *pool);

/* For measurements: where what was read so far changes over from one encoder to the next. */
struct encoder_pool_joins {
    uint64_t frames; /* that all encoders made so far, lead-ins and run-ons too */
    uint64_t count;
    uint64_t passed_over; /* of these, how often the earlier one went on through a whole segment */

    /* The last one. */
    uint64_t frame;    /* the first that is the later encoder's */
    uint64_t began_at; /* the frame that it began with */
    uint64_t planned;  /* where the earlier one's segment ended: what follows, it ran on */
};
struct encoder_pool_joins encoder_pool_joins(struct encoder_pool *pool);
