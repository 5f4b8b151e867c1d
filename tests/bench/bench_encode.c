/* Sound, and what the engine's encoders make of it side by side. encoders.py runs it.
 *
 *   bench_encode sound KIND HZ CHANNELS FRAMES >SOUND               floats, interleaved, ±1
 *   bench_encode pool SOUND HZ CHANNELS KBPS|vQ ENCODERS MP3        prints a line for each join:
 *                                            frame, where its encoder began, where it was planned,
 *                                            1 where a segment was passed over */

#include "support/encode.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void die(const char *what)
{
    fprintf(stderr, "bench_encode: %s\n", what);
    exit(1);
}

static void write_sound(char **arguments)
{
    struct heard heard = {0};
    uint32_t sample_rate_hz = number(arguments[1]), channels = number(arguments[2]);
    size_t samples = (size_t)number(arguments[3]) * mp3_frame_samples(sample_rate_hz);
    heard_make(&heard, sample_rate_hz, samples, (enum sound)number(arguments[0]));
    for (size_t i = 0; i < samples; i++)
        for (uint32_t channel = 0; channel < channels; channel++) {
            float sample = heard.channels[channel][i] / 32768;
            fwrite(&sample, sizeof sample, 1, stdout);
        }
    heard_finish(&heard);
}

static struct heard read_sound(const char *path, uint32_t channels)
{
    struct heard heard = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    heard.samples = (size_t)ftell(file) / sizeof(float) / channels;
    rewind(file);
    for (size_t channel = 0; channel < 2; channel++)
        if ((heard.channels[channel] = calloc(heard.samples, sizeof(float))) == NULL)
            abort();
    for (size_t i = 0; i < heard.samples; i++)
        for (uint32_t channel = 0; channel < channels; channel++) {
            float sample;
            if (fread(&sample, sizeof sample, 1, file) != 1)
                die(path);
            heard.channels[channel][i] = sample * 32768;
        }
    fclose(file);
    return heard;
}

static bool print_join(void *context, const struct encoder_pool_joins *joins)
{
    struct encoder_pool_joins *last = context;
    if (joins->count != last->count)
        printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", joins->frame, joins->began_at,
               joins->planned, joins->passed_over - last->passed_over);
    *last = *joins;
    return true;
}

static void encode(char **arguments)
{
    struct encoder_pool_settings settings = {
        .encoder = {.sample_rate_hz = number(arguments[1]), .channels = number(arguments[2])},
        .encoders = number(arguments[4]),
        .samples = 10000, /* as of short sound: the shortest segments, so that joins are many */
    };
    settings.encoder.is_vbr = arguments[3][0] == 'v';
    if (settings.encoder.is_vbr)
        settings.encoder.vbr_quality = number(arguments[3] + 1);
    else
        settings.encoder.bitrate_kbps = number(arguments[3]);
    struct heard heard = read_sound(arguments[0], settings.encoder.channels);
    struct buffer mp3 = BUFFER_WITH_MAX(SIZE_MAX / 4);
    struct encoder_pool_joins last = {0};
    struct error error = {0};
    if (!encode_in_pool(&settings, &heard, print_join, &last, &mp3, &error))
        die(error.text);
    FILE *file = fopen(arguments[5], "wb");
    if (file == NULL || fwrite(mp3.bytes, 1, mp3.size, file) != mp3.size || fclose(file) != 0)
        die(arguments[5]);
    buffer_finish(&mp3);
    heard_finish(&heard);
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 6 && strcmp(arguments[1], "sound") == 0)
        write_sound(arguments + 2);
    else if (argument_count == 8 && strcmp(arguments[1], "pool") == 0)
        encode(arguments + 2);
    else
        die("sound KIND HZ CHANNELS FRAMES, or pool SOUND HZ CHANNELS KBPS|vQ ENCODERS MP3");
    return 0;
}
