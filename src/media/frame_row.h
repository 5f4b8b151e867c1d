#pragma once

/* Frames' parts one after another, numbered as in the whole MP3, in as little memory as they take.
 * Pure. */

#include "media/frame_parts.h"

struct frame_row {
    uint64_t begin; /* number of the first that is kept */
    size_t count;
    struct frame_record *records; /* owned: one for each */
    size_t record_capacity;
    unsigned char *bytes; /* owned: head and main data of each */
    size_t size;
    size_t capacity;
};

void frame_row_init(struct frame_row *row, uint64_t begin);
void frame_row_finish(struct frame_row *row); /* frees */

void frame_row_add(struct frame_row *row, const struct frame_parts *parts);
/* Frames before `begin` are forgotten; there must be as many. */
void frame_row_forget(struct frame_row *row, uint64_t begin);
uint64_t frame_row_end(const struct frame_row *row); /* the number after the last */

/* `index` is in the row. */
void frame_row_get(const struct frame_row *row, uint64_t index, struct frame_parts *out_parts);
uint32_t frame_row_left_over(const struct frame_row *row, uint64_t index);
bool frame_row_is_largest(const struct frame_row *row, uint64_t index); /* by its bitrate */
/* Head and main data, bit for bit, of two rows. */
bool frame_row_is_equal(const struct frame_row *a, const struct frame_row *b, uint64_t index);
