#include "media/lowpass.h"

#include <math.h>
#include <string.h>

/* Of the rate: nearer to its half there is nothing left to take away. */
#define OPEN_FROM 0.48
/* Far below what 24 bits hold. What fades further becomes too small for fast arithmetic. */
#define NOTHING 1e-12

/* One of the filter's four pairs of poles, by the bilinear transform. */
static struct lowpass_section make_section(int number, double lowpass_hz, double sample_rate_hz)
{
    double angle = 2 * M_PI * lowpass_hz / sample_rate_hz;
    double damping = cos(M_PI * (2 * number + 1) / (4 * LOWPASS_SECTIONS));
    double alpha = sin(angle) * damping;
    double a0 = 1 + alpha;
    double b1 = (1 - cos(angle)) / a0;
    return (struct lowpass_section){
        .b0 = b1 / 2,
        .b1 = b1,
        .b2 = b1 / 2,
        .a1 = -2 * cos(angle) / a0,
        .a2 = (1 - alpha) / a0,
    };
}

void lowpass_init(struct lowpass *lowpass, uint32_t lowpass_hz, uint32_t sample_rate_hz)
{
    memset(lowpass, 0, sizeof *lowpass);
    lowpass->is_open = lowpass_hz == 0 || lowpass_hz >= sample_rate_hz * OPEN_FROM;
    for (int i = 0; i < LOWPASS_SECTIONS && !lowpass->is_open; i++)
        lowpass->sections[i] = make_section(i, lowpass_hz, sample_rate_hz);
}

/* Direct form II, transposed. */
static void apply_section(const struct lowpass_section *section, double state[2], float *samples,
                          size_t count)
{
    double first = state[0], second = state[1];
    for (size_t i = 0; i < count; i++) {
        double in = (double)samples[i];
        double out = section->b0 * in + first;
        first = section->b1 * in - section->a1 * out + second;
        second = section->b2 * in - section->a2 * out;
        samples[i] = (float)out;
    }
    state[0] = fabs(first) > NOTHING ? first : 0;
    state[1] = fabs(second) > NOTHING ? second : 0;
}

void lowpass_apply(struct lowpass *lowpass, uint32_t channel, float *samples, size_t count)
{
    for (int i = 0; i < LOWPASS_SECTIONS && !lowpass->is_open; i++)
        apply_section(&lowpass->sections[i], lowpass->state[channel][i], samples, count);
}
