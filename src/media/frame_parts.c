#include "media/frame_parts.h"

#include <assert.h>
#include <string.h>

uint32_t frame_left_over_max(const struct mp3_frame *frame)
{
    uint32_t by_header = mp3_main_data_begin_max(frame);
    uint32_t held_max = frame->samples == 1152 ? 1920 : 960;
    uint32_t by_frame = held_max > frame->size ? held_max - frame->size : 0;
    return by_frame < by_header ? by_frame : by_header;
}

void frame_parts_clear_layout(struct frame_parts *parts)
{
    mp3_frame_set(parts->head, &parts->frame, 0, 0);
}

void frame_parser_add(struct frame_parser *parser, const unsigned char *bytes, size_t size)
{
    memmove(parser->bytes, parser->bytes + parser->begin, parser->end - parser->begin);
    parser->end -= parser->begin;
    parser->begin = 0;
    assert(size <= sizeof parser->bytes - parser->end);
    memcpy(parser->bytes + parser->end, bytes, size);
    parser->end += size;
}

/* The slot joins those before it, of which as many stay as a frame can point back to. */
static void add_slot(struct frame_parser *parser, const unsigned char *slot, size_t size)
{
    size_t excess = parser->slots_size > FRAME_RESERVOIR_SIZE_MAX
                        ? parser->slots_size - FRAME_RESERVOIR_SIZE_MAX
                        : 0;
    parser->slots_size -= excess;
    memmove(parser->slots, parser->slots + excess, parser->slots_size);
    memcpy(parser->slots + parser->slots_size, slot, size);
    parser->slots_size += size;
}

static bool take_main_data(const struct frame_parser *parser, size_t slot_size,
                           struct frame_parts *parts)
{
    struct mp3_main_data main_data =
        mp3_main_data_parse(parts->head + MP3_FRAME_HEADER_SIZE, &parts->frame);
    size_t before = parser->slots_size - slot_size, size = (main_data.bits + 7) / 8;
    if (main_data.begin > before || size > main_data.begin + slot_size)
        return false;
    memcpy(parts->main_data, parser->slots + before - main_data.begin, size);
    if (main_data.bits % 8 != 0)
        parts->main_data[size - 1] &= (unsigned char)(0xff00U >> main_data.bits % 8);
    parts->main_data_bits = main_data.bits;
    uint32_t left_over = (uint32_t)(main_data.begin + slot_size - size);
    uint32_t max = frame_left_over_max(&parts->frame);
    parts->left_over = left_over < max ? left_over : max;
    return true;
}

bool frame_parser_next(struct frame_parser *parser, struct frame_parts *out_parts,
                       bool *out_has_frame, struct error *error)
{
    const unsigned char *bytes = parser->bytes + parser->begin;
    size_t size = parser->end - parser->begin;
    *out_has_frame = false;
    if (size < MP3_FRAME_HEADER_SIZE)
        return true;
    struct mp3_frame *frame = &out_parts->frame;
    if (!mp3_frame_parse(bytes, frame))
        return error_set(error, ERROR_INTERNAL, "the encoder gave what is no frame");
    if (size < frame->size)
        return true;

    out_parts->head_size = MP3_FRAME_HEADER_SIZE + frame->side_info_size;
    if (out_parts->head_size > frame->size)
        return error_set(error, ERROR_INTERNAL, "the encoder gave a frame without room");
    memcpy(out_parts->head, bytes, out_parts->head_size);
    size_t slot_size = frame->size - out_parts->head_size;
    add_slot(parser, bytes + out_parts->head_size, slot_size);
    if (!take_main_data(parser, slot_size, out_parts))
        return error_set(error, ERROR_INTERNAL, "the encoder gave a frame without its main data");
    parser->begin += frame->size;
    *out_has_frame = true;
    return true;
}
