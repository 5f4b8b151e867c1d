#include "support/encode.h"

#include "media/frame_layout.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

void heard_make(struct heard *heard, uint32_t sample_rate_hz, size_t samples, enum sound sound)
{
    heard->samples = samples;
    for (uint32_t channel = 0; channel < 2; channel++) {
        heard->channels[channel] = realloc(heard->channels[channel], samples * sizeof(float));
        if (heard->channels[channel] == NULL)
            abort();
        sound_fill(heard->channels[channel], samples, sample_rate_hz, channel, sound);
    }
}

void heard_finish(struct heard *heard)
{
    free(heard->channels[0]);
    free(heard->channels[1]);
    *heard = (struct heard){0};
}

static bool feed_encoder(struct encoder *encoder, const struct heard *heard, size_t from,
                         struct buffer *out, struct error *error)
{
    unsigned char bytes[ENCODER_OUTPUT_SIZE_MAX];
    size_t size;
    for (size_t at = from; at < heard->samples; at += ENCODER_SAMPLES_MAX) {
        size_t left = heard->samples - at;
        size_t count = left < ENCODER_SAMPLES_MAX ? left : ENCODER_SAMPLES_MAX;
        if (!encoder_add(encoder, heard->channels[0] + at, heard->channels[1] + at, count, bytes,
                         &size, error) ||
            !buffer_append(out, bytes, size, error))
            return false;
    }
    return encoder_finish(encoder, bytes, &size, error) && buffer_append(out, bytes, size, error);
}

bool encode_at_once(const struct encoder_settings *settings, const struct heard *heard, size_t from,
                    struct buffer *out, struct error *error)
{
    struct encoder *encoder;
    if (!encoder_create(settings, &encoder, error))
        return false;
    bool is_done = feed_encoder(encoder, heard, from, out, error);
    encoder_destroy(encoder);
    return is_done;
}

void heard_put(const struct heard *heard, struct pcm_ring *ring)
{
    for (size_t at = 0; at < heard->samples; at += PCM_BLOCK_SAMPLES) {
        struct pcm_block *block = pcm_ring_get_empty(ring);
        if (block == NULL)
            break;
        size_t left = heard->samples - at;
        block->count = left < PCM_BLOCK_SAMPLES ? left : PCM_BLOCK_SAMPLES;
        block->input_position = at;
        for (size_t i = 0; i < 2; i++)
            memcpy(block->samples[i], heard->channels[i] + at, block->count * sizeof(float));
        pcm_ring_put(ring);
    }
    pcm_ring_end(ring);
}

struct feeding {
    const struct heard *heard;
    struct pcm_ring *ring;
};

static void *feed(void *context)
{
    const struct feeding *feeding = context;
    heard_put(feeding->heard, feeding->ring);
    return NULL;
}

static bool check_length(struct encoder_pool *pool, const struct heard *heard, struct error *error)
{
    uint64_t samples = encoder_pool_samples(pool);
    return samples == heard->samples || error_set(error, ERROR_INTERNAL, "%zu samples became %llu",
                                                  heard->samples, (unsigned long long)samples);
}

static bool read_pool(struct encoder_pool *pool, struct frame_layout *layout,
                      const struct heard *heard, encode_watch *watch, void *context,
                      struct buffer *out, struct error *error)
{
    struct frame_parts parts;
    bool has_frame, is_wanted = true;
    while (is_wanted) {
        if (!encoder_pool_read(pool, &parts, &has_frame, error))
            return false;
        if (!has_frame)
            return check_length(pool, heard, error) && frame_layout_end(layout, out, error);
        if (!frame_layout_add(layout, &parts, out, error))
            return false;
        struct encoder_pool_joins joins = encoder_pool_joins(pool);
        is_wanted = watch == NULL || watch(context, &joins);
    }
    return true;
}

bool encode_in_pool(const struct encoder_pool_settings *settings, const struct heard *heard,
                    encode_watch *watch, void *context, struct buffer *out, struct error *error)
{
    struct pcm_ring *ring = pcm_ring_create(encoder_pool_blocks(settings));
    struct feeding feeding = {heard, ring};
    struct encoder_pool *pool;
    struct frame_layout layout;
    pthread_t feeder;
    if (!encoder_pool_start(settings, ring, &pool, error)) {
        pcm_ring_destroy(ring);
        return false;
    }
    if (pthread_create(&feeder, NULL, feed, &feeding) != 0)
        abort();
    frame_layout_init(&layout, settings->encoder.is_vbr);
    bool is_done = read_pool(pool, &layout, heard, watch, context, out, error);
    encoder_pool_destroy(pool);
    pthread_join(feeder, NULL);
    pcm_ring_destroy(ring);
    frame_layout_finish(&layout);
    return is_done;
}
