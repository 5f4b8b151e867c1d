#include "media/mp3_frame.h"

#include "base/compiler.h"
#include <assert.h>

/* Bit fields of the header, by name as in the standard. */
enum { VERSION_2_5 = 0, VERSION_2 = 2, VERSION_1 = 3 };
enum {
    PART2_3_LENGTH_BITS = 12,
    BIG_VALUES_BITS = 9,
    BIG_VALUES_MAX = 288, /* pairs, of 576 lines */
    GLOBAL_GAIN_BITS = 8,
};
enum { LAYER_III = 1, MODE_JOINT_STEREO = 1, MODE_MONO = 3 };

static const uint16_t bitrates_kbps[2][15] = {
    /* MPEG-2 and 2.5 */ {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
    /* MPEG-1 */ {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
};

static const struct sample_rate {
    uint16_t hz;
    uint8_t version;
    uint8_t index;
    /* LAME writes nothing above 64 kb/s at MPEG-2.5's rates, though the table has more. */
    uint8_t bitrate_index_max;
} sample_rates[] = {
    {8000, VERSION_2_5, 2, 8}, {11025, VERSION_2_5, 0, 8}, {12000, VERSION_2_5, 1, 8},
    {16000, VERSION_2, 2, 14}, {22050, VERSION_2, 0, 14},  {24000, VERSION_2, 1, 14},
    {32000, VERSION_1, 2, 14}, {44100, VERSION_1, 0, 14},  {48000, VERSION_1, 1, 14},
};

static const struct sample_rate *find_rate(uint32_t sample_rate_hz)
{
    for (size_t i = 0; i < ARRAY_COUNT(sample_rates); i++)
        if (sample_rates[i].hz == sample_rate_hz)
            return &sample_rates[i];
    return NULL;
}

static const uint16_t *bitrates_of(const struct sample_rate *rate)
{
    return bitrates_kbps[rate->version == VERSION_1 ? 1 : 0];
}

static uint32_t samples_of(const struct sample_rate *rate)
{
    return rate->version == VERSION_1 ? 1152 : 576;
}

static unsigned bitrate_index_of(const struct sample_rate *rate, uint32_t bitrate_kbps)
{
    unsigned index = 1;
    while (index < 14 && bitrates_of(rate)[index] != bitrate_kbps)
        index++;
    return index;
}

static void describe(const struct sample_rate *rate, uint32_t bitrate_kbps, bool is_mono,
                     bool is_padded, struct mp3_frame *out_frame)
{
    bool is_version_1 = rate->version == VERSION_1;
    uint32_t slots = is_version_1 ? 144 : 72;
    *out_frame = (struct mp3_frame){
        .bitrate_kbps = bitrate_kbps,
        .sample_rate_hz = rate->hz,
        .channels = is_mono ? 1 : 2,
        .samples = samples_of(rate),
        .size = slots * bitrate_kbps * 1000 / rate->hz + (is_padded ? 1 : 0),
        .side_info_size = is_version_1 ? (is_mono ? 17 : 32) : (is_mono ? 9 : 17),
    };
}

bool mp3_frame_parse(const unsigned char header[MP3_FRAME_HEADER_SIZE], struct mp3_frame *out_frame)
{
    unsigned version = header[1] >> 3 & 3, layer = header[1] >> 1 & 3;
    unsigned bitrate_index = header[2] >> 4, rate_index = header[2] >> 2 & 3;
    if (header[0] != 0xff || (header[1] & 0xe0) != 0xe0 || layer != LAYER_III)
        return false;
    if (bitrate_index == 0 || bitrate_index == 15)
        return false;

    for (size_t i = 0; i < ARRAY_COUNT(sample_rates); i++) {
        const struct sample_rate *rate = &sample_rates[i];
        if (rate->version != version || rate->index != rate_index)
            continue;
        describe(rate, bitrates_of(rate)[bitrate_index], header[3] >> 6 == MODE_MONO,
                 (header[2] & 2) != 0, out_frame);
        return true;
    }
    return false;
}

struct mp3_frame mp3_frame_parse_known(const unsigned char header[MP3_FRAME_HEADER_SIZE])
{
    struct mp3_frame frame = {0};
    bool is_frame = mp3_frame_parse(header, &frame);
    assert(is_frame);
    (void)is_frame;
    return frame;
}

static uint32_t get_bits(const unsigned char *bytes, size_t bit, unsigned count)
{
    size_t at = bit / 8;
    unsigned known = 8 - bit % 8;
    uint32_t value = bytes[at] & 0xffU >> bit % 8;
    for (; known < count; known += 8)
        value = value << 8 | bytes[++at];
    return value >> (known - count);
}

/* How many bits its parts have. */
struct side_info {
    unsigned begin;
    unsigned before_granules; /* main_data_begin, private_bits and scfsi */
    unsigned granules;        /* of all channels */
    unsigned granule;
    unsigned scalefac_compress; /* of a granule's */
};

static struct side_info side_info_of(const struct mp3_frame *frame)
{
    bool is_mono = frame->channels == 1;
    if (frame->samples == 1152)
        return (struct side_info){
            .begin = 9,
            .before_granules = is_mono ? 9 + 5 + 4 : 9 + 3 + 8,
            .granules = 2 * frame->channels,
            .granule = 59,
            .scalefac_compress = 4,
        };
    return (struct side_info){
        .begin = 8,
        .before_granules = is_mono ? 8 + 1 : 8 + 2,
        .granules = frame->channels,
        .granule = 63,
        .scalefac_compress = 9,
    };
}

struct mp3_main_data mp3_main_data_parse(const unsigned char *side_info,
                                         const struct mp3_frame *frame)
{
    const struct side_info bits = side_info_of(frame);
    struct mp3_main_data main_data = {.begin = get_bits(side_info, 0, bits.begin)};
    for (unsigned i = 0; i < bits.granules; i++)
        main_data.bits +=
            get_bits(side_info, bits.before_granules + i * bits.granule, PART2_3_LENGTH_BITS);
    return main_data;
}

bool mp3_side_info_is_valid(const unsigned char *side_info, const struct mp3_frame *frame)
{
    const struct side_info bits = side_info_of(frame);
    for (unsigned i = 0; i < bits.granules; i++) {
        size_t at = bits.before_granules + i * bits.granule + PART2_3_LENGTH_BITS;
        uint32_t big_values = get_bits(side_info, at, BIG_VALUES_BITS);
        at += BIG_VALUES_BITS + GLOBAL_GAIN_BITS + bits.scalefac_compress;
        bool is_switching = get_bits(side_info, at, 1) != 0;
        if (big_values > BIG_VALUES_MAX || (is_switching && get_bits(side_info, at + 1, 2) == 0))
            return false;
    }
    return true;
}

uint32_t mp3_main_data_begin_max(const struct mp3_frame *frame)
{
    return (1U << side_info_of(frame).begin) - 1;
}

void mp3_main_data_set_begin(unsigned char *side_info, const struct mp3_frame *frame,
                             uint32_t begin)
{
    assert(begin <= mp3_main_data_begin_max(frame));
    if (frame->samples == 1152) {
        side_info[0] = (unsigned char)(begin >> 1);
        side_info[1] = (unsigned char)((side_info[1] & 0x7f) | begin << 7);
    } else {
        side_info[0] = (unsigned char)begin;
    }
}

void mp3_frame_set(unsigned char *bytes, const struct mp3_frame *frame, uint32_t bitrate_kbps,
                   uint32_t main_data_begin)
{
    const struct sample_rate *rate = find_rate(frame->sample_rate_hz);
    assert(rate != NULL);
    unsigned index = bitrate_kbps == 0 ? 0 : bitrate_index_of(rate, bitrate_kbps);
    bytes[2] = (unsigned char)((bytes[2] & 0x0f) | index << 4);
    mp3_main_data_set_begin(bytes + MP3_FRAME_HEADER_SIZE, frame, main_data_begin);
}

void mp3_frame_format(uint32_t bitrate_kbps, uint32_t sample_rate_hz, uint32_t channels,
                      unsigned char out_header[MP3_FRAME_HEADER_SIZE])
{
    const struct sample_rate *rate = find_rate(sample_rate_hz);
    assert(rate != NULL);
    unsigned bitrate_index = bitrate_index_of(rate, bitrate_kbps);
    unsigned mode = channels == 1 ? MODE_MONO : MODE_JOINT_STEREO;
    unsigned no_crc = 1, is_original = 1;
    out_header[0] = 0xff;
    out_header[1] = (unsigned char)(0xe0U | (unsigned)rate->version << 3 | LAYER_III << 1 | no_crc);
    out_header[2] = (unsigned char)(bitrate_index << 4 | (unsigned)rate->index << 2);
    out_header[3] = (unsigned char)(mode << 6 | is_original << 2);
}

uint32_t mp3_sample_rate_nearest(uint32_t sample_rate_hz)
{
    uint32_t nearest = sample_rates[0].hz;
    for (size_t i = 1; i < ARRAY_COUNT(sample_rates); i++) {
        int64_t distance = (int64_t)sample_rates[i].hz - sample_rate_hz;
        int64_t best = (int64_t)nearest - sample_rate_hz;
        if ((distance < 0 ? -distance : distance) < (best < 0 ? -best : best))
            nearest = sample_rates[i].hz;
    }
    return nearest;
}

uint32_t mp3_frame_samples(uint32_t sample_rate_hz)
{
    const struct sample_rate *rate = find_rate(sample_rate_hz);
    assert(rate != NULL);
    return samples_of(rate);
}

unsigned mp3_bitrate_index_max(uint32_t sample_rate_hz)
{
    const struct sample_rate *rate = find_rate(sample_rate_hz);
    assert(rate != NULL);
    return rate->bitrate_index_max;
}

uint32_t mp3_bitrate_at_most(uint32_t sample_rate_hz, uint32_t bitrate_kbps)
{
    const struct sample_rate *rate = find_rate(sample_rate_hz);
    assert(rate != NULL);
    unsigned index = rate->bitrate_index_max;
    while (index > 1 && bitrates_of(rate)[index] > bitrate_kbps)
        index--;
    return bitrates_of(rate)[index];
}

uint32_t mp3_bitrate_for_size(uint32_t sample_rate_hz, uint32_t channels, size_t size)
{
    const struct sample_rate *rate = find_rate(sample_rate_hz);
    assert(rate != NULL);
    for (unsigned index = 1; index <= rate->bitrate_index_max; index++) {
        struct mp3_frame frame;
        describe(rate, bitrates_of(rate)[index], channels == 1, false, &frame);
        if (frame.size >= size)
            return bitrates_of(rate)[index];
    }
    return 0;
}
