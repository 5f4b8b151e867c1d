#pragma once

/* The header of an MPEG audio layer III frame (ISO/IEC 11172-3 §2.4.1.3, 13818-3 §2.4.2.3, and the
 * usual extension to half of 13818-3's rates, called MPEG-2.5). Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP3_FRAME_HEADER_SIZE 4
#define MP3_FRAME_SIZE_MAX 1441 /* 320 kb/s at 32 kHz with its padding byte */

struct mp3_frame {
    uint32_t bitrate_kbps;
    uint32_t sample_rate_hz;
    uint32_t channels;
    uint32_t samples;        /* per channel: 1152, or 576 at 24 kHz and below */
    uint32_t size;           /* bytes, header included */
    uint32_t side_info_size; /* bytes that follow the header (and the CRC, which we never write) */
};

/* False: not a layer III header, or one in free format. */
bool mp3_frame_parse(const unsigned char header[MP3_FRAME_HEADER_SIZE],
                     struct mp3_frame *out_frame);
/* Of a header that is known to be one. */
struct mp3_frame mp3_frame_parse_known(const unsigned char header[MP3_FRAME_HEADER_SIZE]);

/* The side information (ISO/IEC 11172-3 §2.4.1.7, 13818-3 §2.4.1.7) follows the header and the CRC.
 * `side_info` has frame->side_info_size bytes. */
struct mp3_main_data {
    uint32_t begin; /* bytes before the frame's own slot, counted without other frames' heads */
    uint32_t bits;  /* of all granules; at most 4 × 4095 */
};
struct mp3_main_data mp3_main_data_parse(const unsigned char *side_info,
                                         const struct mp3_frame *frame);
/* False for what decoders refuse: a granule with more values than it has lines, or one that
 * switches to the kind of block that it has anyway. */
bool mp3_side_info_is_valid(const unsigned char *side_info, const struct mp3_frame *frame);

/* What main_data_begin can say at most: it has 9 bits, or 8 at 24 kHz and below. */
uint32_t mp3_main_data_begin_max(const struct mp3_frame *frame);
/* Writes it, at most that, into side information. */
void mp3_main_data_set_begin(unsigned char *side_info, const struct mp3_frame *frame,
                             uint32_t begin);

/* Writes both into a header and the side information behind it. 0 kb/s is no bitrate: the frame is
 * none then. */
void mp3_frame_set(unsigned char *bytes, const struct mp3_frame *frame, uint32_t bitrate_kbps,
                   uint32_t main_data_begin);

/* The header of a frame without padding or CRC; stereo is joint stereo. The rate and bitrate must
 * be ones of the functions below. */
void mp3_frame_format(uint32_t bitrate_kbps, uint32_t sample_rate_hz, uint32_t channels,
                      unsigned char out_header[MP3_FRAME_HEADER_SIZE]);

/* The rate itself where MPEG knows it, else the one nearest to it. */
uint32_t mp3_sample_rate_nearest(uint32_t sample_rate_hz);
/* Per channel, of every frame at that rate. */
uint32_t mp3_frame_samples(uint32_t sample_rate_hz);
/* The index, in a header, of the highest bitrate at that rate; the lowest one's is 1. */
unsigned mp3_bitrate_index_max(uint32_t sample_rate_hz);
/* The highest bitrate at that rate that is not above; the lowest there is where all are. */
uint32_t mp3_bitrate_at_most(uint32_t sample_rate_hz, uint32_t bitrate_kbps);
/* The lowest bitrate whose frames have at least so many bytes; 0: none has. */
uint32_t mp3_bitrate_for_size(uint32_t sample_rate_hz, uint32_t channels, size_t size);
