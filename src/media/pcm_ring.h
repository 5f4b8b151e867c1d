#pragma once

/* Decoded sound on its way from the decoding thread to the encoding ones: blocks of fixed size, of
 * which a fixed number is kept, so that whichever is faster waits, and memory does not grow. Each
 * reader reads where it likes within what is kept. */

#include "media/sound_sink.h"

/* A multiple of both frame sizes, 1152 and 576. */
#define PCM_BLOCK_SAMPLES 9216

struct pcm_block {
    /* Full scale is ±SOUND_FULL_SCALE; [1] is unused in mono. */
    float samples[2][PCM_BLOCK_SAMPLES];
    size_t count;            /* per channel; only the last is not full */
    uint64_t input_position; /* how far the input was read for it */
};

struct pcm_ring; /* one writer thread; reader threads; one thread at a time that releases */

/* At least one block. Memory of blocks that no sound reaches is never touched. */
struct pcm_ring *pcm_ring_create(size_t blocks);
void pcm_ring_destroy(struct pcm_ring *ring); /* NULL is fine */

/* The writer fills the block that it gets, then puts it. Waits for one that is released. NULL: the
 * readers stopped. */
struct pcm_block *pcm_ring_get_empty(struct pcm_ring *ring);
void pcm_ring_put(struct pcm_ring *ring);
void pcm_ring_end(struct pcm_ring *ring); /* nothing more will come */

/* Waits for the block of that number, which must not be released. NULL: there are not so many, or
 * the readers stopped. */
const struct pcm_block *pcm_ring_get(struct pcm_ring *ring, uint64_t number);
/* Blocks before that number are read no more; never goes back. */
void pcm_ring_release(struct pcm_ring *ring, uint64_t number);
void pcm_ring_stop(struct pcm_ring *ring); /* no more is wanted: frees all that wait */
