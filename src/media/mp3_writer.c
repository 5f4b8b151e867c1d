#include "media/mp3_writer.h"

#include "media/crc16.h"
#include "media/info_frame.h"
#include "media/mp3_frame.h"
#include "media/seek_table.h"
#include "model/failure.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HELD_SIZE 65536

struct mp3_writer {
    struct mp3_writer_settings settings;
    const struct media_io *io; /* borrowed */
    uint64_t info_offset;      /* of the Info frame: the tag's size */
    size_t info_size;

    unsigned char held[HELD_SIZE]; /* not handed on yet */
    size_t held_size;
    uint64_t offset; /* of held[0] */

    /* The walk along the frames, whose ends need not be those of the calls. */
    unsigned char header[MP3_FRAME_HEADER_SIZE];
    size_t header_size;   /* bytes of the next header seen so far */
    size_t frame_missing; /* bytes of this frame still to come */
    uint32_t frame_samples;
    uint64_t frames;
    uint64_t frame_offset; /* of the next header, from the Info frame's first byte */
    uint16_t music_crc;
    struct seek_table seek_table;
};

static struct info_frame describe(const struct mp3_writer *writer)
{
    const struct mp3_writer_settings *settings = &writer->settings;
    return (struct info_frame){
        .sample_rate_hz = settings->encoder.sample_rate_hz,
        .channels = settings->encoder.channels,
        .is_vbr = settings->encoder.is_vbr,
        .is_copy = settings->is_copy,
        .bitrate_kbps = settings->encoder.bitrate_kbps,
        .vbr_quality = settings->encoder.vbr_quality,
        .lowpass_hz = settings->lowpass_hz,
        .source_rate_hz = settings->source_rate_hz,
        .delay_samples = settings->delay_samples,
    };
}

bool mp3_writer_flush(struct mp3_writer *writer, struct error *error)
{
    if (writer->held_size == 0)
        return true;
    if (!writer->io->write_at(writer->io->context, writer->offset, writer->held, writer->held_size,
                              error))
        return false;
    writer->offset += writer->held_size;
    writer->held_size = 0;
    return true;
}

static bool hold(struct mp3_writer *writer, const void *bytes, size_t size, struct error *error)
{
    uint64_t written = writer->offset + writer->held_size;
    if (size > writer->settings.output_size_max ||
        written > writer->settings.output_size_max - size)
        return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_TOO_LARGE,
                                 "the MP3 would have more than %" PRIu64 " bytes",
                                 writer->settings.output_size_max);
    const unsigned char *from = bytes;
    while (size > 0) {
        size_t room = HELD_SIZE - writer->held_size;
        size_t part = size < room ? size : room;
        memcpy(writer->held + writer->held_size, from, part);
        writer->held_size += part;
        from += part;
        size -= part;
        if (writer->held_size == HELD_SIZE && !mp3_writer_flush(writer, error))
            return false;
    }
    return true;
}

bool mp3_writer_create(const struct mp3_writer_settings *settings, const struct media_io *io,
                       const struct buffer *tag, struct mp3_writer **out_writer,
                       struct error *error)
{
    struct mp3_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        abort();
    writer->settings = *settings;
    writer->io = io;
    seek_table_init(&writer->seek_table);
    struct info_frame info = describe(writer);
    writer->info_offset = tag->size;
    writer->info_size = info_frame_size(&info);
    writer->frame_offset = writer->info_size;

    /* Zeros are no frame: should all end here, no player takes them for one. */
    static const unsigned char place[INFO_FRAME_SIZE_MAX];
    if (!hold(writer, tag->bytes, tag->size, error) ||
        !hold(writer, place, writer->info_size, error)) {
        mp3_writer_destroy(writer);
        return false;
    }
    *out_writer = writer;
    return true;
}

void mp3_writer_destroy(struct mp3_writer *writer)
{
    free(writer);
}

static bool begin_frame(struct mp3_writer *writer, struct error *error)
{
    const struct encoder_settings *expected = &writer->settings.encoder;
    struct mp3_frame frame;
    if (!mp3_frame_parse(writer->header, &frame))
        return error_set(error, ERROR_INTERNAL, "frame %" PRIu64 " of the MP3 is none",
                         writer->frames);
    if (frame.sample_rate_hz != expected->sample_rate_hz || frame.channels != expected->channels ||
        (!expected->is_vbr && frame.bitrate_kbps != expected->bitrate_kbps))
        return error_set(error, ERROR_INTERNAL,
                         "frame %" PRIu64 " of the MP3 has %u Hz, %u channels, %u kb/s",
                         writer->frames, frame.sample_rate_hz, frame.channels, frame.bitrate_kbps);
    seek_table_add(&writer->seek_table, (uint32_t)writer->frame_offset);
    writer->frame_offset += frame.size;
    writer->frame_missing = frame.size - MP3_FRAME_HEADER_SIZE;
    writer->frame_samples = frame.samples;
    writer->header_size = 0;
    writer->frames++;
    return true;
}

static bool walk(struct mp3_writer *writer, const unsigned char *bytes, size_t size,
                 struct error *error)
{
    while (size > 0) {
        size_t part;
        if (writer->frame_missing > 0) {
            part = size < writer->frame_missing ? size : writer->frame_missing;
            writer->frame_missing -= part;
        } else {
            size_t missing = MP3_FRAME_HEADER_SIZE - writer->header_size;
            part = size < missing ? size : missing;
            memcpy(writer->header + writer->header_size, bytes, part);
            writer->header_size += part;
            if (writer->header_size == MP3_FRAME_HEADER_SIZE && !begin_frame(writer, error))
                return false;
        }
        bytes += part;
        size -= part;
    }
    return true;
}

bool mp3_writer_add(struct mp3_writer *writer, const unsigned char *bytes, size_t size,
                    struct error *error)
{
    writer->music_crc = crc16_add(writer->music_crc, bytes, size);
    return walk(writer, bytes, size, error) && hold(writer, bytes, size, error);
}

/* The samples that the frames hold beyond what was encoded must be the encoder's delay in front,
 * and at the end no more than the Info frame can say: then a gapless player plays exactly
 * `samples`. */
static bool find_padding(const struct mp3_writer *writer, uint64_t samples,
                         uint32_t *out_padding_samples, struct error *error)
{
    uint64_t held = writer->frames * writer->frame_samples;
    uint64_t wanted = samples + writer->settings.delay_samples;
    if (writer->frame_missing > 0 || writer->header_size > 0)
        return error_set(error, ERROR_INTERNAL, "the last frame of the MP3 is not whole");
    if (held < wanted || held - wanted > INFO_FRAME_DELAY_MAX)
        return error_set(error, ERROR_INTERNAL,
                         "the MP3 holds %" PRIu64 " samples for %" PRIu64 " encoded", held,
                         samples);
    *out_padding_samples = (uint32_t)(held - wanted);
    return true;
}

bool mp3_writer_finish(struct mp3_writer *writer, uint64_t samples, struct media_result *out_result,
                       struct error *error)
{
    struct info_frame info = describe(writer);
    if (!mp3_writer_flush(writer, error) ||
        !find_padding(writer, samples, &info.padding_samples, error))
        return false;
    assert(writer->info_offset + writer->frame_offset == writer->offset);

    /* All offsets fit 32 bits, as output_size_max does. */
    info.frames = (uint32_t)writer->frames;
    info.size_bytes = (uint32_t)writer->frame_offset;
    info.music_crc = writer->music_crc;
    seek_table_format(&writer->seek_table, info.size_bytes, info.toc);
    unsigned char bytes[INFO_FRAME_SIZE_MAX];
    size_t size = info_frame_format(&info, bytes);
    if (!writer->io->write_at(writer->io->context, writer->info_offset, bytes, size, error))
        return false;

    uint64_t music_size = writer->frame_offset - writer->info_size;
    uint64_t held_samples = writer->frames * writer->frame_samples;
    double mean_kbps = (double)music_size * 8 * info.sample_rate_hz / (double)held_samples / 1000;
    *out_result = (struct media_result){
        .size_bytes = writer->offset,
        .samples = samples,
        .frames = writer->frames,
        .bitrate_kbps = info.is_vbr ? (uint32_t)(mean_kbps + 0.5) : info.bitrate_kbps,
        .sample_rate_hz = info.sample_rate_hz,
        .channels = info.channels,
    };
    return true;
}
