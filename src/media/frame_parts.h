#pragma once

/* An encoder's frames taken apart as a decoder would: what a frame says, and its main data.
 *
 * A frame is a header, side information and a slot. The slots of all frames are one stream of bytes
 * of their own, the bit reservoir, in which each frame's main data begin main_data_begin bytes in
 * front of its slot, so that a frame can use what those before it left over (ISO/IEC 11172-3
 * §2.4.2.7, 13818-3 §2.4.2.7):
 *
 *     frames   [head 0|slot 0 ][head 1|slot 1 ][head 2|slot 2 ]
 *     slots           [0 0 0 1         1 1 1 -        2 2 2 - ]
 *
 * What is between ("-") is filler, which is of no frame: frame_layout.h makes it anew. Pure. */

#include "base/error.h"
#include "media/mp3_frame.h"

#define FRAME_HEAD_SIZE_MAX (MP3_FRAME_HEADER_SIZE + 32)
#define FRAME_MAIN_DATA_SIZE_MAX 2048 /* four granules of 12 bits' length each */
#define FRAME_RESERVOIR_SIZE_MAX 511  /* what main_data_begin can say */
/* More frames than can wait for their slots to be written, which in silence are all that is left
 * over: 255 bytes are 85 slots of 3, those of stereo at 24 kHz and 8 kb/s. */
#define FRAME_SLOTS_LEFT_OVER_MAX 128

struct frame_parts {
    struct mp3_frame frame;
    unsigned char head[FRAME_HEAD_SIZE_MAX]; /* header and side information */
    uint32_t head_size;
    uint32_t main_data_bits;
    uint32_t left_over; /* bytes that its encoder had for later frames after this one */
    /* Whole bytes; the bits behind the last are 0. */
    unsigned char main_data[FRAME_MAIN_DATA_SIZE_MAX];
};

/* How much LAME leaves over at most, in bytes ("ResvMax"): main_data_begin has 9 or 8 bits, and
 * what a decoder must hold for one frame is bounded (MDB_MAXIMUM). */
uint32_t frame_left_over_max(const struct mp3_frame *frame);

/* Without what depends on what was left over before: how large a VBR frame is, and where its main
 * data begin. What stays says whether two encoders hear the same. */
void frame_parts_clear_layout(struct frame_parts *parts);

/* Bytes in, parts out. */
struct frame_parser {
    unsigned char bytes[32768]; /* not parsed yet, from `begin` to `end` */
    size_t begin;
    size_t end;
    /* The end of the slots so far, for main data of frames to come. */
    unsigned char slots[FRAME_RESERVOIR_SIZE_MAX + MP3_FRAME_SIZE_MAX];
    size_t slots_size;
};

/* Zeroed, a parser is ready. At most 24 KiB at a time, and all frames taken in between. */
void frame_parser_add(struct frame_parser *parser, const unsigned char *bytes, size_t size);
/* *out_has_frame is false where more bytes are needed. ERROR_INTERNAL for what is no frame, or
 * whose main data are not where it says. */
MUST_CHECK bool frame_parser_next(struct frame_parser *parser, struct frame_parts *out_parts,
                                  bool *out_has_frame, struct error *error);
