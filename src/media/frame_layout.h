#pragma once

/* Frames' parts laid out as one MP3, bit for bit as LAME 3.100 does it (its reservoir.c and
 * bitstream.c): how large a VBR frame is, where its main data begin, and the filler between.
 *
 * Encoders that began at different places make the same main data, but not the same surroundings:
 * VBR frames that differ in size since something else was left over, and filler whose bits
 * alternate through the whole MP3 and so can be the other way round for ever. Laid out anew, parts
 * of several encoders are what one would have made of all. Whatever it is given, what comes out is
 * legal: no main data begin before others end. Pure. */

#include "base/buffer.h"
#include "media/frame_row.h"

#define FRAME_LAYOUT_OUT_SIZE_MAX (256 << 10)

struct frame_layout {
    bool is_vbr;
    uint32_t left_over; /* bytes of slots not used yet, at the next frame's beginning */
    bool next_filler_bit;
    struct frame_row held; /* VBR: how large a frame must be can depend on those after it */

    /* Frames of which nothing was written yet, oldest at heads_done. */
    struct frame_head {
        unsigned char bytes[FRAME_HEAD_SIZE_MAX];
        uint32_t size;
        uint32_t slot_size;
    } heads[FRAME_SLOTS_LEFT_OVER_MAX];
    size_t heads_added;
    size_t heads_done;
    uint32_t slot_missing; /* bytes of the slot that is being written */
    unsigned partial;      /* the byte that is being written */
    unsigned partial_bits;
};

void frame_layout_init(struct frame_layout *layout, bool is_vbr);
/* Appends to `out` what is decided now, which need not end with a frame; it must have room for
 * FRAME_LAYOUT_OUT_SIZE_MAX more. ERROR_INTERNAL where the main data do not fit. */
MUST_CHECK bool frame_layout_add(struct frame_layout *layout, const struct frame_parts *parts,
                                 struct buffer *out, struct error *error);
/* The rest of the last frames. */
MUST_CHECK bool frame_layout_end(struct frame_layout *layout, struct buffer *out,
                                 struct error *error);
void frame_layout_finish(struct frame_layout *layout); /* frees */
