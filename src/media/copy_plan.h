#pragma once

/* Whether MP3 sound can be copied frame by frame. All of it is looked at before the first byte is
 * written: what comes late in a file may not fit (another rate, something between the frames), and
 * then it is too late to encode instead. Pure.
 *
 * At both ends there are samples that are not to be played: what the encoder added, or what the
 * container cuts off. Containers count them in a decoder's output, the Info frame in the encoder's
 * input: every player drops 529 more in front, and fewer at the end, by which a decoder is late.
 * Where less than that is to be dropped, a silent frame goes first. */

#include "media/copied_frame.h"
#include "media/info_frame.h"

#define COPY_DECODER_DELAY 529

struct copy_packet {
    const unsigned char *bytes;
    size_t size;
    bool has_trim;         /* the next two are given */
    uint32_t skip_samples; /* from here on, not to be played */
    uint32_t cut_samples;  /* at this packet's end, not to be played */
    bool is_discarded;     /* nothing of this packet is to be played */
};

/* Zeroed, it stands before the first packet. */
struct copy_plan {
    /* Right once copy_plan_finish() said so. */
    struct mp3_frame frame; /* what all are like; the bitrate is the first one's */
    unsigned char header[MP3_FRAME_HEADER_SIZE]; /* of the first */
    bool is_vbr;
    bool has_info;          /* the first is no sound but an Info frame, and is left out */
    bool begins_silent;     /* copied_frame_format_silence() goes first */
    uint64_t frames;        /* that are copied */
    uint64_t samples;       /* per channel, to be played */
    uint32_t delay_samples; /* for our Info frame */

    /* On the way there. */
    struct info_frame_found info;
    bool is_impossible;
    bool has_ended; /* nothing can follow what came last */
    uint32_t odd_packets;
    uint32_t skip_samples;  /* still to come */
    uint64_t front_samples; /* not to be played */
    uint64_t end_samples;
};

/* False: it cannot be copied, whatever follows. Where `frames` has grown, *out_frame is the last
 * one. */
bool copy_plan_add(struct copy_plan *plan, const struct copy_packet *packet,
                   struct copied_frame *out_frame);
/* After the last packet. False: it cannot be copied. */
bool copy_plan_finish(struct copy_plan *plan);
