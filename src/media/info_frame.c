#include "media/info_frame.h"

#include "media/crc16.h"
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
    uint32_t lowest = mp3_bitrate_at_most(info->sample_rate_hz, 0);
    mp3_frame_format(lowest, info->sample_rate_hz, info->channels, header);
    size_t needed = MP3_FRAME_HEADER_SIZE + mp3_frame_parse_known(header).side_info_size +
                    XING_SIZE + LAME_SIZE;
    uint32_t enough = mp3_bitrate_for_size(info->sample_rate_hz, info->channels, needed);
    assert(enough != 0);
    return !info->is_vbr && info->bitrate_kbps > enough ? info->bitrate_kbps : enough;
}

static struct mp3_frame format_header(const struct info_frame *info,
                                      unsigned char out_header[MP3_FRAME_HEADER_SIZE])
{
    mp3_frame_format(frame_bitrate(info), info->sample_rate_hz, info->channels, out_header);
    return mp3_frame_parse_known(out_header);
}

size_t info_frame_size(const struct info_frame *info)
{
    unsigned char header[MP3_FRAME_HEADER_SIZE];
    return format_header(info, header).size;
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
    /* Of what is copied, nobody knows what made it. */
    uint32_t vbr_method = info->is_copy ? METHOD_UNKNOWN : METHOD_VBR_MTRH;
    uint32_t stereo_mode = info->channels == 1 ? STEREO_MODE_MONO
                           : info->is_copy     ? STEREO_MODE_OTHER
                                               : STEREO_MODE_JOINT;

    put_bytes(cursor, version, 9);
    put(cursor, TAG_REVISION << 4 | (info->is_vbr ? vbr_method : METHOD_CBR), 1);
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
    put(cursor, crc16_add(0, cursor->bytes, cursor->size), 2);
}

size_t info_frame_format(const struct info_frame *info,
                         unsigned char out_bytes[INFO_FRAME_SIZE_MAX])
{
    assert(info->delay_samples <= INFO_FRAME_DELAY_MAX &&
           info->padding_samples <= INFO_FRAME_DELAY_MAX);
    struct cursor cursor = {.bytes = out_bytes};
    memset(out_bytes, 0, INFO_FRAME_SIZE_MAX);
    const struct mp3_frame frame = format_header(info, out_bytes);
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
