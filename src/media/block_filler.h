#pragma once

/* Fills the blocks of a ring with sound. Waits while all are full, and wants no more once the ring
 * is stopped. */

#include "media/pcm_ring.h"
#include "media/sound_sink.h"

struct block_filler {
    struct pcm_ring *ring; /* borrowed */
    uint32_t channels;
    struct pcm_block *block; /* its own, borrowed from the ring; NULL: none is being filled */
};

/* Its end is the ring's, too. */
struct sound_sink block_filler_sink(struct block_filler *filler);
