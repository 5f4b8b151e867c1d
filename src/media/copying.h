#pragma once

/* The sound of an MP3 track, frame by frame as it is, with a tag and an Info frame of our own: what
 * copy=auto means where nothing was asked for that needs another encoding. */

#include "base/buffer.h"
#include "media/copy_plan.h"
#include "media/media.h"
#include "media/source.h"

/* Reads all of the source. *out_is_possible is false where the sound has to be encoded.
 * FAILURE_TOO_LONG. */
MUST_CHECK bool copying_plan(const struct media_job *job, struct source *source,
                             struct copy_plan *out_plan, bool *out_is_possible,
                             struct error *error);
/* `source` is the same, opened again. Sets all of the result but is_truncated and
 * input_duration_us. */
MUST_CHECK bool copying_run(const struct media_job *job, const struct media_io *io,
                            struct source *source, const struct copy_plan *plan,
                            const struct buffer *tag, struct media_result *out_result,
                            struct error *error);
