#include "media/seek_table.h"

void seek_table_init(struct seek_table *table)
{
    *table = (struct seek_table){.stride = 1};
}

static void halve(struct seek_table *table)
{
    for (size_t i = 0; i < SEEK_TABLE_POINTS / 2; i++)
        table->offsets[i] = table->offsets[2 * i];
    table->count = SEEK_TABLE_POINTS / 2;
    table->stride *= 2;
}

void seek_table_add(struct seek_table *table, uint32_t offset)
{
    uint64_t frame = table->frames++;
    if (frame % table->stride != 0)
        return;
    /* This frame is 512 × the old stride, and so a multiple of the new one too. */
    if (table->count == SEEK_TABLE_POINTS)
        halve(table);
    table->offsets[table->count++] = offset;
}

void seek_table_format(const struct seek_table *table, uint32_t size_bytes,
                       unsigned char out_toc[INFO_FRAME_TOC_SIZE])
{
    for (size_t i = 0; i < INFO_FRAME_TOC_SIZE; i++) {
        uint64_t point = table->frames * i / INFO_FRAME_TOC_SIZE / table->stride;
        uint64_t offset = point < table->count ? table->offsets[point] : 0;
        uint64_t share = size_bytes > 0 ? 256 * offset / size_bytes : 0;
        out_toc[i] = (unsigned char)(share < 255 ? share : 255);
    }
}
