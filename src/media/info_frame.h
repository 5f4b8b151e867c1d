#pragma once

/* The first frame of an MP3, which plays as silence in old players and tells others what follows:
 * Xing's header ("Info" for CBR) with frame count, byte count and a table of contents, and LAME's
 * extension with the samples to drop at both ends, by which the MP3 is as long as its source to the
 * sample. Written from LAME's "Mp3 Info Tag revision 1 specification". Pure. */

#include "media/mp3_frame.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFO_FRAME_SIZE_MAX MP3_FRAME_SIZE_MAX
#define INFO_FRAME_TOC_SIZE 100
#define INFO_FRAME_DELAY_MAX 4095 /* samples: it has twelve bits for each end */

struct info_frame {
    uint32_t sample_rate_hz;
    uint32_t channels;
    bool is_vbr;
    bool is_copy;          /* the frames are somebody else's: how they were made is not known */
    uint32_t bitrate_kbps; /* CBR only */
    uint32_t vbr_quality;  /* VBR only: 0 best, as LAME counts */
    uint32_t lowpass_hz;
    uint32_t source_rate_hz;  /* before resampling */
    uint32_t frames;          /* without this one */
    uint32_t size_bytes;      /* of this frame and all that follow */
    uint32_t delay_samples;   /* in front, that the encoder added; at most INFO_FRAME_DELAY_MAX */
    uint32_t padding_samples; /* at the end; the same */
    uint16_t music_crc;       /* of all frames after this one: crc16.h */
    unsigned char toc[INFO_FRAME_TOC_SIZE];
};

/* The size depends on the first four members only (for VBR three: the bitrate is not looked at), so
 * that its place can be kept free before the rest is known. */
size_t info_frame_size(const struct info_frame *info);
/* Returns the same size. */
size_t info_frame_format(const struct info_frame *info,
                         unsigned char out_bytes[INFO_FRAME_SIZE_MAX]);

/* What another's Info frame says that cannot be found out from what follows it. */
struct info_frame_found {
    uint32_t frames; /* without itself; 0: it does not say */
    bool has_delays;
    uint32_t delay_samples;
    uint32_t padding_samples;
};
/* Of the first frame of an MP3, from its header on. False: it is none ("Xing", "Info", or
 * Fraunhofer's "VBRI"), but sound. */
bool info_frame_parse(const unsigned char *bytes, size_t size, struct info_frame_found *out_found);
