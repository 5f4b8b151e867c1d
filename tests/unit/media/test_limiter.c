#include "media/limiter.h"

#include "media/true_peak.h"
#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define RATE 48000
#define SAMPLES (2 * RATE)

struct heard {
    float sound[2][SAMPLES];
    size_t samples;
    size_t wanted;
    uint64_t input_position;
    bool has_ended;
};

static float sound[2][SAMPLES];
static double scale = 1;
static struct heard heard, whole;

static bool take(void *context, float *const planes[2], size_t count, uint64_t input_position)
{
    struct heard *to = context;
    assert_false(to->has_ended);
    assert_true(count > 0 && count <= SAMPLES - to->samples);
    memcpy(to->sound[0] + to->samples, planes[0], count * sizeof(float));
    memcpy(to->sound[1] + to->samples, planes[1], count * sizeof(float));
    to->samples += count;
    to->input_position = input_position;
    return to->samples < to->wanted;
}

static void end(void *context)
{
    struct heard *to = context;
    to->has_ended = true;
}

/* Returns how many samples could be given. */
static size_t limit(double gain, double ceiling, size_t samples, size_t piece)
{
    const struct limiter_settings settings = {
        .sample_rate_hz = RATE, .channels = 2, .gain = gain, .ceiling = ceiling, .scale = scale};
    const struct sound_sink next = {.context = &heard, .take = take, .end = end};
    struct limiter *limiter = limiter_create(&settings, &next);
    struct sound_sink sink = limiter_sink(limiter);
    size_t wanted = heard.wanted;
    size_t at = 0;
    bool goes_on = true;
    heard.samples = 0;
    heard.has_ended = false;
    heard.wanted = wanted != 0 ? wanted : SIZE_MAX;
    while (at < samples && goes_on) {
        static float copy[2][SAMPLES];
        float *const planes[2] = {copy[0], copy[1]};
        size_t part = samples - at < piece ? samples - at : piece;
        memcpy(copy[0], sound[0] + at, part * sizeof(float));
        memcpy(copy[1], sound[1] + at, part * sizeof(float));
        at += part;
        goes_on = sink.take(sink.context, planes, part, at);
    }
    if (goes_on)
        sink.end(sink.context);
    limiter_destroy(limiter);
    heard.wanted = 0;
    return at;
}

/* A soft tone, and in it some that are loud, short and long; the right channel at half. */
static void make_sound(void)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        double t = (double)i / RATE;
        bool is_loud = (t > 0.5 && t < 0.501) || (t > 0.9 && t < 1.1);
        sound[0][i] = (float)((is_loud ? 30000 : 3000) * sin(2 * PI * 997 * t));
        sound[1][i] = sound[0][i] / 2;
    }
}

static double true_peak_of_heard(void)
{
    static float heights[SAMPLES];
    struct true_peak peak;
    float *const planes[2] = {heard.sound[0], heard.sound[1]};
    double found = 0;
    true_peak_init(&peak, 2);
    true_peak_add(&peak, planes, heard.samples, heights);
    for (size_t i = 0; i < heard.samples; i++)
        found = (double)heights[i] > found ? (double)heights[i] : found;
    return found;
}

static void without_a_ceiling_sound_is_multiplied(void **state)
{
    (void)state;
    make_sound();
    limit(4, 0, SAMPLES, 1000);
    assert_int_equal(heard.samples, SAMPLES);
    assert_true(heard.has_ended);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_true(heard.sound[0][i] == 4 * sound[0][i]);
}

static void below_its_ceiling_sound_is_multiplied_too(void **state)
{
    (void)state;
    make_sound();
    limit(0.5, 20000, SAMPLES, 1000);
    assert_int_equal(heard.samples, SAMPLES);
    assert_true(heard.has_ended);
    assert_int_equal(heard.input_position, SAMPLES);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_true(fabsf(heard.sound[1][i] - 0.5F * sound[1][i]) < 0.01F);
}

static void nothing_rises_over_the_ceiling(void **state)
{
    (void)state;
    make_sound();
    for (double gain = 1; gain < 40; gain *= 3) {
        limit(gain, 20000, SAMPLES, SAMPLES);
        assert_int_equal(heard.samples, SAMPLES);
        assert_true(true_peak_of_heard() <= 20000 * 1.01);
        assert_true(true_peak_of_heard() > 20000 * 0.98);
    }
}

static double gain_at(size_t i)
{
    size_t loudest = i;
    for (size_t j = i; j < i + 60; j++)
        loudest = fabsf(sound[0][j]) > fabsf(sound[0][loudest]) ? j : loudest;
    return (double)(heard.sound[0][loudest] / sound[0][loudest]);
}

static void it_turns_down_before_a_peak_and_slowly_up_after_it(void **state)
{
    (void)state;
    make_sound();
    limit(2, 20000, SAMPLES, SAMPLES);
    assert_true(fabs(gain_at(RATE * 490 / 1000) - 2) < 0.01);
    assert_true(gain_at(RATE * 498 / 1000) < 1.9);
    assert_true(gain_at(RATE * 520 / 1000) < 1.5);
    assert_true(gain_at(RATE * 600 / 1000) > gain_at(RATE * 520 / 1000) + 0.2);
    assert_true(gain_at(RATE * 890 / 1000) > 1.95);
    /* Steady sound is only made softer: every wave of it alike. */
    for (size_t i = RATE * 910 / 1000; i < RATE * 1090 / 1000; i++)
        assert_true(fabs((double)heard.sound[0][i] - (double)sound[0][i] * 2 / 3) < 250);
    /* Channels stay where they are. */
    for (size_t i = 0; i < SAMPLES; i++)
        assert_true(fabsf(heard.sound[1][i] * 2 - heard.sound[0][i]) < 0.1F);
}

static void pieces_of_any_size_make_no_difference(void **state)
{
    (void)state;
    make_sound();
    limit(2, 20000, SAMPLES, SAMPLES);
    whole = heard;
    static const size_t pieces[] = {1, 100, 247, 248, 249, 1024, 5000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        limit(2, 20000, SAMPLES, pieces[i]);
        assert_int_equal(heard.samples, SAMPLES);
        assert_memory_equal(heard.sound, whole.sound, sizeof heard.sound);
    }
}

static void sound_of_any_length_stays_as_long(void **state)
{
    (void)state;
    make_sound();
    for (size_t samples = 0; samples < 600; samples++) {
        limit(30, 20000, samples, 100);
        assert_int_equal(heard.samples, samples);
        assert_true(heard.has_ended);
    }
}

static void what_comes_out_is_scaled_after_the_ceiling(void **state)
{
    (void)state;
    make_sound();
    static const double ceilings[] = {0, 20000};
    for (size_t i = 0; i < 2; i++) {
        limit(3, ceilings[i], SAMPLES, 1000);
        whole = heard;
        scale = 1.25;
        limit(3, ceilings[i], SAMPLES, 1000);
        scale = 1;
        for (size_t j = 0; j < SAMPLES; j++)
            assert_true(fabsf(heard.sound[0][j] - 1.25F * whole.sound[0][j]) < 0.05F);
    }
}

static void it_ends_where_no_more_is_wanted(void **state)
{
    (void)state;
    make_sound();
    static const double ceilings[] = {0, 20000};
    for (size_t i = 0; i < 2; i++) {
        heard.wanted = 10000;
        assert_true(limit(2, ceilings[i], SAMPLES, 1000) < 12000);
        assert_false(heard.has_ended);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_ceiling_sound_is_multiplied),
        cmocka_unit_test(below_its_ceiling_sound_is_multiplied_too),
        cmocka_unit_test(nothing_rises_over_the_ceiling),
        cmocka_unit_test(it_turns_down_before_a_peak_and_slowly_up_after_it),
        cmocka_unit_test(pieces_of_any_size_make_no_difference),
        cmocka_unit_test(sound_of_any_length_stays_as_long),
        cmocka_unit_test(what_comes_out_is_scaled_after_the_ceiling),
        cmocka_unit_test(it_ends_where_no_more_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
