#pragma once

/* What is said of the sound in the MP3's tag: what the user gave, else what the source says; the
 * source's chapters, as far as they lie in the part that is wanted, and its cover. */

#include "base/buffer.h"
#include "media/source.h"
#include "model/conversion_options.h"

/* The finished ID3 tag; empty with tags=none, unless the user gave some. buffer_finish() is the
 * caller's. */
void tags_format(const struct source *source, const struct conversion_options *options,
                 struct buffer *out_tag);
