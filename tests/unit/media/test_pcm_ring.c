#include "media/pcm_ring.h"

#include "support/cmocka_all.h"
#include <pthread.h>

#define SEGMENTS 1000

static void *write_all(void *context)
{
    struct pcm_ring *ring = context;
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        struct pcm_segment *segment = pcm_ring_get_empty(ring);
        if (segment == NULL)
            break;
        segment->count = 1;
        segment->input_position = i;
        pcm_ring_put(ring);
    }
    pcm_ring_end(ring);
    return NULL;
}

static void segments_arrive_in_order_and_then_the_end(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create();
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        const struct pcm_segment *segment = pcm_ring_get_full(ring);
        assert_non_null(segment);
        assert_int_equal(segment->input_position, i);
        pcm_ring_release(ring);
    }
    assert_null(pcm_ring_get_full(ring));
    pthread_join(writer, NULL);
    pcm_ring_destroy(ring);
}

static void a_reader_that_stops_frees_a_writer_that_waits(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create();
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    assert_non_null(pcm_ring_get_full(ring));
    pcm_ring_stop(ring);
    pthread_join(writer, NULL); /* would wait for ever on a full ring */
    assert_null(pcm_ring_get_empty(ring));
    pcm_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_arrive_in_order_and_then_the_end),
        cmocka_unit_test(a_reader_that_stops_frees_a_writer_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
