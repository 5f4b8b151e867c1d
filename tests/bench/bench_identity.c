/* Encodes generated sound side by side and compares every frame with an MP3 that another program
 * made of the same sound. bench_identity.py runs it.
 *
 *   bench_identity sound KIND HZ CHANNELS FRAMES                        floats, interleaved, ±1
 *   bench_identity join KIND HZ CHANNELS FRAMES KBPS|vQ ENCODERS MP3    a line of numbers */

#include "base/buffer.h"
#include "media/encoder_pool.h"
#include "media/frame_layout.h"
#include "support/sound.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setting {
    enum sound sound;
    struct encoder_pool_settings pool;
    size_t samples;
    float *channels[2];
};

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void die(const char *what)
{
    fprintf(stderr, "bench_identity: %s\n", what);
    exit(1);
}

static struct setting read_setting(char **arguments)
{
    struct setting setting = {.sound = (enum sound)number(arguments[2])};
    struct encoder_settings *encoder = &setting.pool.encoder;
    encoder->sample_rate_hz = number(arguments[3]);
    encoder->channels = number(arguments[4]);
    setting.samples =
        (size_t)number(arguments[5]) * (encoder->sample_rate_hz >= 32000 ? 1152 : 576);
    for (uint32_t i = 0; i < encoder->channels; i++) {
        setting.channels[i] = malloc(setting.samples * sizeof(float));
        if (setting.channels[i] == NULL)
            abort();
        sound_fill(setting.channels[i], setting.samples, encoder->sample_rate_hz, i, setting.sound);
    }
    if (encoder->channels == 1)
        setting.channels[1] = setting.channels[0];
    return setting;
}

static void write_sound(const struct setting *setting)
{
    for (size_t i = 0; i < setting->samples; i++)
        for (uint32_t channel = 0; channel < setting->pool.encoder.channels; channel++) {
            float sample = setting->channels[channel][i] / 32768;
            fwrite(&sample, sizeof sample, 1, stdout);
        }
}

struct writing {
    const struct setting *setting;
    struct pcm_ring *ring;
};

static void *fill_ring(void *context)
{
    const struct writing *writing = context;
    const struct setting *setting = writing->setting;
    struct pcm_block *block;
    for (size_t at = 0; at < setting->samples; at += PCM_BLOCK_SAMPLES) {
        block = pcm_ring_get_empty(writing->ring);
        if (block == NULL)
            break;
        size_t left = setting->samples - at;
        block->count = left < PCM_BLOCK_SAMPLES ? left : PCM_BLOCK_SAMPLES;
        for (size_t i = 0; i < 2; i++)
            memcpy(block->samples[i], setting->channels[i] + at, block->count * sizeof(float));
        pcm_ring_put(writing->ring);
    }
    pcm_ring_end(writing->ring);
    return NULL;
}

static struct encoder_pool_joins encode(const struct setting *setting, struct buffer *out)
{
    struct error error = {0};
    struct pcm_ring *ring = pcm_ring_create(encoder_pool_blocks(&setting->pool));
    struct writing writing = {setting, ring};
    struct encoder_pool *pool;
    struct frame_layout layout;
    struct frame_parts parts;
    bool has_frame = true;
    pthread_t writer;
    frame_layout_init(&layout, setting->pool.encoder.is_vbr);
    if (!encoder_pool_start(&setting->pool, ring, &pool, &error) ||
        pthread_create(&writer, NULL, fill_ring, &writing) != 0)
        die(error.text);
    for (;;) {
        if (!encoder_pool_read(pool, &parts, &has_frame, &error))
            die(error.text);
        if (!has_frame)
            break;
        if (!frame_layout_add(&layout, &parts, out, &error))
            die(error.text);
    }
    if (!frame_layout_end(&layout, out, &error))
        die(error.text);
    struct encoder_pool_joins joins = encoder_pool_joins(pool);
    encoder_pool_destroy(pool);
    pthread_join(writer, NULL);
    pcm_ring_destroy(ring);
    frame_layout_finish(&layout);
    return joins;
}

static void read_file(const char *path, struct buffer *out)
{
    struct error error = {0};
    char bytes[65536];
    size_t size;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die(path);
    while ((size = fread(bytes, 1, sizeof bytes, file)) > 0)
        if (!buffer_append(out, bytes, size, &error))
            die(error.text);
    fclose(file);
}

/* Parsed anew, which finds main data that overlap or are not there, and in VBR leaves aside how
 * large frames are. */
static void parse(const unsigned char *bytes, size_t size, struct frame_row *out_row)
{
    static struct frame_parser parser;
    struct error error = {0};
    struct frame_parts parts;
    bool has_frame;
    memset(&parser, 0, sizeof parser);
    frame_row_init(out_row, 0);
    for (size_t at = 0; at < size; at += 4096) {
        frame_parser_add(&parser, bytes + at, size - at < 4096 ? size - at : 4096);
        for (;;) {
            if (!frame_parser_next(&parser, &parts, &has_frame, &error))
                die(error.text);
            if (!has_frame)
                break;
            frame_parts_clear_layout(&parts);
            frame_row_add(out_row, &parts);
        }
    }
}

/* ffmpeg puts its Info frame first. */
static size_t info_size(const struct buffer *mp3)
{
    struct mp3_frame frame;
    const unsigned char *bytes = (const unsigned char *)mp3->bytes;
    if (!mp3_frame_parse(bytes, &frame))
        die("the other MP3 does not begin with a frame");
    const unsigned char *name = bytes + MP3_FRAME_HEADER_SIZE + frame.side_info_size;
    return memcmp(name, "Info", 4) == 0 || memcmp(name, "Xing", 4) == 0 ? frame.size : 0;
}

static void compare(const struct buffer *ours, const struct buffer *other,
                    const struct encoder_pool_joins *joins)
{
    const unsigned char *theirs = (const unsigned char *)other->bytes + info_size(other);
    size_t theirs_size = other->size - info_size(other);
    struct frame_row ours_row, theirs_row;
    parse((const unsigned char *)ours->bytes, ours->size, &ours_row);
    parse(theirs, theirs_size, &theirs_row);
    bool is_identical = ours->size == theirs_size && memcmp(ours->bytes, theirs, theirs_size) == 0;
    uint64_t equal = 0, first_different = 0;
    bool has_different = false;
    for (uint64_t i = 0; i < frame_row_end(&ours_row) && i < frame_row_end(&theirs_row); i++) {
        if (frame_row_is_equal(&ours_row, &theirs_row, i)) {
            equal++;
        } else if (!has_different) {
            has_different = true;
            first_different = i;
        }
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 " %" PRId64 "\n",
           frame_row_end(&ours_row), frame_row_end(&theirs_row), equal, is_identical, joins->joined,
           joins->late, has_different ? (int64_t)first_different : -1);
    frame_row_finish(&ours_row);
    frame_row_finish(&theirs_row);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 6 && argument_count != 9)
        die("sound KIND HZ CHANNELS FRAMES, or join … KBPS|vQ ENCODERS MP3");
    struct setting setting = read_setting(arguments);
    if (argument_count == 6) {
        write_sound(&setting);
    } else {
        struct encoder_settings *encoder = &setting.pool.encoder;
        encoder->is_vbr = arguments[6][0] == 'v';
        encoder->vbr_quality = encoder->is_vbr ? number(arguments[6] + 1) : 0;
        encoder->bitrate_kbps = encoder->is_vbr ? 0 : number(arguments[6]);
        setting.pool.encoders = number(arguments[7]);
        setting.pool.samples = 10000; /* as of short sound: many segments */
        struct buffer ours = BUFFER_WITH_MAX(SIZE_MAX / 4), other = BUFFER_WITH_MAX(SIZE_MAX / 4);
        struct encoder_pool_joins joins = encode(&setting, &ours);
        read_file(arguments[8], &other);
        compare(&ours, &other, &joins);
        buffer_finish(&ours);
        buffer_finish(&other);
    }
    if (setting.channels[1] != setting.channels[0])
        free(setting.channels[1]);
    free(setting.channels[0]);
    return 0;
}
