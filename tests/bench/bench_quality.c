/* How far two MP3s of the same sound are from it, decoded: one encoder's, and one that several
 * encoders made, with the frames at which those join. bench_quality.py runs it.
 *
 *   bench_quality SOURCE ONE SEVERAL HZ CHANNELS [FRAME...]       files of floats, interleaved, ±1
 *
 * Prints a line for all, in dB: mean signal to noise ratio of one and of several, the most that
 * several are worse and better in a window of 20 ms, and in one of 1 s. Then a line for each join:
 * how alike both sound there (the ratio of the sound to what they differ by), how much higher the
 * highest error is than one encoder's, and how much more it stands out from the errors around than
 * one encoder's does. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* LAME's own delay, and that of every decoder's filters. */
#define DELAY_SAMPLES (576 + 529)
/* An error of 16-bit sound's smallest step is none, nor are differences of what is softer. */
#define STEP (1.0 / 32768)
#define DB_MAX 200.0
/* What is so much softer than the sound around it (50 dB) is masked by it, whatever it is. */
#define MASKED 1e-5
/* Louder than that, a window's ratio counts in the mean. */
#define SIGNAL_MIN 1e-6 /* -60 dB of full scale */
#define NEIGHBOUR_FRAMES 10

struct sound {
    float *values;
    size_t count; /* of all channels */
};

struct trial {
    struct sound source, one, several;
    size_t rate_hz;
    size_t channels;
    size_t frame_samples;
    size_t samples; /* of each channel, that all three have */
    double gain;    /* LAME makes sound softer by a twentieth at many bitrates */
};

static void die(const char *what)
{
    fprintf(stderr, "bench_quality: %s\n", what);
    exit(1);
}

static struct sound read_sound(const char *path, size_t skip_values)
{
    struct sound sound = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    size_t size = (size_t)ftell(file) / sizeof(float);
    sound.count = size > skip_values ? size - skip_values : 0;
    sound.values = calloc(sound.count + 1, sizeof(float));
    if (sound.values == NULL)
        abort();
    if (fseek(file, (long)(skip_values * sizeof(float)), SEEK_SET) != 0 ||
        fread(sound.values, sizeof(float), sound.count, file) != sound.count)
        die(path);
    fclose(file);
    return sound;
}

static double least_squares_gain(const struct trial *trial)
{
    double product = 0, square = 0;
    for (size_t i = 0; i < trial->samples * trial->channels; i++) {
        double source = (double)trial->source.values[i];
        product += source * (double)trial->one.values[i];
        square += source * source;
    }
    return square > 0 && product > 0 ? product / square : 1;
}

static double error_of(const struct trial *trial, const struct sound *decoded, size_t i)
{
    return (double)decoded->values[i] - trial->gain * (double)trial->source.values[i];
}

struct energy {
    double signal, one, several; /* with the smallest step's, for each value */
};

static struct energy energy_in(const struct trial *trial, size_t from, size_t to)
{
    double least = STEP * STEP;
    struct energy energy = {0};
    for (size_t i = from * trial->channels; i < to * trial->channels; i++) {
        double signal = trial->gain * (double)trial->source.values[i];
        double one = error_of(trial, &trial->one, i), several = error_of(trial, &trial->several, i);
        energy.signal += signal * signal + least;
        energy.one += one * one + least;
        energy.several += several * several + least;
    }
    return energy;
}

/* Of several beside one in any window: the most that they lose, and that they gain. */
struct change {
    double loss, gain;
};

static struct change worst_change(const struct trial *trial, size_t window)
{
    struct change worst = {0};
    for (size_t at = 0; at + window <= trial->samples; at += window) {
        struct energy energy = energy_in(trial, at, at + window);
        double masked = MASKED * energy.signal;
        double loss = 10 * log10((energy.several + masked) / (energy.one + masked));
        worst.loss = fmax(worst.loss, loss);
        worst.gain = fmax(worst.gain, -loss);
    }
    return worst;
}

static double likeness(const struct trial *trial, size_t from, size_t to)
{
    double signal = 0, difference = 0;
    for (size_t i = from * trial->channels; i < to * trial->channels; i++) {
        double one = (double)trial->one.values[i], several = (double)trial->several.values[i];
        signal += one * one + STEP * STEP;
        difference += (several - one) * (several - one);
    }
    return difference > 0 ? 10 * log10(signal / difference) : DB_MAX;
}

static double least_likeness(const struct trial *trial, size_t window)
{
    double least = DB_MAX;
    for (size_t at = 0; at + window <= trial->samples; at += window) {
        double found = likeness(trial, at, at + window);
        least = found < least ? found : least;
    }
    return least;
}

static void print_whole(const struct trial *trial)
{
    size_t window = trial->rate_hz / 50, count = 0;
    double one = 0, several = 0;
    for (size_t at = 0; at + window <= trial->samples; at += window) {
        struct energy energy = energy_in(trial, at, at + window);
        if (energy.signal < SIGNAL_MIN * (double)(window * trial->channels))
            continue;
        one += 10 * log10(energy.signal / energy.one);
        several += 10 * log10(energy.signal / energy.several);
        count++;
    }
    double divisor = count > 0 ? (double)count : 1;
    struct change short_change = worst_change(trial, window);
    struct change long_change = worst_change(trial, trial->rate_hz);
    printf("%.3f %.3f %.3f %.3f %.3f %.3f %.3f\n", one / divisor, several / divisor,
           short_change.loss, short_change.gain, long_change.loss, long_change.gain,
           least_likeness(trial, trial->rate_hz));
}

static double peak(const struct trial *trial, const struct sound *decoded, size_t from, size_t to)
{
    double highest = 0;
    for (size_t i = from * trial->channels; i < to * trial->channels; i++) {
        double error = fabs(error_of(trial, decoded, i));
        highest = error > highest ? error : highest;
    }
    return highest + STEP;
}

static double stands_out(const struct trial *trial, const struct sound *decoded, size_t from,
                         size_t to)
{
    size_t around = NEIGHBOUR_FRAMES * trial->frame_samples;
    size_t begin = from > around ? from - around : 0;
    size_t end = to + around < trial->samples ? to + around : trial->samples;
    double before = peak(trial, decoded, begin, from), behind = peak(trial, decoded, to, end);
    return 20 * log10(peak(trial, decoded, from, to) / (before > behind ? before : behind));
}

static void print_join(const struct trial *trial, size_t frame)
{
    /* The frame that overlaps with the one before, with one of room on both sides. */
    size_t middle = frame * trial->frame_samples, room = DELAY_SAMPLES + trial->frame_samples;
    size_t from = middle > room ? middle - room : 0, to = from + 3 * trial->frame_samples;
    to = to < trial->samples ? to : trial->samples;
    from = from < to ? from : to;
    size_t half = trial->rate_hz / 2, begin = from > half ? from - half : 0;
    size_t end = to + half < trial->samples ? to + half : trial->samples;
    double one = peak(trial, &trial->one, from, to);
    double several = peak(trial, &trial->several, from, to);
    printf("%.2f %.2f %.2f\n", likeness(trial, begin, end), 20 * log10(several / one),
           stands_out(trial, &trial->several, from, to) - stands_out(trial, &trial->one, from, to));
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 6)
        die("SOURCE ONE SEVERAL HZ CHANNELS [FRAME...]");
    struct trial trial = {
        .rate_hz = strtoul(arguments[4], NULL, 10),
        .channels = strtoul(arguments[5], NULL, 10),
    };
    trial.frame_samples = trial.rate_hz >= 32000 ? 1152 : 576;
    trial.source = read_sound(arguments[1], 0);
    trial.one = read_sound(arguments[2], DELAY_SAMPLES * trial.channels);
    trial.several = read_sound(arguments[3], DELAY_SAMPLES * trial.channels);
    size_t least = trial.source.count;
    least = trial.one.count < least ? trial.one.count : least;
    least = trial.several.count < least ? trial.several.count : least;
    trial.samples = least / trial.channels;
    trial.gain = least_squares_gain(&trial);
    print_whole(&trial);
    for (int i = 6; i < argument_count; i++)
        print_join(&trial, strtoul(arguments[i], NULL, 10));
    free(trial.source.values);
    free(trial.one.values);
    free(trial.several.values);
    return 0;
}
