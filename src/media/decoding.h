#pragma once

/* All of an excerpt, as the encoder wants it, into a sink. */

#include "media/excerpt.h"
#include "media/sound_sink.h"

struct decoding {
    const struct media_job *job; /* borrowed, as all */
    struct excerpt *excerpt;
    uint32_t sample_rate_hz; /* of what comes out */
    uint32_t channels;
    bool is_preparation; /* and not what becomes the MP3 */
};

/* `first` is what was read of the excerpt already. The sink's end comes in any case, unless it
 * wants no more. FAILURE_TOO_LONG, DAMAGED, UNSUPPORTED_CODEC. */
MUST_CHECK bool decoding_run(const struct decoding *decoding, const struct sound_part *first,
                             const struct sound_sink *sink, struct error *error);

/* Is so much sound longer than the job allows? */
MUST_CHECK bool decoding_check_length(const struct media_job *job, uint64_t samples,
                                      uint32_t sample_rate_hz, struct error *error);
