#pragma once

/* How much louder or softer an excerpt is to be made, and whether a limiter has to keep its peaks
 * down: found out by decoding all of it and measuring. */

#include "media/decoding.h"
#include "media/limiter.h"

/* dBTP: below full scale, since an MP3 never has quite the peaks of what it was made of. */
#define VOLUME_PEAK_MAX_DB (-1.0)

struct volume_wish {
    double lufs;
    uint32_t lowpass_hz; /* the encoder leaves nothing above; 0: it leaves all */
};

/* Decodes the excerpt to its end: once; twice where it is very soft; and twice more at most where
 * peaks have to be limited, since that takes something of the loudness away. out_settings->gain is
 * 0 where the sound is to be left as it is: it is silent, or shorter than 0.4 s. `first` is what
 * was read of the excerpt already. */
MUST_CHECK bool volume_find(const struct decoding *decoding, const struct sound_part *first,
                            const struct volume_wish *wish, struct limiter_settings *out_settings,
                            struct error *error);
