#include "media/true_peak.h"

#include "support/cmocka_all.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define SAMPLES 4000

static float sound[2][SAMPLES];
static float heights[SAMPLES];

static void measure(uint32_t channels, size_t piece)
{
    struct true_peak peak;
    true_peak_init(&peak, channels);
    for (size_t at = 0; at < SAMPLES; at += piece) {
        float *const planes[2] = {sound[0] + at, sound[1] + at};
        true_peak_add(&peak, planes, SAMPLES - at < piece ? SAMPLES - at : piece, heights + at);
    }
}

static float highest(size_t from, size_t to)
{
    float found = 0;
    for (size_t i = from; i < to; i++)
        found = heights[i] > found ? heights[i] : found;
    return found;
}

static void fill(double frequency, double phase)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        sound[0][i] = (float)sin(2 * PI * frequency * (double)i + phase);
        sound[1][i] = 0;
    }
}

static void a_wave_that_peaks_between_its_samples_is_as_high_as_it_is(void **state)
{
    (void)state;
    fill(0.25, PI / 4);
    assert_true(fabs((double)sound[0][1]) < 0.71);
    measure(1, SAMPLES);
    assert_true(highest(100, SAMPLES) > 0.99F && highest(100, SAMPLES) < 1.01F);
    for (double frequency = 0.01; frequency < 0.4; frequency += 0.0137) {
        fill(frequency, 0.3);
        measure(1, SAMPLES);
        assert_true(highest(100, SAMPLES) > 0.95F && highest(100, SAMPLES) < 1.03F);
    }
}

static void what_does_not_change_is_as_high_as_its_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++)
        sound[0][i] = -0.5F;
    measure(1, SAMPLES);
    for (size_t i = 3 * TRUE_PEAK_TAPS; i < SAMPLES; i++)
        assert_true(fabsf(heights[i] - 0.5F) < 1e-5F);
}

static void a_height_is_that_of_the_sample_before_the_reach(void **state)
{
    (void)state;
    memset(sound, 0, sizeof sound);
    sound[0][1000] = -1;
    measure(1, SAMPLES);
    assert_true(heights[1000 + TRUE_PEAK_REACH] == 1);
    /* On its way up it passes three quarters of the next samples. */
    assert_true(heights[999 + TRUE_PEAK_REACH] > 0.85F && heights[999 + TRUE_PEAK_REACH] < 1);
    assert_true(heights[1001 + TRUE_PEAK_REACH] > 0.85F && heights[1001 + TRUE_PEAK_REACH] < 1);
    assert_true(heights[1003 + TRUE_PEAK_REACH] < 0.4F);
    assert_true(highest(0, 1000) == 0);
    assert_true(highest(1001 + TRUE_PEAK_TAPS, SAMPLES) == 0);
}

static void the_higher_channel_counts(void **state)
{
    (void)state;
    fill(0.1, 0);
    for (size_t i = 0; i < SAMPLES; i++)
        sound[1][i] = 2 * sound[0][i];
    measure(1, SAMPLES);
    assert_true(highest(0, SAMPLES) < 1.1F);
    measure(2, SAMPLES);
    assert_true(highest(0, SAMPLES) > 1.9F);
}

static void pieces_of_any_size_make_no_difference(void **state)
{
    (void)state;
    static float whole[SAMPLES];
    fill(0.123, 1);
    measure(2, SAMPLES);
    memcpy(whole, heights, sizeof whole);
    static const size_t pieces[] = {1, 7, 15, 16, 17, 1024, 1025};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        measure(2, pieces[i]);
        assert_memory_equal(heights, whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wave_that_peaks_between_its_samples_is_as_high_as_it_is),
        cmocka_unit_test(what_does_not_change_is_as_high_as_its_samples),
        cmocka_unit_test(a_height_is_that_of_the_sample_before_the_reach),
        cmocka_unit_test(the_higher_channel_counts),
        cmocka_unit_test(pieces_of_any_size_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
