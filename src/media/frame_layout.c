#include "media/frame_layout.h"

#include <assert.h>
#include <string.h>

#define HELD_MAX 64 /* frames */

void frame_layout_init(struct frame_layout *layout, bool is_vbr)
{
    *layout = (struct frame_layout){.is_vbr = is_vbr};
}

/* ---- Bits into slots ---- */

static bool begin_slot(struct frame_layout *layout, struct buffer *out, struct error *error)
{
    assert(layout->heads_done < layout->heads_added);
    const struct frame_head *head =
        &layout->heads[layout->heads_done++ % FRAME_SLOTS_LEFT_OVER_MAX];
    layout->slot_missing = head->slot_size;
    return buffer_append(out, head->bytes, head->size, error);
}

static bool put_bytes(struct frame_layout *layout, const unsigned char *bytes, size_t size,
                      struct buffer *out, struct error *error)
{
    assert(layout->partial_bits == 0);
    while (size > 0) {
        if (layout->slot_missing == 0 && !begin_slot(layout, out, error))
            return false;
        size_t part = size < layout->slot_missing ? size : layout->slot_missing;
        if (!buffer_append(out, bytes, part, error))
            return false;
        layout->slot_missing -= (uint32_t)part;
        bytes += part;
        size -= part;
    }
    return true;
}

/* At most 8 bits. */
static bool put_bits(struct frame_layout *layout, unsigned value, unsigned count,
                     struct buffer *out, struct error *error)
{
    unsigned bits = layout->partial << count | value;
    unsigned bit_count = layout->partial_bits + count;
    layout->partial_bits = 0;
    if (bit_count >= 8) {
        bit_count -= 8;
        const unsigned char byte = (unsigned char)(bits >> bit_count);
        if (!put_bytes(layout, &byte, 1, out, error))
            return false;
    }
    layout->partial = bits & ((1U << bit_count) - 1);
    layout->partial_bits = bit_count;
    return true;
}

/* "LAME", then "3.100" where four bytes are left for it, as far as whole bytes go; then bits that
 * alternate from one filler to the next. */
static bool put_filler(struct frame_layout *layout, uint32_t bits, struct buffer *out,
                       struct error *error)
{
    static const char letters[] = "LAME3.100";
    size_t letter_count = bits / 8 >= 8 ? sizeof letters - 1 : 4;
    for (size_t i = 0; i < letter_count && bits >= 8; i++, bits -= 8)
        if (!put_bits(layout, (unsigned char)letters[i], 8, out, error))
            return false;
    while (bits > 0) {
        unsigned count = bits < 8 ? bits : 8;
        unsigned alternating = (layout->next_filler_bit ? 0xaaU : 0x55U) >> (8 - count);
        if (!put_bits(layout, alternating, count, out, error))
            return false;
        layout->next_filler_bit = layout->next_filler_bit != (count % 2 == 1);
        bits -= count;
    }
    return true;
}

/* ---- Frames ---- */

/* What is left over after the frame, were it as large as `frame`. */
static uint32_t left_over_after(uint32_t left_over, const struct frame_parts *parts,
                                const struct mp3_frame *frame)
{
    uint32_t bytes = left_over + frame->size - parts->head_size;
    uint32_t used = (parts->main_data_bits + 7) / 8, max = frame_left_over_max(frame);
    return bytes - used < max ? bytes - used : max;
}

/* As LAME reckons: of what was left over, a large frame may use less. */
static uint32_t room_bits(uint32_t left_over, const struct frame_parts *parts,
                          const struct mp3_frame *frame)
{
    uint32_t max = frame_left_over_max(frame);
    uint32_t usable = left_over < max ? left_over : max;
    return (frame->size - parts->head_size + usable) * 8;
}

static bool has_room(uint32_t left_over, const struct frame_parts *parts,
                     const struct mp3_frame *frame)
{
    return frame->size > parts->head_size &&
           room_bits(left_over, parts, frame) >= parts->main_data_bits;
}

static struct mp3_frame frame_of_index(const struct frame_parts *parts, unsigned bitrate_index)
{
    unsigned char header[MP3_FRAME_HEADER_SIZE];
    memcpy(header, parts->head, sizeof header);
    header[2] = (unsigned char)((header[2] & 0x0f) | bitrate_index << 4);
    return mp3_frame_parse_known(header);
}

/* As LAME's VBR chooses (quantize.c, VBR_new_iteration_loop()): the smallest frame that has room,
 * or a larger one that leaves no more over than is allowed, so that what is left over grows fast;
 * silence leaves nothing over. */
static unsigned choose_index(uint32_t left_over, const struct frame_parts *parts)
{
    unsigned index_max = mp3_bitrate_index_max(parts->frame.sample_rate_hz), smallest = 1;
    struct mp3_frame frame = frame_of_index(parts, smallest);
    while (smallest < index_max && !has_room(left_over, parts, &frame))
        frame = frame_of_index(parts, ++smallest);
    if (parts->main_data_bits == 0)
        return smallest;
    unsigned index = index_max;
    frame = frame_of_index(parts, index);
    uint32_t unused_bits_max = frame_left_over_max(&frame) * 8;
    while (index > smallest &&
           room_bits(left_over, parts, &frame) - parts->main_data_bits > unused_bits_max)
        frame = frame_of_index(parts, --index);
    return index;
}

static struct mp3_frame choose_frame(uint32_t left_over, const struct frame_parts *parts,
                                     uint32_t left_over_min)
{
    unsigned index_max = mp3_bitrate_index_max(parts->frame.sample_rate_hz);
    unsigned index = choose_index(left_over, parts);
    struct mp3_frame frame = frame_of_index(parts, index);
    while (index < index_max && left_over_after(left_over, parts, &frame) < left_over_min)
        frame = frame_of_index(parts, ++index);
    return frame;
}

/* Whether the frame and the largest ones that follow it fit as LAME would choose. */
static bool do_next_fit(const struct frame_layout *layout, uint64_t end)
{
    uint32_t left_over = layout->left_over;
    for (uint64_t i = layout->held.begin; i < end; i++) {
        struct frame_parts parts;
        frame_row_get(&layout->held, i, &parts);
        struct mp3_frame frame = choose_frame(left_over, &parts, 0);
        if (!has_room(left_over, &parts, &frame))
            return false;
        left_over = left_over_after(left_over, &parts, &frame);
    }
    return true;
}

static void add_head(struct frame_layout *layout, const struct frame_parts *parts,
                     const struct mp3_frame *frame, uint32_t main_data_begin)
{
    assert(layout->heads_added - layout->heads_done < FRAME_SLOTS_LEFT_OVER_MAX);
    struct frame_head *head = &layout->heads[layout->heads_added++ % FRAME_SLOTS_LEFT_OVER_MAX];
    memcpy(head->bytes, parts->head, parts->head_size);
    head->size = parts->head_size;
    head->slot_size = frame->size - parts->head_size;
    mp3_frame_set(head->bytes, frame, frame->bitrate_kbps, main_data_begin);
}

static bool lay_out(struct frame_layout *layout, const struct frame_parts *parts,
                    const struct mp3_frame *chosen, struct buffer *out, struct error *error)
{
    struct mp3_frame frame = *chosen;
    uint32_t slot_bits = (frame.size - parts->head_size) * 8;
    uint32_t bits = layout->left_over * 8 + slot_bits;
    if (bits < parts->main_data_bits)
        return error_set(error, ERROR_INTERNAL, "a frame's main data do not fit");

    /* All that is left over but whole bytes up to the maximum is filled: first what was left over
     * before, in front of the main data, then what is behind them. */
    uint32_t left_over_bits = bits - parts->main_data_bits;
    uint32_t max_bits = frame_left_over_max(&frame) * 8;
    uint32_t filler = left_over_bits % 8;
    if (left_over_bits - filler > max_bits)
        filler = left_over_bits - max_bits;
    uint32_t before = filler / 8 < layout->left_over ? filler / 8 : layout->left_over;
    uint32_t behind_bits = filler - before * 8;
    uint32_t main_data_begin = layout->left_over - before;
    layout->left_over = (left_over_bits - filler) / 8;

    unsigned rest_bits = parts->main_data_bits % 8;
    size_t whole = parts->main_data_bits / 8;
    if (!put_filler(layout, before * 8, out, error))
        return false;
    add_head(layout, parts, &frame, main_data_begin);
    return put_bytes(layout, parts->main_data, whole, out, error) &&
           (rest_bits == 0 ||
            put_bits(layout, parts->main_data[whole] >> (8 - rest_bits), rest_bits, out, error)) &&
           put_filler(layout, behind_bits, out, error);
}

static bool lay_out_first(struct frame_layout *layout, uint64_t largest_end, bool is_end_known,
                          struct buffer *out, struct error *error)
{
    struct frame_parts parts;
    frame_row_get(&layout->held, layout->held.begin, &parts);
    bool must_keep_up = largest_end > layout->held.begin + 1 &&
                        (!is_end_known || !do_next_fit(layout, largest_end));
    struct mp3_frame frame =
        choose_frame(layout->left_over, &parts, must_keep_up ? parts.left_over : 0);
    frame_row_forget(&layout->held, layout->held.begin + 1);
    return lay_out(layout, &parts, &frame, out, error);
}

/* An encoder that began elsewhere had something else left over than there is here. Both choose such
 * frames that at most one step between bitrates is missing here, unless frames are the largest. So
 * before a run of those that would not all fit, and within it, larger frames are chosen, such that
 * no less is left over than their own encoder had; which is possible, since the step to the largest
 * bitrate is the widest. So a frame waits until the run that follows it is known, or too long. */
static bool lay_out_held(struct frame_layout *layout, bool is_end, struct buffer *out,
                         struct error *error)
{
    while (layout->held.count > 0) {
        uint64_t end = frame_row_end(&layout->held), largest_end = layout->held.begin + 1;
        while (largest_end < end && frame_row_is_largest(&layout->held, largest_end))
            largest_end++;
        bool is_known = largest_end < end || is_end;
        if (!is_known && layout->held.count < HELD_MAX)
            break;
        if (!lay_out_first(layout, largest_end, is_known, out, error))
            return false;
    }
    return true;
}

bool frame_layout_add(struct frame_layout *layout, const struct frame_parts *parts,
                      struct buffer *out, struct error *error)
{
    if (!layout->is_vbr)
        return lay_out(layout, parts, &parts->frame, out, error);
    frame_row_add(&layout->held, parts);
    return lay_out_held(layout, false, out, error);
}

bool frame_layout_end(struct frame_layout *layout, struct buffer *out, struct error *error)
{
    uint32_t bits;
    if (!lay_out_held(layout, true, out, error))
        return false;
    bits = layout->left_over * 8;
    layout->left_over = 0;
    return put_filler(layout, bits, out, error);
}

void frame_layout_finish(struct frame_layout *layout)
{
    frame_row_finish(&layout->held);
}
