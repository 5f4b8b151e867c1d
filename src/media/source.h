#pragma once

/* The sound of a file, decoded: finds out what it is, chooses one audio stream, and gives its
 * frames one after another. All that libavformat and libavcodec are used for happens behind this
 * header. What they may do is narrowed: they open nothing (a custom input, no protocols), know only
 * the formats of a list, and no decoder but those of sound. */

#include "media/media.h"

struct AVFrame;
struct copy_packet;
struct source;

/* Only `track`, `language`, `start_seconds` and `end_seconds` of the options are looked at. Far
 * before the start, frames may be left out, where the container can be trusted with that.
 * FAILURE_NOT_MEDIA, NO_AUDIO, NO_SUCH_TRACK, UNSUPPORTED_CODEC, DAMAGED. `io` is borrowed until
 * source_close(). */
MUST_CHECK bool source_open(const struct media_io *io, const struct conversion_options *options,
                            struct source **out_source, struct error *error);
void source_close(struct source *source); /* NULL is fine */
void source_closep(struct source **source);

/* The next frame, borrowed until the next call; NULL at the end. Rate, format and channels can
 * change from one to the next. A frame that cannot be decoded is left out, as players do.
 * FAILURE_DAMAGED where nothing at all could be decoded. */
MUST_CHECK bool source_read(struct source *source, const struct AVFrame **out_frame,
                            struct error *error);

/* Where the frame that was read last begins, in samples at its rate. 0 is where the file begins:
 * its first packet, be it of sound or of pictures. */
int64_t source_frame_at(const struct source *source);

/* The sound is MP3, which can be read as it is. */
bool source_is_mp3(const struct source *source);
/* The next packet as it is in the file, borrowed until the next call; its bytes are NULL at the
 * end. Either all is read so, or by source_read(). */
MUST_CHECK bool source_read_packet(struct source *source, struct copy_packet *out_packet,
                                   struct error *error);

/* As the file claims: never to be relied on. 0: it does not say. */
uint64_t source_duration_us(const struct source *source);
uint64_t source_position(const struct source *source); /* byte read last */
/* After the last frame: there should have been more. May read the file's beginning again. */
bool source_is_truncated(const struct source *source);
/* What the file says of itself ("title", "artist", … as libavformat names them), NULL for nothing;
 * not checked in any way. */
const char *source_tag(const struct source *source, const char *name);

/* Where the sound begins, as the file claims; as start_seconds counts. */
int64_t source_sound_start_us(const struct source *source);

/* As unchecked as that, but for the times, which count like it. */
struct source_chapter {
    int64_t begin_us;
    int64_t end_us;    /* at least begin_us; both within ±INT64_MAX / 4 */
    const char *title; /* "": none */
};
size_t source_chapter_count(const struct source *source);
struct source_chapter source_chapter(const struct source *source, size_t index);
/* The next picture of those that belong to the file as a whole (a cover), not decoded; *index is 0
 * at first. False: there are no more. Borrowed from the source. */
bool source_picture(const struct source *source, size_t *index, const unsigned char **out_bytes,
                    size_t *out_size);
