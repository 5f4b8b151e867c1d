#pragma once

/* The input's bytes as libavformat reads them: a custom AVIOContext over media_io's read_at(), with
 * a cache that reads ahead. Nothing here opens anything. */

#include "media/media.h"

struct AVIOContext;
struct input;

/* `io` is borrowed until input_destroy(). */
struct input *input_create(const struct media_io *io);
void input_destroy(struct input *input); /* NULL is fine; after everything that uses its context */

struct AVIOContext *input_context(struct input *input);
uint64_t input_position(const struct input *input); /* of the byte handed over last */

/* libavformat only knows that reading failed: this is why. True, with *error set, where read_at()
 * failed, or where so much was read again and again that the input must be made to be slow. */
bool input_has_failed(const struct input *input, struct error *error);
/* Something past the end was asked for: an index that promises more than there is. */
bool input_was_read_past_end(const struct input *input);
