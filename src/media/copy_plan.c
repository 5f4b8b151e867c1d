#include "media/copy_plan.h"

#include <string.h>

/* Packets that are no frame: what stands in front of the first or behind the last. */
#define ODD_PACKETS_MAX 1000

static bool refuse(struct copy_plan *plan)
{
    plan->is_impossible = true;
    return false;
}

/* Decoders leave such a packet out, but look behind zeros in front of a frame. */
static bool add_odd(struct copy_plan *plan, const struct copy_packet *packet)
{
    size_t zeros = 0;
    struct copied_frame frame;
    while (zeros < packet->size && packet->bytes[zeros] == 0)
        zeros++;
    if (zeros > 0 && copied_frame_parse(packet->bytes + zeros, packet->size - zeros, &frame))
        return refuse(plan);
    plan->has_ended = plan->frames > 0 || plan->has_info;
    return ++plan->odd_packets <= ODD_PACKETS_MAX || refuse(plan);
}

static bool is_same_kind(const struct copy_plan *plan, const struct copied_frame *frame)
{
    return frame->frame.sample_rate_hz == plan->frame.sample_rate_hz &&
           frame->frame.channels == plan->frame.channels;
}

/* What libavcodec would play of the frame. */
static void trim(struct copy_plan *plan, const struct copy_packet *packet)
{
    uint32_t samples = plan->frame.samples;
    uint32_t skipped = plan->skip_samples < samples ? plan->skip_samples : samples;
    plan->skip_samples -= skipped;
    if (packet->is_discarded)
        skipped = samples;
    uint32_t left = samples - skipped;
    uint32_t cut = packet->has_trim && packet->cut_samples <= left ? packet->cut_samples : 0;
    if (left == cut) {
        *(plan->samples == 0 ? &plan->front_samples : &plan->end_samples) += samples;
        return;
    }
    if (plan->samples > 0 && (skipped > 0 || plan->end_samples > 0))
        plan->is_impossible = true; /* there is a hole in the middle */
    plan->front_samples += plan->samples == 0 ? skipped : 0;
    plan->samples += left - cut;
    plan->end_samples += cut;
}

static void begin(struct copy_plan *plan, const struct copy_packet *packet,
                  const struct copied_frame *frame)
{
    plan->frame = frame->frame;
    memcpy(plan->header, packet->bytes, MP3_FRAME_HEADER_SIZE);
}

bool copy_plan_add(struct copy_plan *plan, const struct copy_packet *packet,
                   struct copied_frame *out_frame)
{
    struct copied_frame frame;
    if (packet->has_trim)
        plan->skip_samples = packet->skip_samples;
    if (!copied_frame_parse(packet->bytes, packet->size, &frame))
        return add_odd(plan, packet);
    bool is_first = plan->frames == 0 && !plan->has_info;
    if (is_first)
        begin(plan, packet, &frame);
    if (plan->has_ended || !is_same_kind(plan, &frame))
        return refuse(plan);
    trim(plan, packet);
    if (is_first && info_frame_parse(packet->bytes, frame.size, &plan->info)) {
        plan->has_info = true;
        return !plan->is_impossible;
    }
    if (plan->frames++ == 0)
        begin(plan, packet, &frame);
    plan->is_vbr = plan->is_vbr || frame.frame.bitrate_kbps != plan->frame.bitrate_kbps;
    plan->has_ended = frame.size < frame.frame.size;
    *out_frame = frame;
    return !plan->is_impossible;
}

/* To the container it is a frame like any other, which it may have cut off. Where the container
 * says nothing, the Info frame does. */
static void leave_info_out(struct copy_plan *plan)
{
    uint64_t samples = plan->frame.samples, held = plan->frames * samples;
    uint64_t skipped = plan->front_samples < samples ? plan->front_samples : samples;
    plan->front_samples -= skipped;
    plan->samples -= samples - skipped;
    if (plan->front_samples > 0 || plan->end_samples > 0 || !plan->info.has_delays)
        return;
    uint64_t front = plan->info.delay_samples + COPY_DECODER_DELAY, end = 0;
    /* What is missing was not padding. */
    if (plan->info.padding_samples > COPY_DECODER_DELAY && plan->info.frames == plan->frames)
        end = plan->info.padding_samples - COPY_DECODER_DELAY;
    if (front + end < held) {
        plan->front_samples = front;
        plan->end_samples = end;
        plan->samples = held - front - end;
    }
}

bool copy_plan_finish(struct copy_plan *plan)
{
    if (plan->is_impossible || plan->frames == 0)
        return false;
    if (plan->has_info)
        leave_info_out(plan);
    plan->begins_silent = plan->front_samples < COPY_DECODER_DELAY;
    if (plan->begins_silent)
        plan->front_samples += plan->frame.samples;
    uint64_t delay = plan->front_samples - COPY_DECODER_DELAY;
    plan->delay_samples = (uint32_t)delay;
    return plan->samples > 0 && delay <= INFO_FRAME_DELAY_MAX &&
           plan->end_samples + COPY_DECODER_DELAY <= INFO_FRAME_DELAY_MAX;
}
