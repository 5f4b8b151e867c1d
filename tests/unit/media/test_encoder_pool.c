#include "media/encoder_pool.h"

#include "media/segment_plan.h"
#include "support/cmocka_all.h"
#include "support/encode.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#define STREAM_SIZE_MAX (8U << 20)

static struct heard heard;

/* So many threads are granted, then so many refused, as where a limit is reached, then all granted:
 * the linker's --wrap puts this in front of the real one. */
static struct {
    uint32_t granted, refused;
} coming_threads = {.granted = UINT32_MAX};

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context)
{
    if (coming_threads.granted == 0 && coming_threads.refused > 0) {
        coming_threads.refused--;
        return EAGAIN;
    }
    if (coming_threads.granted > 0)
        coming_threads.granted--;
    return __real_pthread_create(thread, attributes, run, context);
}

static bool note_joins(void *context, const struct encoder_pool_joins *joins)
{
    *(struct encoder_pool_joins *)context = *joins;
    return true;
}

/* Returns how often they joined. */
static uint64_t compare_with_one(const struct encoder_pool_settings *settings)
{
    struct buffer once = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
    struct buffer side_by_side = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
    struct encoder_pool_joins joins = {0};
    struct error error = {0};
    assert_true(encode_at_once(&settings->encoder, &heard, 0, &once, &error));
    assert_true(encode_in_pool(settings, &heard, note_joins, &joins, &side_by_side, &error));
    /* One encodes nothing twice; its delay and the padding take a few frames more. */
    uint64_t frames = heard.samples / mp3_frame_samples(settings->encoder.sample_rate_hz);
    assert_in_range(joins.frames, frames, settings->encoders == 1 ? frames + 4 : UINT64_MAX);
    assert_int_equal(once.size, side_by_side.size);
    if (memcmp(once.bytes, side_by_side.bytes, once.size) != 0)
        fail_msg("%u Hz, %u kb/s: %zu bytes became others", settings->encoder.sample_rate_hz,
                 settings->encoder.bitrate_kbps, once.size);
    buffer_finish(&once);
    buffer_finish(&side_by_side);
    return joins.count;
}

/* So that there are many segments, the pool is told that the sound is short. */
#define SHORT_SAMPLES 10000

static void several_encoders_make_what_one_makes(void **state)
{
    (void)state;
    static const struct encoder_pool_settings all_settings[] = {
        {{.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 128}, 4, SHORT_SAMPLES},
        {{.sample_rate_hz = 44100, .channels = 1, .bitrate_kbps = 320}, 2, SHORT_SAMPLES},
        {{.sample_rate_hz = 48000, .channels = 2, .bitrate_kbps = 64}, 3, SHORT_SAMPLES},
        {{.sample_rate_hz = 22050, .channels = 2, .bitrate_kbps = 160}, 5, SHORT_SAMPLES},
        {{.sample_rate_hz = 24000, .channels = 2, .bitrate_kbps = 8}, 2, SHORT_SAMPLES},
        {{.sample_rate_hz = 8000, .channels = 1, .bitrate_kbps = 16}, 3, SHORT_SAMPLES},
        {{.sample_rate_hz = 44100, .channels = 2, .is_vbr = true, .vbr_quality = 5},
         4,
         SHORT_SAMPLES},
        {{.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 128}, 1, SHORT_SAMPLES},
    };
    for (size_t i = 0; i < sizeof all_settings / sizeof all_settings[0]; i++) {
        const struct encoder_pool_settings *settings = &all_settings[i];
        uint32_t rate_hz = settings->encoder.sample_rate_hz;
        heard_make(&heard, rate_hz, 2000 * mp3_frame_samples(rate_hz) + 777, SOUND_IN_TURN);
        uint64_t joined = compare_with_one(settings);
        assert_true(settings->encoders > 1 ? joined >= 2 : joined == 0);
    }
}

static void staggered_encoders_make_what_one_makes(void **state)
{
    (void)state;
    static const struct encoder_pool_settings all_settings[] = {
        {{.sample_rate_hz = 8000, .channels = 1, .bitrate_kbps = 16}, 2, 3000 * 576},
        {{.sample_rate_hz = 22050, .channels = 2, .bitrate_kbps = 64}, 3, 0},
    };
    for (size_t i = 0; i < 2; i++) {
        const struct encoder_pool_settings *settings = &all_settings[i];
        heard_make(&heard, settings->encoder.sample_rate_hz, 3000 * 576, SOUND_IN_TURN);
        assert_int_equal(compare_with_one(settings), 2);
    }
}

/* At 64 kb/s and 32 kHz, the lead-in alone is not always enough. */
static void an_encoder_goes_on_until_the_next_one_makes_the_same(void **state)
{
    (void)state;
    const struct encoder_pool_settings settings = {
        {.sample_rate_hz = 32000, .channels = 2, .bitrate_kbps = 64}, 3, SHORT_SAMPLES};
    heard_make(&heard, 32000, 4000 * 1152, SOUND_MUSIC);
    assert_true(compare_with_one(&settings) >= 5);
}

static bool check_join(void *context, const struct encoder_pool_joins *joins)
{
    struct encoder_pool_joins *last = context;
    if (joins->count != last->count) {
        bool is_passed_over = joins->passed_over != last->passed_over;
        assert_true(joins->frame > last->frame);
        assert_true(joins->frame >= joins->planned);
        assert_true(joins->frame >= joins->began_at + SEGMENT_LEAD_IN_FRAMES);
        assert_true(is_passed_over || joins->planned >= joins->began_at + SEGMENT_LEAD_IN_FRAMES);
        assert_true(joins->planned >= last->planned + SEGMENT_FRAMES_MIN);
    }
    *last = *joins;
    return true;
}

static void joins_are_told_of_as_frames_are_read(void **state)
{
    (void)state;
    static const uint32_t rates_hz[] = {32000, 22050}; /* without a period, and with one */
    for (size_t i = 0; i < 2; i++) {
        const struct encoder_pool_settings settings = {
            {.sample_rate_hz = rates_hz[i], .channels = 2, .bitrate_kbps = 64}, 3, SHORT_SAMPLES};
        struct buffer mp3 = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct encoder_pool_joins joins = {0};
        struct error error = {0};
        heard_make(&heard, rates_hz[i], 4000 * mp3_frame_samples(rates_hz[i]), SOUND_MUSIC);
        assert_true(encode_in_pool(&settings, &heard, check_join, &joins, &mp3, &error));
        assert_true(joins.count >= 5);
        assert_true(joins.frame < 4000);
        buffer_finish(&mp3);
    }
}

/* Around each length at which a segment begins or ends, too. */
static void sound_of_any_length_is_encoded(void **state)
{
    (void)state;
    static const size_t lengths[] = {1,          1151,           1152,       9216,
                                     294 * 1152, 294 * 1152 + 1, 391 * 1152, 392 * 1152,
                                     393 * 1152, 395 * 1152 + 5, 500 * 1152, 784 * 1152};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const struct encoder_pool_settings settings = {
            .encoder = {.sample_rate_hz = 32000, .channels = 1, .bitrate_kbps = 64},
            .encoders = 3,
            .samples = SHORT_SAMPLES,
        };
        heard_make(&heard, 32000, lengths[i], SOUND_IN_TURN);
        compare_with_one(&settings);
    }
}

static void fewer_threads_than_asked_for_make_the_same(void **state)
{
    (void)state;
    const struct encoder_pool_settings settings = {
        {.sample_rate_hz = 32000, .channels = 1, .bitrate_kbps = 64}, 4, SHORT_SAMPLES};
    heard_make(&heard, 32000, 2000 * 1152, SOUND_IN_TURN);
    for (uint32_t granted = 1; granted < 4; granted++) {
        coming_threads.granted = granted;
        coming_threads.refused = 1;
        uint64_t joined = compare_with_one(&settings);
        assert_int_equal(coming_threads.refused, 0);
        assert_true(granted > 1 ? joined >= 2 : joined == 0);
    }
}

static void a_pool_without_threads_is_refused(void **state)
{
    (void)state;
    const struct encoder_pool_settings settings = {
        {.sample_rate_hz = 32000, .channels = 1, .bitrate_kbps = 64}, 4, SHORT_SAMPLES};
    struct pcm_ring *ring = pcm_ring_create(encoder_pool_blocks(&settings));
    struct encoder_pool *pool = NULL;
    struct error error = {0};
    coming_threads.granted = 0;
    coming_threads.refused = 1;
    assert_false(encoder_pool_start(&settings, ring, &pool, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_null(pool);
    pcm_ring_destroy(ring);
}

static bool count_down(void *context, const struct encoder_pool_joins *joins)
{
    (void)joins;
    return --*(size_t *)context > 0;
}

static void a_pool_that_is_wanted_no_more_ends_at_once(void **state)
{
    (void)state;
    const struct encoder_pool_settings settings = {
        .encoder = {.sample_rate_hz = 44100, .channels = 2, .bitrate_kbps = 128},
        .encoders = 4,
    };
    heard_make(&heard, 44100, 4000 * 1152, SOUND_IN_TURN);
    for (size_t frames = 1; frames < 3000; frames += 700) {
        struct buffer begun = BUFFER_WITH_MAX(STREAM_SIZE_MAX);
        struct error error = {0};
        size_t left = frames;
        assert_true(encode_in_pool(&settings, &heard, count_down, &left, &begun, &error));
        assert_int_equal(left, 0);
        buffer_finish(&begun);
    }
}

struct slow_reading {
    struct pcm_ring *ring;
    sem_t has_ended;
};

static void *write_until_the_end(void *context)
{
    struct slow_reading *reading = context;
    heard_put(&heard, reading->ring);
    sem_post(&reading->has_ended);
    return NULL;
}

/* As where an MP3 is stored more slowly than it is encoded. A pool that went on all the same would
 * have taken all the sound long before the wait is over. */
static void frames_that_nobody_reads_do_not_pile_up(void **state)
{
    (void)state;
    const struct encoder_pool_settings settings = {
        {.sample_rate_hz = 8000, .channels = 1, .bitrate_kbps = 8}, 2, SHORT_SAMPLES};
    struct slow_reading reading = {.ring = pcm_ring_create(encoder_pool_blocks(&settings))};
    struct error error = {0};
    struct encoder_pool *pool;
    struct frame_parts parts;
    struct timespec end;
    uint64_t frames = 0;
    bool has_frame = true;
    pthread_t writer;
    heard_make(&heard, 8000, 2000 * 576, SOUND_IN_TURN);
    sem_init(&reading.has_ended, 0, 0);
    assert_int_equal(pthread_create(&writer, NULL, write_until_the_end, &reading), 0);
    assert_true(encoder_pool_start(&settings, reading.ring, &pool, &error));
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec++;
    assert_int_equal(sem_timedwait(&reading.has_ended, &end), -1);
    assert_int_equal(errno, ETIMEDOUT);
    while (has_frame) {
        assert_true(encoder_pool_read(pool, &parts, &has_frame, &error));
        frames += has_frame;
    }
    assert_true(frames >= 2000);
    assert_int_equal(encoder_pool_samples(pool), heard.samples);
    encoder_pool_destroy(pool);
    pthread_join(writer, NULL);
    pcm_ring_destroy(reading.ring);
    sem_destroy(&reading.has_ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_encoders_make_what_one_makes),
        cmocka_unit_test(staggered_encoders_make_what_one_makes),
        cmocka_unit_test(an_encoder_goes_on_until_the_next_one_makes_the_same),
        cmocka_unit_test(joins_are_told_of_as_frames_are_read),
        cmocka_unit_test(sound_of_any_length_is_encoded),
        cmocka_unit_test(fewer_threads_than_asked_for_make_the_same),
        cmocka_unit_test(a_pool_without_threads_is_refused),
        cmocka_unit_test(a_pool_that_is_wanted_no_more_ends_at_once),
        cmocka_unit_test(frames_that_nobody_reads_do_not_pile_up),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    heard_finish(&heard);
    return result;
}
