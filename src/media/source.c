/* Reading a file that is open: packets, and the frames that become of them. */

#include "media/source_internal.h"

#include "media/copy_plan.h"
#include "model/failure.h"
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

/* Packets of the chosen stream in a row of which none gives a sample. */
#define PACKETS_WITHOUT_SOUND_MAX 100000
/* A demuxer that wants to be called again, in a row. */
#define AGAIN_MAX 10000
/* Of AV_PKT_DATA_SKIP_SAMPLES. */
#define SKIP_SAMPLES_SIZE 10

/* The next packet of the chosen stream. False at the end, or where reading broke off. */
static bool read_packet(struct source *source)
{
    for (unsigned again = 0;;) {
        av_packet_unref(source->packet);
        int result = av_read_frame(source->format, source->packet);
        if (result == AVERROR(EAGAIN) && again++ < AGAIN_MAX)
            continue;
        if (result < 0) {
            source->has_read_failed = result != AVERROR_EOF;
            return false;
        }
        source_discard_others(source);
        if (source->packet->stream_index == source->stream->index)
            return true;
    }
}

static void note(struct source *source)
{
    const AVPacket *packet = source->packet;
    source->packets_without_sound++;
    timeline_note_packet(&source->timeline, packet->pts, packet->duration);
    int64_t end_pts = av_sat_add64(packet->pts, packet->duration);
    if (packet->pts != AV_NOPTS_VALUE && end_pts > source->end_pts)
        source->end_pts = end_pts;
    source->is_last_corrupt = (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
    if (av_packet_get_side_data(packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL) != NULL)
        source->is_encrypted = true;
}

/* Our own needs are small: how much a decoder asks for is the file's doing. */
static bool end_for_memory(struct error *error)
{
    return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                             "decoding its sound takes more memory than there is");
}

static bool feed(struct source *source, struct error *error)
{
    const AVPacket *packet = NULL; /* NULL drains the decoder */
    if (read_packet(source)) {
        packet = source->packet;
        note(source);
    } else {
        source->is_drained = true;
    }
    if (input_has_failed(source->input, error))
        return false;
    if (source->packets_without_sound > PACKETS_WITHOUT_SOUND_MAX)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                                 "%d packets in a row without a sample", PACKETS_WITHOUT_SOUND_MAX);
    /* A packet that the decoder refuses is left out. */
    int result = avcodec_send_packet(source->decoder, packet);
    return result != AVERROR(ENOMEM) || end_for_memory(error);
}

static bool is_usable(const AVFrame *frame)
{
    return frame->nb_samples > 0 && frame->sample_rate > 0 && frame->ch_layout.nb_channels > 0;
}

static bool end(const struct source *source, struct error *error)
{
    if (source->samples > 0)
        return true;
    if (source->is_encrypted)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_UNSUPPORTED_CODEC,
                                 "the sound is encrypted");
    return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED,
                             "not one frame could be decoded");
}

bool source_read(struct source *source, const AVFrame **out_frame, struct error *error)
{
    for (;;) {
        int result = avcodec_receive_frame(source->decoder, source->frame);
        if (result >= 0 && is_usable(source->frame))
            break;
        if (result == AVERROR(ENOMEM))
            return end_for_memory(error);
        if (source->is_drained && result < 0) {
            *out_frame = NULL;
            return end(source, error);
        }
        if (result == AVERROR(EAGAIN) && !feed(source, error))
            return false;
    }
    source->packets_without_sound = 0;
    source->samples += (uint64_t)source->frame->nb_samples;
    source->frame_at = timeline_place(&source->timeline, source->frame->pts,
                                      source->frame->sample_rate, source->frame->nb_samples);
    *out_frame = source->frame;
    return true;
}

int64_t source_frame_at(const struct source *source)
{
    return source->frame_at;
}

bool source_is_mp3(const struct source *source)
{
    return source->stream->codecpar->codec_id == AV_CODEC_ID_MP3;
}

bool source_read_packet(struct source *source, struct copy_packet *out_packet, struct error *error)
{
    *out_packet = (struct copy_packet){0};
    bool has_packet = read_packet(source);
    if (input_has_failed(source->input, error))
        return false;
    if (!has_packet)
        return true;
    note(source);
    const AVPacket *packet = source->packet;
    size_t trim_size;
    const uint8_t *trim = av_packet_get_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, &trim_size);
    /* A packet without bytes may have no address either. */
    out_packet->bytes = packet->size > 0 ? packet->data : (const unsigned char *)"";
    out_packet->size = (size_t)packet->size;
    out_packet->is_discarded = (packet->flags & AV_PKT_FLAG_DISCARD) != 0;
    out_packet->has_trim = trim != NULL && trim_size >= SKIP_SAMPLES_SIZE;
    if (out_packet->has_trim) {
        out_packet->skip_samples = AV_RL32(trim);
        out_packet->cut_samples = AV_RL32(trim + 4);
    }
    return true;
}

uint64_t source_position(const struct source *source)
{
    return input_position(source->input);
}
