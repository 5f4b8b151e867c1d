#include "media/pcm_ring.h"

#include <pthread.h>
#include <stdlib.h>

/* 1.2 MB, about 3 s of sound: enough for a decoder that delivers in bursts. */
#define SEGMENT_COUNT 16

struct pcm_ring {
    /* Each segment belongs to the writer, the reader or nobody, by the counts below. */
    struct pcm_segment segments[SEGMENT_COUNT];

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t put_count;
    uint64_t released_count;
    bool is_ended;
    bool is_stopped;
};

struct pcm_ring *pcm_ring_create(void)
{
    struct pcm_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
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
    free(ring);
}

struct pcm_segment *pcm_ring_get_empty(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    while (ring->put_count - ring->released_count == SEGMENT_COUNT && !ring->is_stopped)
        pthread_cond_wait(&ring->changed, &ring->lock);
    struct pcm_segment *segment =
        ring->is_stopped ? NULL : &ring->segments[ring->put_count % SEGMENT_COUNT];
    pthread_mutex_unlock(&ring->lock);
    return segment;
}

const struct pcm_segment *pcm_ring_get_full(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    while (ring->put_count == ring->released_count && !ring->is_ended)
        pthread_cond_wait(&ring->changed, &ring->lock);
    const struct pcm_segment *segment = ring->put_count == ring->released_count
                                            ? NULL
                                            : &ring->segments[ring->released_count % SEGMENT_COUNT];
    pthread_mutex_unlock(&ring->lock);
    return segment;
}

void pcm_ring_put(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->put_count++;
    pthread_cond_signal(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_end(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->is_ended = true;
    pthread_cond_signal(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_release(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->released_count++;
    pthread_cond_signal(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void pcm_ring_stop(struct pcm_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->is_stopped = true;
    pthread_cond_signal(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}
