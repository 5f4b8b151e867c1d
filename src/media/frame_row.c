#include "media/frame_row.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct frame_record {
    struct mp3_frame frame;
    size_t offset; /* in bytes */
    uint32_t head_size;
    uint32_t main_data_bits;
    uint32_t left_over;
};

static size_t main_data_size(uint32_t bits)
{
    return (bits + 7) / 8;
}

void frame_row_init(struct frame_row *row, uint64_t begin)
{
    *row = (struct frame_row){.begin = begin};
}

void frame_row_finish(struct frame_row *row)
{
    free(row->records);
    free(row->bytes);
    *row = (struct frame_row){0};
}

static void make_room(struct frame_row *row, size_t size)
{
    if (row->count == row->record_capacity) {
        row->record_capacity = row->record_capacity == 0 ? 256 : row->record_capacity * 2;
        row->records = realloc(row->records, row->record_capacity * sizeof *row->records);
    }
    if (row->size + size > row->capacity) {
        row->capacity = row->capacity == 0 ? 65536 : row->capacity * 2;
        row->bytes = realloc(row->bytes, row->capacity);
    }
    if (row->records == NULL || row->bytes == NULL)
        abort();
}

void frame_row_add(struct frame_row *row, const struct frame_parts *parts)
{
    size_t main_size = main_data_size(parts->main_data_bits);
    make_room(row, parts->head_size + main_size);
    row->records[row->count++] = (struct frame_record){
        .frame = parts->frame,
        .offset = row->size,
        .head_size = parts->head_size,
        .main_data_bits = parts->main_data_bits,
        .left_over = parts->left_over,
    };
    memcpy(row->bytes + row->size, parts->head, parts->head_size);
    memcpy(row->bytes + row->size + parts->head_size, parts->main_data, main_size);
    row->size += parts->head_size + main_size;
}

void frame_row_forget(struct frame_row *row, uint64_t begin)
{
    if (begin <= row->begin)
        return;
    assert(begin <= frame_row_end(row));
    size_t count = (size_t)(begin - row->begin);
    size_t size = count == row->count ? row->size : row->records[count].offset;
    row->begin = begin;
    row->count -= count;
    row->size -= size;
    memmove(row->records, row->records + count, row->count * sizeof *row->records);
    memmove(row->bytes, row->bytes + size, row->size);
    for (size_t i = 0; i < row->count; i++)
        row->records[i].offset -= size;
}

uint64_t frame_row_end(const struct frame_row *row)
{
    return row->begin + row->count;
}

static const struct frame_record *find(const struct frame_row *row, uint64_t index)
{
    assert(index >= row->begin && index < frame_row_end(row));
    return &row->records[index - row->begin];
}

void frame_row_get(const struct frame_row *row, uint64_t index, struct frame_parts *out_parts)
{
    const struct frame_record *record = find(row, index);
    const unsigned char *bytes = row->bytes + record->offset;
    out_parts->frame = record->frame;
    out_parts->head_size = record->head_size;
    out_parts->main_data_bits = record->main_data_bits;
    out_parts->left_over = record->left_over;
    memcpy(out_parts->head, bytes, record->head_size);
    memcpy(out_parts->main_data, bytes + record->head_size, main_data_size(record->main_data_bits));
}

bool frame_row_is_equal(const struct frame_row *a, const struct frame_row *b, uint64_t index)
{
    const struct frame_record *one = find(a, index), *other = find(b, index);
    size_t size = one->head_size + main_data_size(one->main_data_bits);
    return one->head_size == other->head_size && one->main_data_bits == other->main_data_bits &&
           memcmp(a->bytes + one->offset, b->bytes + other->offset, size) == 0;
}

uint32_t frame_row_left_over(const struct frame_row *row, uint64_t index)
{
    return find(row, index)->left_over;
}

bool frame_row_is_largest(const struct frame_row *row, uint64_t index)
{
    const struct mp3_frame *frame = &find(row, index)->frame;
    return frame->bitrate_kbps == mp3_bitrate_at_most(frame->sample_rate_hz, UINT32_MAX);
}
