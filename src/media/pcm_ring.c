#include "media/pcm_ring.h"

#include "base/condition.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* A writer that waited is woken for so many blocks at once, since each time costs an encoder some
 * of its core; but for any where a reader waits. */
#define REFILL_BLOCKS 8

struct pcm_ring {
    /* Each is the writer's, the readers' or nobody's, by the counts below. */
    struct pcm_block *blocks; /* owned */
    size_t size;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t filled; /* or it ends: for readers */
    pthread_cond_t refill; /* for the writer */
    uint64_t put_count;
    uint64_t released_count;
    uint32_t waiting_readers;
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
    pthread_cond_init(&ring->filled, NULL);
    pthread_cond_init(&ring->refill, NULL);
    return ring;
}

void pcm_ring_destroy(struct pcm_ring *ring)
{
    if (ring == NULL)
        return;
    pthread_cond_destroy(&ring->refill);
    pthread_cond_destroy(&ring->filled);
    pthread_mutex_destroy(&ring->lock);
    free(ring->blocks);
    free(ring);
}

static size_t free_blocks(const struct pcm_ring *ring)
{
    return ring->size - (size_t)(ring->put_count - ring->released_count);
}

static bool is_refill_due(const struct pcm_ring *ring)
{
    size_t wanted = ring->waiting_readers > 0 ? 1 : REFILL_BLOCKS;
    return free_blocks(ring) >= wanted;
}

struct pcm_block *pcm_ring_get_empty(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    if (free_blocks(ring) == 0) {
        while (!is_refill_due(ring) && !ring->is_stopped)
            pthread_cond_wait(&ring->refill, &ring->lock);
    }
    struct pcm_block *block = ring->is_stopped ? NULL : &ring->blocks[ring->put_count % ring->size];
    pthread_mutex_unlock(&ring->lock);
    return block;
}

static void wait_until_put(struct pcm_ring *ring, uint64_t number)
{
    ring->waiting_readers++;
    pthread_cond_signal(&ring->refill);
    while (ring->put_count <= number && !ring->is_ended && !ring->is_stopped)
        pthread_cond_wait(&ring->filled, &ring->lock);
    ring->waiting_readers--;
}

const struct pcm_block *pcm_ring_get(struct pcm_ring *ring, uint64_t number)
{
    pthread_mutex_lock(&ring->lock);
    assert(number >= ring->released_count);
    if (ring->put_count <= number)
        wait_until_put(ring, number);
    bool is_there = ring->put_count > number && !ring->is_stopped;
    const struct pcm_block *block = is_there ? &ring->blocks[number % ring->size] : NULL;
    pthread_mutex_unlock(&ring->lock);
    return block;
}

void pcm_ring_put(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->put_count++;
    pthread_cond_broadcast(&ring->filled);
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_end(struct pcm_ring *ring)
{
    condition_raise(&ring->filled, &ring->lock, &ring->is_ended);
}

void pcm_ring_release(struct pcm_ring *ring, uint64_t number)
{
    pthread_mutex_lock(&ring->lock);
    /* A sound can end before a reader's next block. */
    if (number > ring->put_count)
        number = ring->put_count;
    if (number > ring->released_count) {
        ring->released_count = number;
        if (is_refill_due(ring))
            pthread_cond_signal(&ring->refill);
    }
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_stop(struct pcm_ring *ring)
{
    condition_raise(&ring->filled, &ring->lock, &ring->is_stopped);
    pthread_cond_signal(&ring->refill);
}
