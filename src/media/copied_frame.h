#pragma once

/* A layer III frame that somebody else made, on its way into our MP3 as it is. Pure. */

#include "media/mp3_frame.h"
#include <stdint.h>

/* Header, CRC and side information. */
#define COPIED_FRAME_HEAD_SIZE_MAX (MP3_FRAME_HEADER_SIZE + 2 + 32)

struct copied_frame {
    struct mp3_frame frame;
    struct mp3_main_data main_data;
    uint32_t head_size; /* header, CRC and side information */
    bool has_crc;
    uint32_t size; /* bytes that are there: fewer than frame.size where the frame was cut */
};

/* Of a packet that begins with a frame; what follows it there is nobody's, as to libavcodec. False:
 * there is none, or one that decoders refuse to decode. */
bool copied_frame_parse(const unsigned char *bytes, size_t size, struct copied_frame *out_frame);

/* How far the slots and main data of the frames before reach (frame_parts.h has a picture), in
 * bytes of all slots together. Zeroed, it stands before the first frame. */
struct copied_reservoir {
    uint64_t slots_end;
    uint64_t main_data_end;
};

/* `bytes` has room for all of the frame: what was cut off becomes zeros. A frame whose main data
 * are not there (its stream was cut out of another, or frames before it were lost) would be noise,
 * or whatever stands there instead: it is made silent, and keeps its size and its slot, which later
 * frames may need. Where main data of later frames begin is not changed by it. */
void copied_frame_mend(struct copied_reservoir *reservoir, const struct copied_frame *frame,
                       unsigned char *bytes);

/* A silent frame like `header`'s, to go before it. Returns its size. */
size_t copied_frame_format_silence(const unsigned char header[MP3_FRAME_HEADER_SIZE],
                                   unsigned char out_bytes[MP3_FRAME_SIZE_MAX]);
