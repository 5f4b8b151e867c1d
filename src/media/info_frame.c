#include "media/info_frame.h"

#include <assert.h>
#include <lame/lame.h>
#include <string.h>

enum {
    XING_SIZE = 120, /* "Info", flags, frames, bytes, table of contents, quality */
    XING_FLAGS_END = 8,
    LAME_SIZE = 36,
    LAME_DELAYS_AT = 21,
    VBRI_AT = 36,
    HAS_FRAMES = 1,
    HAS_BYTES = 2,
    HAS_TOC = 4,
    HAS_QUALITY = 8,
    METHOD_UNKNOWN = 0,
    METHOD_CBR = 1,
    METHOD_VBR_MTRH = 4, /* what LAME's default VBR is */
    TAG_REVISION = 0,
    USES_NSPSYTUNE = 1 << 4, /* always, since LAME 3.98 */
    ATH_TYPE = 4,            /* LAME's default */
    STEREO_MODE_MONO = 0,
    STEREO_MODE_JOINT = 3,
    STEREO_MODE_OTHER = 7,
};

/* Appends to a frame that is known to be large enough. */
struct cursor {
    unsigned char *bytes;
    size_t size;
};

static void put(struct cursor *cursor, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        cursor->bytes[cursor->size++] = (unsigned char)(value >> 8 * (size - 1 - i));
}

static void put_bytes(struct cursor *cursor, const void *bytes, size_t size)
{
    memcpy(cursor->bytes + cursor->size, bytes, size);
    cursor->size += size;
}

/* CBR keeps its own bitrate, so that a player which looks at the first frame only sees the right
 * one; where that is too small for the tag, as everywhere in VBR, the smallest that is enough. */
static uint32_t frame_bitrate(const struct info_frame *info)
{
    unsigned char header[MP3_FRAME_HEADER_SIZE];
    struct mp3_frame frame;
    uint32_t lowest = mp3_bitrate_at_most(info->sample_rate_hz, 0);
    mp3_frame_format(lowest, info->sample_rate_hz, info->channels, header);
    bool is_frame = mp3_frame_parse(header, &frame);
    assert(is_frame);
    (void)is_frame;
    size_t needed = MP3_FRAME_HEADER_SIZE + frame.side_info_size + XING_SIZE + LAME_SIZE;
    uint32_t enough = mp3_bitrate_for_size(info->sample_rate_hz, info->channels, needed);
    assert(enough != 0);
    return !info->is_vbr && info->bitrate_kbps > enough ? info->bitrate_kbps : enough;
}

static void describe_frame(const struct info_frame *info,
                           unsigned char out_header[MP3_FRAME_HEADER_SIZE],
                           struct mp3_frame *out_frame)
{
    mp3_frame_format(frame_bitrate(info), info->sample_rate_hz, info->channels, out_header);
    bool is_frame = mp3_frame_parse(out_header, out_frame);
    assert(is_frame);
    (void)is_frame;
}

size_t info_frame_size(const struct info_frame *info)
{
    unsigned char header[MP3_FRAME_HEADER_SIZE];
    struct mp3_frame frame;
    describe_frame(info, header, &frame);
    return frame.size;
}

static uint32_t source_rate_code(uint32_t source_rate_hz)
{
    if (source_rate_hz <= 32000)
        return 0;
    if (source_rate_hz < 48000)
        return 1;
    return source_rate_hz == 48000 ? 2 : 3;
}

static void put_xing(struct cursor *cursor, const struct info_frame *info)
{
    /* LAME's scale: 100 is best, ten for each step of VBR quality. */
    uint32_t quality = info->is_vbr && !info->is_copy ? 100 - 10 * info->vbr_quality : 50;
    put_bytes(cursor, info->is_vbr ? "Xing" : "Info", 4);
    put(cursor, HAS_FRAMES | HAS_BYTES | HAS_TOC | HAS_QUALITY, 4);
    put(cursor, info->frames, 4);
    put(cursor, info->size_bytes, 4);
    put_bytes(cursor, info->toc, INFO_FRAME_TOC_SIZE);
    put(cursor, quality, 4);
}

static void put_lame(struct cursor *cursor, const struct info_frame *info)
{
    /* Nine bytes without a NUL: decoders believe the delays only where this begins with LAME. */
    char version[10] = {0};
    strncpy(version, get_lame_very_short_version(), 9);
    uint32_t lowpass = info->lowpass_hz / 100;
    uint32_t stereo_mode = info->channels == 1 ? STEREO_MODE_MONO : STEREO_MODE_JOINT;

    uint32_t method = info->is_copy ? METHOD_UNKNOWN : METHOD_VBR_MTRH;
    if (info->is_copy && info->channels > 1)
        stereo_mode = STEREO_MODE_OTHER;

    put_bytes(cursor, version, 9);
    put(cursor, TAG_REVISION << 4 | (info->is_vbr ? method : METHOD_CBR), 1);
    put(cursor, lowpass < 255 ? lowpass : 255, 1);
    put(cursor, 0, 4); /* peak: not measured */
    put(cursor, 0, 4); /* replay gains: not measured */
    put(cursor, info->is_copy ? 0 : USES_NSPSYTUNE | ATH_TYPE, 1);
    put(cursor, info->is_vbr ? 0 : info->bitrate_kbps < 255 ? info->bitrate_kbps : 255, 1);
    put(cursor, info->delay_samples << 12 | info->padding_samples, 3);
    put(cursor, source_rate_code(info->source_rate_hz) << 6 | stereo_mode << 2, 1);
    put(cursor, 0, 1); /* mp3gain */
    put(cursor, 0, 2); /* surround and preset: none */
    put(cursor, info->size_bytes, 4);
    put(cursor, info->music_crc, 2);
    put(cursor, info_frame_crc(0, cursor->bytes, cursor->size), 2);
}

size_t info_frame_format(const struct info_frame *info,
                         unsigned char out_bytes[INFO_FRAME_SIZE_MAX])
{
    assert(info->delay_samples < 4096 && info->padding_samples < 4096);
    struct mp3_frame frame;
    struct cursor cursor = {.bytes = out_bytes};
    memset(out_bytes, 0, INFO_FRAME_SIZE_MAX);
    describe_frame(info, out_bytes, &frame);
    cursor.size = MP3_FRAME_HEADER_SIZE + frame.side_info_size; /* zeros: silence */
    put_xing(&cursor, info);
    put_lame(&cursor, info);
    return frame.size;
}

static uint32_t get(const unsigned char *bytes, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Which programs' delays players believe. */
static bool is_believed(const unsigned char *version)
{
    return memcmp(version, "LAME", 4) == 0 || memcmp(version, "Lavf", 4) == 0 ||
           memcmp(version, "Lavc", 4) == 0;
}

static void parse_xing(const unsigned char *tag, size_t size, struct info_frame_found *found)
{
    uint32_t flags = get(tag + 4, 4);
    size_t at = XING_FLAGS_END;
    if ((flags & HAS_FRAMES) != 0 && size >= at + 4)
        found->frames = get(tag + at, 4);
    at += (flags & HAS_FRAMES) != 0 ? 4 : 0;
    at += (flags & HAS_BYTES) != 0 ? 4 : 0;
    at += (flags & HAS_TOC) != 0 ? INFO_FRAME_TOC_SIZE : 0;
    at += (flags & HAS_QUALITY) != 0 ? 4 : 0;
    if (size < at + LAME_DELAYS_AT + 3 || !is_believed(tag + at))
        return;
    uint32_t delays = get(tag + at + LAME_DELAYS_AT, 3);
    found->has_delays = true;
    found->delay_samples = delays >> 12;
    found->padding_samples = delays & 0xfff;
}

bool info_frame_parse(const unsigned char *bytes, size_t size, struct info_frame_found *out_found)
{
    struct info_frame_found found = {0};
    struct mp3_frame frame;
    if (size < MP3_FRAME_HEADER_SIZE || !mp3_frame_parse(bytes, &frame))
        return false;
    if (size >= VBRI_AT + 4 && memcmp(bytes + VBRI_AT, "VBRI", 4) == 0) {
        *out_found = found;
        return true;
    }
    /* A CRC may or may not be reckoned with. */
    size_t at = MP3_FRAME_HEADER_SIZE + frame.side_info_size;
    for (unsigned i = 0; i < 2; i++, at += 2) {
        if (size < at + XING_FLAGS_END ||
            (memcmp(bytes + at, "Xing", 4) != 0 && memcmp(bytes + at, "Info", 4) != 0))
            continue;
        parse_xing(bytes + at, size - at, &found);
        *out_found = found;
        return true;
    }
    return false;
}

uint16_t info_frame_crc(uint16_t crc, const unsigned char *bytes, size_t size)
{
    /* A byte's remainder; most of what copying takes is this. */
    static const uint16_t remainders[256] = {
        0x0000, 0xc0c1, 0xc181, 0x0140, 0xc301, 0x03c0, 0x0280, 0xc241, 0xc601, 0x06c0, 0x0780,
        0xc741, 0x0500, 0xc5c1, 0xc481, 0x0440, 0xcc01, 0x0cc0, 0x0d80, 0xcd41, 0x0f00, 0xcfc1,
        0xce81, 0x0e40, 0x0a00, 0xcac1, 0xcb81, 0x0b40, 0xc901, 0x09c0, 0x0880, 0xc841, 0xd801,
        0x18c0, 0x1980, 0xd941, 0x1b00, 0xdbc1, 0xda81, 0x1a40, 0x1e00, 0xdec1, 0xdf81, 0x1f40,
        0xdd01, 0x1dc0, 0x1c80, 0xdc41, 0x1400, 0xd4c1, 0xd581, 0x1540, 0xd701, 0x17c0, 0x1680,
        0xd641, 0xd201, 0x12c0, 0x1380, 0xd341, 0x1100, 0xd1c1, 0xd081, 0x1040, 0xf001, 0x30c0,
        0x3180, 0xf141, 0x3300, 0xf3c1, 0xf281, 0x3240, 0x3600, 0xf6c1, 0xf781, 0x3740, 0xf501,
        0x35c0, 0x3480, 0xf441, 0x3c00, 0xfcc1, 0xfd81, 0x3d40, 0xff01, 0x3fc0, 0x3e80, 0xfe41,
        0xfa01, 0x3ac0, 0x3b80, 0xfb41, 0x3900, 0xf9c1, 0xf881, 0x3840, 0x2800, 0xe8c1, 0xe981,
        0x2940, 0xeb01, 0x2bc0, 0x2a80, 0xea41, 0xee01, 0x2ec0, 0x2f80, 0xef41, 0x2d00, 0xedc1,
        0xec81, 0x2c40, 0xe401, 0x24c0, 0x2580, 0xe541, 0x2700, 0xe7c1, 0xe681, 0x2640, 0x2200,
        0xe2c1, 0xe381, 0x2340, 0xe101, 0x21c0, 0x2080, 0xe041, 0xa001, 0x60c0, 0x6180, 0xa141,
        0x6300, 0xa3c1, 0xa281, 0x6240, 0x6600, 0xa6c1, 0xa781, 0x6740, 0xa501, 0x65c0, 0x6480,
        0xa441, 0x6c00, 0xacc1, 0xad81, 0x6d40, 0xaf01, 0x6fc0, 0x6e80, 0xae41, 0xaa01, 0x6ac0,
        0x6b80, 0xab41, 0x6900, 0xa9c1, 0xa881, 0x6840, 0x7800, 0xb8c1, 0xb981, 0x7940, 0xbb01,
        0x7bc0, 0x7a80, 0xba41, 0xbe01, 0x7ec0, 0x7f80, 0xbf41, 0x7d00, 0xbdc1, 0xbc81, 0x7c40,
        0xb401, 0x74c0, 0x7580, 0xb541, 0x7700, 0xb7c1, 0xb681, 0x7640, 0x7200, 0xb2c1, 0xb381,
        0x7340, 0xb101, 0x71c0, 0x7080, 0xb041, 0x5000, 0x90c1, 0x9181, 0x5140, 0x9301, 0x53c0,
        0x5280, 0x9241, 0x9601, 0x56c0, 0x5780, 0x9741, 0x5500, 0x95c1, 0x9481, 0x5440, 0x9c01,
        0x5cc0, 0x5d80, 0x9d41, 0x5f00, 0x9fc1, 0x9e81, 0x5e40, 0x5a00, 0x9ac1, 0x9b81, 0x5b40,
        0x9901, 0x59c0, 0x5880, 0x9841, 0x8801, 0x48c0, 0x4980, 0x8941, 0x4b00, 0x8bc1, 0x8a81,
        0x4a40, 0x4e00, 0x8ec1, 0x8f81, 0x4f40, 0x8d01, 0x4dc0, 0x4c80, 0x8c41, 0x4400, 0x84c1,
        0x8581, 0x4540, 0x8701, 0x47c0, 0x4680, 0x8641, 0x8201, 0x42c0, 0x4380, 0x8341, 0x4100,
        0x81c1, 0x8081, 0x4040,
    };
    for (size_t i = 0; i < size; i++)
        crc = (uint16_t)(crc >> 8 ^ remainders[(crc ^ bytes[i]) & 0xff]);
    return crc;
}
