#pragma once

/* From decoded sound to the MP3, beside the thread that decodes: encoder_pool makes frames of it in
 * threads of its own, frame_layout and mp3_writer the MP3 in another. */

#include "media/encoder_pool.h"
#include "media/media.h"
#include "media/mp3_writer.h"
#include "media/pcm_ring.h"

struct encoding;

struct encoding_settings {
    struct encoder_pool_settings pool;
    uint32_t source_rate_hz;
    uint64_t output_size_max;
    uint64_t duration_us;     /* about, for progress; 0: unknown */
    uint64_t prepared_us;     /* decoded before, for progress */
    const struct buffer *tag; /* borrowed for the call */
};

/* Starts the thread, which reads `ring` until its end or until it fails; then it stops the ring.
 * `io` and `ring` are borrowed until encoding_finish(). ERROR_UNAVAILABLE: no threads;
 * ERROR_INTERNAL: LAME refused; FAILURE_TOO_LARGE: of the tag alone. */
MUST_CHECK bool encoding_start(const struct encoding_settings *settings, const struct media_io *io,
                               struct pcm_ring *ring, struct encoding **out_encoding,
                               struct error *error);
/* Waits for the thread, which must have been given the ring's end, and frees all. With
 * `is_wanted`, what was encoded becomes a whole MP3; without, it is left as it is. Errors are
 * those of the thread: FAILURE_TOO_LARGE, those of `io`, ERROR_INTERNAL for what LAME or we did
 * wrong. */
MUST_CHECK bool encoding_finish(struct encoding *encoding, bool is_wanted,
                                struct media_result *out_result, struct error *error);
