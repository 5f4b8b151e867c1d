#include "media/block_filler.h"

#include <string.h>

static bool take(void *context, float *const planes[2], size_t count, uint64_t input_position)
{
    struct block_filler *filler = context;
    for (size_t done = 0; done < count;) {
        if (filler->block == NULL) {
            filler->block = pcm_ring_get_empty(filler->ring);
            if (filler->block == NULL)
                return false;
            filler->block->count = 0;
        }
        struct pcm_block *block = filler->block;
        size_t part = PCM_BLOCK_SAMPLES - block->count;
        if (part > count - done)
            part = count - done;
        for (uint32_t channel = 0; channel < filler->channels; channel++)
            memcpy(block->samples[channel] + block->count, planes[channel] + done,
                   part * sizeof(float));
        block->count += part;
        block->input_position = input_position;
        done += part;
        if (block->count == PCM_BLOCK_SAMPLES) {
            pcm_ring_put(filler->ring);
            filler->block = NULL;
        }
    }
    return true;
}

static void end(void *context)
{
    struct block_filler *filler = context;
    if (filler->block != NULL)
        pcm_ring_put(filler->ring);
    filler->block = NULL;
    pcm_ring_end(filler->ring);
}

struct sound_sink block_filler_sink(struct block_filler *filler)
{
    return (struct sound_sink){.context = filler, .take = take, .end = end};
}
