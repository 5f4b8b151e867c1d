#include "media/pcm_ring.h"

#include "support/cmocka_all.h"
#include <pthread.h>

#define BLOCKS 1000
#define RING_SIZE 16

static void *write_all(void *context)
{
    struct pcm_ring *ring = context;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        struct pcm_block *block = pcm_ring_get_empty(ring);
        if (block == NULL)
            break;
        block->count = 1;
        block->input_position = i;
        pcm_ring_put(ring);
    }
    pcm_ring_end(ring);
    return NULL;
}

static void *read_all(void *context)
{
    struct pcm_ring *ring = context;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        const struct pcm_block *block = pcm_ring_get(ring, i);
        if (block == NULL || block->input_position != i)
            return NULL;
    }
    return ring;
}

static void blocks_arrive_in_order_and_then_the_end(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create(RING_SIZE);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        const struct pcm_block *block = pcm_ring_get(ring, i);
        assert_non_null(block);
        assert_int_equal(block->input_position, i);
        pcm_ring_release(ring, i + 1);
    }
    assert_null(pcm_ring_get(ring, BLOCKS));
    pthread_join(writer, NULL);
    pcm_ring_destroy(ring);
}

static void what_is_not_released_can_be_read_again(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create(RING_SIZE);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    assert_int_equal(pcm_ring_get(ring, RING_SIZE - 1)->input_position, RING_SIZE - 1);
    assert_int_equal(pcm_ring_get(ring, 0)->input_position, 0);
    pcm_ring_release(ring, 5);
    pcm_ring_release(ring, 3); /* never goes back */
    assert_int_equal(pcm_ring_get(ring, RING_SIZE + 4)->input_position, RING_SIZE + 4);
    assert_int_equal(pcm_ring_get(ring, 5)->input_position, 5);
    pcm_ring_stop(ring);
    pthread_join(writer, NULL);
    pcm_ring_destroy(ring);
}

static void several_readers_read_all(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create(BLOCKS);
    pthread_t writer, readers[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, ring), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        pthread_join(readers[i], &result);
        assert_ptr_equal(result, ring);
    }
    pthread_join(writer, NULL);
    pcm_ring_destroy(ring);
}

static void readers_that_stop_free_a_writer_that_waits(void **state)
{
    (void)state;
    struct pcm_ring *ring = pcm_ring_create(RING_SIZE);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    assert_non_null(pcm_ring_get(ring, 0));
    pcm_ring_stop(ring);
    pthread_join(writer, NULL); /* would wait for ever on a full ring */
    assert_null(pcm_ring_get_empty(ring));
    assert_null(pcm_ring_get(ring, 0));
    pcm_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_arrive_in_order_and_then_the_end),
        cmocka_unit_test(what_is_not_released_can_be_read_again),
        cmocka_unit_test(several_readers_read_all),
        cmocka_unit_test(readers_that_stop_free_a_writer_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
