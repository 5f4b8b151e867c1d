#pragma once

/* Where the frames of an MP3 begin, in fixed memory however many there are: every nth frame's
 * offset is kept, and n doubles when the table is full. For the Info frame's table of contents.
 * Pure. */

#include "media/info_frame.h"
#include <stddef.h>
#include <stdint.h>

#define SEEK_TABLE_POINTS 512

struct seek_table {
    uint32_t offsets[SEEK_TABLE_POINTS]; /* of frames 0, stride, 2 × stride, … */
    size_t count;
    uint64_t stride;
    uint64_t frames;
};

void seek_table_init(struct seek_table *table);
/* The offset of the next frame, from the Info frame's first byte. */
void seek_table_add(struct seek_table *table, uint32_t offset);
/* Entry i: at i percent of the time, this many 256ths of the bytes have gone by. */
void seek_table_format(const struct seek_table *table, uint32_t size_bytes,
                       unsigned char out_toc[INFO_FRAME_TOC_SIZE]);
