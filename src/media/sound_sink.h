#pragma once

/* Where decoded sound goes, a piece at a time: to encoders, to a meter, to what makes it louder. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How high samples are as a rule, as LAME wants them; louder ones are allowed. */
#define SOUND_FULL_SCALE 32768.0F

struct sound_sink {
    void *context;
    /* Full scale is ±SOUND_FULL_SCALE; planes[1] is unused in mono. The samples are the sink's to
     * change during the call. False: no more is wanted, and end() will not be called. */
    bool (*take)(void *context, float *const planes[2], size_t count, uint64_t input_position);
    void (*end)(void *context);
};
