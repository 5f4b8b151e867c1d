#include "media/lowpass.h"

#include "support/cmocka_all.h"
#include <math.h>

#define PI 3.14159265358979323846
#define RATE_HZ 44100
#define SAMPLES 44100

static float samples[SAMPLES];

/* How much is left of a tone, once the filter has begun to ring, in decibels. */
static double left_of(struct lowpass *lowpass, uint32_t channel, double frequency_hz, size_t piece)
{
    double sum = 0;
    for (size_t i = 0; i < SAMPLES; i++)
        samples[i] = (float)sin(2 * PI * frequency_hz * (double)i / RATE_HZ);
    for (size_t at = 0; at < SAMPLES; at += piece)
        lowpass_apply(lowpass, channel, samples + at, SAMPLES - at < piece ? SAMPLES - at : piece);
    for (size_t i = SAMPLES / 2; i < SAMPLES; i++)
        sum += (double)samples[i] * (double)samples[i];
    return 10 * log10(sum / (SAMPLES / 4.0));
}

static double left(uint32_t lowpass_hz, double frequency_hz)
{
    struct lowpass lowpass;
    lowpass_init(&lowpass, lowpass_hz, RATE_HZ);
    return left_of(&lowpass, 0, frequency_hz, 1000);
}

static void what_is_below_stays_and_what_is_above_goes(void **state)
{
    (void)state;
    static const uint32_t lowpasses_hz[] = {4000, 11000, 16000, 20000};
    for (size_t i = 0; i < sizeof lowpasses_hz / sizeof lowpasses_hz[0]; i++) {
        double hz = lowpasses_hz[i];
        assert_true(fabs(left(lowpasses_hz[i], 50)) < 0.01);
        assert_true(fabs(left(lowpasses_hz[i], hz * 0.8)) < 0.2);
        assert_true(fabs(left(lowpasses_hz[i], hz) + 3) < 0.1);
        assert_true(left(lowpasses_hz[i], hz + (RATE_HZ / 2.0 - hz) * 0.6) < -18);
    }
}

static void without_a_lowpass_nothing_is_changed(void **state)
{
    (void)state;
    assert_true(fabs(left(0, 21000)) < 0.001);
    assert_true(fabs(left(22000, 21000)) < 0.001);
    assert_true(fabs(left(40000, 21000)) < 0.001);
}

static void channels_and_pieces_do_not_meet(void **state)
{
    (void)state;
    struct lowpass lowpass;
    lowpass_init(&lowpass, 11000, RATE_HZ);
    double of_first = left_of(&lowpass, 0, 10000, 7);
    assert_true(fabs(left_of(&lowpass, 1, 50, SAMPLES)) < 0.01);
    assert_true(fabs(of_first - left(11000, 10000)) < 0.0001);
}

static void after_silence_nothing_is_left(void **state)
{
    (void)state;
    struct lowpass lowpass;
    lowpass_init(&lowpass, 11000, RATE_HZ);
    left_of(&lowpass, 0, 440, 1000);
    for (size_t i = 0; i < SAMPLES; i++)
        samples[i] = 0;
    lowpass_apply(&lowpass, 0, samples, SAMPLES);
    assert_true(samples[SAMPLES - 1] == 0);
    for (size_t i = 0; i < LOWPASS_SECTIONS; i++)
        assert_true(lowpass.state[0][i][0] == 0 && lowpass.state[0][i][1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_below_stays_and_what_is_above_goes),
        cmocka_unit_test(without_a_lowpass_nothing_is_changed),
        cmocka_unit_test(channels_and_pieces_do_not_meet),
        cmocka_unit_test(after_silence_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
