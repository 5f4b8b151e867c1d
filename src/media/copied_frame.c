#include "media/copied_frame.h"

#include <string.h>

enum {
    NO_CRC = 1,  /* in the header's second byte */
    PADDING = 2, /* in its third */
    CRC_SIZE = 2,
};

bool copied_frame_parse(const unsigned char *bytes, size_t size, struct copied_frame *out_frame)
{
    struct copied_frame frame = {0};
    if (size < MP3_FRAME_HEADER_SIZE || !mp3_frame_parse(bytes, &frame.frame))
        return false;
    frame.size = size < frame.frame.size ? (uint32_t)size : frame.frame.size;
    frame.has_crc = (bytes[1] & NO_CRC) == 0;
    size_t crc_size = frame.has_crc ? CRC_SIZE : 0;
    frame.head_size = (uint32_t)(MP3_FRAME_HEADER_SIZE + crc_size + frame.frame.side_info_size);
    if (frame.head_size > frame.frame.size)
        return false;
    if (frame.size >= frame.head_size) {
        const unsigned char *side_info = bytes + MP3_FRAME_HEADER_SIZE + crc_size;
        if (!mp3_side_info_is_valid(side_info, &frame.frame))
            return false;
        frame.main_data = mp3_main_data_parse(side_info, &frame.frame);
    }
    *out_frame = frame;
    return true;
}

/* CRC-16 (0x8005, from 0xffff) of the header's last two bytes and the side information
 * (ISO/IEC 11172-3 §2.4.3.1). */
static uint16_t add_crc(uint16_t crc, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            unsigned is_odd = (unsigned)(crc >> 15) ^ ((unsigned)bytes[i] >> (7 - bit) & 1U);
            crc = (uint16_t)((unsigned)crc << 1 ^ (is_odd != 0 ? 0x8005U : 0));
        }
    }
    return crc;
}

/* Its main data, of which there are none, begin where those of the frame before ended: decoders
 * forget what stands in front of where a frame's main data begin. */
static void make_silent(const struct copied_frame *frame, const struct copied_reservoir *reservoir,
                        unsigned char *bytes)
{
    uint64_t begin = reservoir->slots_end - reservoir->main_data_end;
    uint32_t max = mp3_main_data_begin_max(&frame->frame);
    size_t side_info_size = frame->frame.side_info_size;
    unsigned char *side_info = bytes + frame->head_size - side_info_size;
    memset(side_info, 0, side_info_size);
    mp3_main_data_set_begin(side_info, &frame->frame, begin < max ? (uint32_t)begin : max);
    if (frame->has_crc) {
        uint16_t crc = add_crc(add_crc(0xffff, bytes + 2, 2), side_info, side_info_size);
        bytes[MP3_FRAME_HEADER_SIZE] = (unsigned char)(crc >> 8);
        bytes[MP3_FRAME_HEADER_SIZE + 1] = (unsigned char)crc;
    }
}

static bool has_main_data(const struct copied_reservoir *reservoir,
                          const struct copied_frame *frame, uint64_t *out_end)
{
    if (frame->size < frame->head_size || frame->main_data.begin > reservoir->slots_end)
        return false;
    uint64_t begin = reservoir->slots_end - frame->main_data.begin;
    uint64_t end = begin + (frame->main_data.bits + 7) / 8;
    *out_end = end;
    return begin >= reservoir->main_data_end &&
           end <= reservoir->slots_end + frame->size - frame->head_size;
}

void copied_frame_mend(struct copied_reservoir *reservoir, const struct copied_frame *frame,
                       unsigned char *bytes)
{
    uint64_t main_data_end;
    memset(bytes + frame->size, 0, frame->frame.size - frame->size);
    if (has_main_data(reservoir, frame, &main_data_end))
        reservoir->main_data_end = main_data_end;
    else
        make_silent(frame, reservoir, bytes);
    reservoir->slots_end += frame->frame.size - frame->head_size;
}

size_t copied_frame_format_silence(const unsigned char header[MP3_FRAME_HEADER_SIZE],
                                   unsigned char out_bytes[MP3_FRAME_SIZE_MAX])
{
    memset(out_bytes, 0, MP3_FRAME_SIZE_MAX);
    memcpy(out_bytes, header, MP3_FRAME_HEADER_SIZE);
    out_bytes[1] |= NO_CRC;
    out_bytes[2] &= (unsigned char)~PADDING;
    return mp3_frame_parse_known(out_bytes).size;
}
