#pragma once

/* Decoded sound on its way from the decoding thread to the encoding one: a fixed number of segments
 * of fixed size, so that whichever is faster waits, and memory does not grow. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A multiple of both frame sizes, 1152 and 576. */
#define PCM_SEGMENT_SAMPLES 9216

struct pcm_segment {
    /* Full scale is ±32768, as LAME wants it; [1] is unused in mono. */
    float samples[2][PCM_SEGMENT_SAMPLES];
    size_t count;            /* per channel; only the last is not full */
    uint64_t input_position; /* how far the input was read for it */
};

struct pcm_ring; /* one writer thread, one reader thread */

struct pcm_ring *pcm_ring_create(void);
void pcm_ring_destroy(struct pcm_ring *ring); /* NULL is fine */

/* The writer fills the segment that it gets, then puts it. NULL: the reader stopped. */
struct pcm_segment *pcm_ring_get_empty(struct pcm_ring *ring);
void pcm_ring_put(struct pcm_ring *ring);
void pcm_ring_end(struct pcm_ring *ring); /* nothing more will come */

/* The reader takes the oldest, then releases it. NULL: that was all. */
const struct pcm_segment *pcm_ring_get_full(struct pcm_ring *ring);
void pcm_ring_release(struct pcm_ring *ring);
void pcm_ring_stop(struct pcm_ring *ring); /* wants no more: frees a writer that waits */
