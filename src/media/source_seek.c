/* To a place in the middle of a file, without what lies before it.
 *
 * What is wanted is the very samples that decoding from the beginning gives. So only containers are
 * trusted whose times are those of the samples, not guesses from a bitrate; the decoder gets a
 * lead-in; and the first frame has to stand where one of this file's frames can stand, before the
 * place. Wherever that is not so, the file is decoded from its beginning: that is always right. */

#include "media/source_internal.h"

#include <libavutil/avstring.h>
#include <string.h>

/* Nearer to the beginning, decoding is as fast. */
#define START_US_LEAST 30000000
/* A decoder that begins somewhere is in its stride after that: bit reservoirs, overlaps, and the
 * headers of spectral bands that come twice a second. */
#define LEAD_IN_US 3000000
#define LEAD_IN_US_LEAST 1000000
/* So much of the beginning is decoded where the grid is needed on which frames stand. */
#define GRID_US 12000000

/* Each with an index, or with samples of one size. Not those without (MPEG-TS and -PS, whose times
 * can start over; MP3 and ADTS, where places are guessed from the bitrate), nor AVI, whose times
 * are a count of packets. */
static bool can_be_trusted(const struct source *source)
{
    const char *name = source->format->iformat->name;
    if (av_match_name("mov", name) != 0 || av_match_name("matroska", name) != 0)
        return true;
    bool is_pcm = av_get_exact_bits_per_sample(source->stream->codecpar->codec_id) > 0;
    return is_pcm && av_match_list(name, "wav,w64,aiff,au", ',') > 0;
}

/* Matroska's index is as a rule of the pictures alone. */
static const AVStream *indexed_stream(const struct source *source)
{
    if (av_match_name("matroska", source->format->iformat->name) == 0)
        return source->stream;
    for (unsigned i = 0; i < source->format->nb_streams; i++) {
        const AVStream *stream = source->format->streams[i];
        if (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) == 0)
            return stream;
    }
    return source->stream;
}

/* Of an MP4 in fragments, the index grows with what is read. */
static bool is_indexed(const struct source *source, int64_t time)
{
    if (av_match_name("mov", source->format->iformat->name) == 0)
        return true;
    int count = avformat_index_get_entries_count(source->stream);
    const AVIndexEntry *last = avformat_index_get_entry(source->stream, count - 1);
    return last != NULL && last->timestamp >= time;
}

static bool is_before(const struct source *source, int64_t us)
{
    int64_t end = source->frame_at + source->frame->nb_samples;
    const AVRational sample = {1, source->frame->sample_rate};
    return av_compare_ts(end, sample, us, AV_TIME_BASE_Q) <= 0;
}

/* Decodes some of the beginning. False where that is no help: then all is as it was, further on. */
static bool learn_grid(struct source *source)
{
    const AVFrame *frame = NULL;
    do {
        if (!source_read(source, &frame, NULL) || frame == NULL)
            return false;
    } while (is_before(source, GRID_US));
    return timeline_has_grid(&source->timeline);
}

/* Reads the first frame there, which is not wanted: it is before the place. */
static bool arrives(struct source *source, int64_t us)
{
    const AVFrame *frame = NULL;
    avcodec_flush_buffers(source->decoder);
    timeline_jump(&source->timeline);
    source->packets_without_sound = 0;
    return source_read(source, &frame, NULL) && frame != NULL && !source->timeline.has_missed &&
           is_before(source, us - LEAD_IN_US_LEAST);
}

enum source_seek source_seek(struct source *source, int64_t us)
{
    if (us < START_US_LEAST || source->stream->codecpar->sample_rate <= 0 ||
        !can_be_trusted(source))
        return SOURCE_AS_IT_WAS;
    const AVStream *indexed = indexed_stream(source);
    int64_t time = timeline_time(&source->timeline, us - LEAD_IN_US, indexed->time_base);
    if (!is_indexed(source, time))
        return SOURCE_AS_IT_WAS;
    if (!timeline_is_exact(&source->timeline, source->stream->codecpar->sample_rate) &&
        !learn_grid(source))
        return source->is_drained || input_has_failed(source->input, NULL) ? SOURCE_LOST
                                                                           : SOURCE_AS_IT_WAS;
    if (av_seek_frame(source->format, indexed->index, time, AVSEEK_FLAG_BACKWARD) < 0 ||
        !arrives(source, us))
        return SOURCE_LOST;
    return SOURCE_THERE;
}
