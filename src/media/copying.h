#pragma once

/* The sound of an MP3 track, frame by frame as it is, with a tag and an Info frame of our own: what
 * copy=auto means where nothing was asked for that needs another encoding. */

#include "base/buffer.h"
#include "media/copy_plan.h"
#include "media/media.h"
#include "media/source.h"

struct copying;

/* Reads all of the source, and keeps it up to 32 MiB. *out_copying is NULL where the sound has to
 * be encoded. `job` is borrowed until copying_destroy(). FAILURE_TOO_LONG. */
MUST_CHECK bool copying_plan(const struct media_job *job, struct source *source,
                             struct copying **out_copying, struct error *error);
void copying_destroy(struct copying *copying); /* NULL is fine */

/* It was too much to be kept: copying_run() reads the source again, from its beginning. */
bool copying_needs_source(const struct copying *copying);
/* Once. Sets all of the result but frames_encoded, is_truncated and input_duration_us. */
MUST_CHECK bool copying_run(struct copying *copying, const struct media_io *io,
                            struct source *source, const struct buffer *tag,
                            struct media_result *out_result, struct error *error);
