#include "media/pcm_ring.h"

#include "base/condition.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct pcm_ring {
    /* Each is the writer's, the readers' or nobody's, by the counts below. */
    struct pcm_block *blocks; /* owned */
    size_t size;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t put_count;
    uint64_t released_count;
    bool is_ended;
    bool is_stopped;
};

struct pcm_ring *pcm_ring_create(size_t blocks)
{
    struct pcm_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        abort();
    ring->size = blocks;
    ring->blocks = calloc(blocks, sizeof *ring->blocks);
    if (ring->blocks == NULL)
        abort();
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->changed, NULL);
    return ring;
}

void pcm_ring_destroy(struct pcm_ring *ring)
{
    if (ring == NULL)
        return;
    pthread_cond_destroy(&ring->changed);
    pthread_mutex_destroy(&ring->lock);
    free(ring->blocks);
    free(ring);
}

struct pcm_block *pcm_ring_get_empty(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    while (ring->put_count - ring->released_count == ring->size && !ring->is_stopped)
        pthread_cond_wait(&ring->changed, &ring->lock);
    struct pcm_block *block = ring->is_stopped ? NULL : &ring->blocks[ring->put_count % ring->size];
    pthread_mutex_unlock(&ring->lock);
    return block;
}

const struct pcm_block *pcm_ring_get(struct pcm_ring *ring, uint64_t number)
{
    pthread_mutex_lock(&ring->lock);
    assert(number >= ring->released_count);
    while (ring->put_count <= number && !ring->is_ended && !ring->is_stopped)
        pthread_cond_wait(&ring->changed, &ring->lock);
    bool is_there = ring->put_count > number && !ring->is_stopped;
    const struct pcm_block *block = is_there ? &ring->blocks[number % ring->size] : NULL;
    pthread_mutex_unlock(&ring->lock);
    return block;
}

void pcm_ring_put(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->put_count++;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_end(struct pcm_ring *ring)
{
    condition_raise(&ring->changed, &ring->lock, &ring->is_ended);
}

void pcm_ring_release(struct pcm_ring *ring, uint64_t number)
{
    pthread_mutex_lock(&ring->lock);
    /* A sound can end before a reader's next block. */
    if (number > ring->put_count)
        number = ring->put_count;
    if (number > ring->released_count) {
        ring->released_count = number;
        pthread_cond_broadcast(&ring->changed);
    }
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_stop(struct pcm_ring *ring)
{
    condition_raise(&ring->changed, &ring->lock, &ring->is_stopped);
}
