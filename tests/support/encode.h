#pragma once

/* Sound in memory, encoded by one encoder or by several: for the engine's tests and measurements.
 */

#include "base/buffer.h"
#include "media/encoder_pool.h"
#include "support/sound.h"

struct heard {
    float *channels[2]; /* full scale ±32768 */
    size_t samples;     /* of each */
};

/* Two channels; what it held before is replaced. */
void heard_make(struct heard *heard, uint32_t sample_rate_hz, size_t samples, enum sound sound);
void heard_finish(struct heard *heard); /* frees */
/* Puts all of it into a ring, unless its readers stop. Blocks. */
void heard_put(const struct heard *heard, struct pcm_ring *ring);

/* What LAME makes of it from a sample on, appended as it is. */
MUST_CHECK bool encode_at_once(const struct encoder_settings *settings, const struct heard *heard,
                               size_t from, struct buffer *out, struct error *error);

/* Told of the joins after each frame that was read; false: nothing more is wanted. */
typedef bool encode_watch(void *context, const struct encoder_pool_joins *joins);

/* What the engine makes of it, appended as it is laid out. `watch` may be NULL. */
MUST_CHECK bool encode_in_pool(const struct encoder_pool_settings *settings,
                               const struct heard *heard, encode_watch *watch, void *context,
                               struct buffer *out, struct error *error);
