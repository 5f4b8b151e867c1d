#pragma once

/* Puts the MP3 together: ID3 tag, Info frame, frames. It walks every frame that the encoder gives,
 * which is at once the check of our own output: what is not an unbroken row of frames of one kind,
 * or not as long as what was encoded, is an error and never a finished MP3. */

#include "base/buffer.h"
#include "media/encoder.h"
#include "media/media.h"

struct mp3_writer; /* one thread */

struct mp3_writer_settings {
    struct encoder_settings encoder;
    bool is_copy;           /* of frames that somebody else encoded */
    uint32_t delay_samples; /* of the encoder */
    uint32_t lowpass_hz;
    uint32_t source_rate_hz;
    uint64_t output_size_max;
};

/* Writes the tag (may be empty) and keeps the Info frame's place free. `io` is borrowed until
 * mp3_writer_destroy(). FAILURE_TOO_LARGE from every function, past output_size_max. */
MUST_CHECK bool mp3_writer_create(const struct mp3_writer_settings *settings,
                                  const struct media_io *io, const struct buffer *tag,
                                  struct mp3_writer **out_writer, struct error *error);
void mp3_writer_destroy(struct mp3_writer *writer); /* NULL is fine */

MUST_CHECK bool mp3_writer_add(struct mp3_writer *writer, const unsigned char *bytes, size_t size,
                               struct error *error);
/* Hands on what is still held back. */
MUST_CHECK bool mp3_writer_flush(struct mp3_writer *writer, struct error *error);
/* `samples` is what was given to the encoder, or is to be played, per channel. Writes the Info
 * frame. Sets all of the result but frames_encoded, is_truncated and input_duration_us. */
MUST_CHECK bool mp3_writer_finish(struct mp3_writer *writer, uint64_t samples,
                                  struct media_result *out_result, struct error *error);
