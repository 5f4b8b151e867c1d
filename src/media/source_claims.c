/* What a file says of itself. None of it is believed, but much of it is passed on. */

#include "media/source_internal.h"

#include <libavutil/common.h>
#include <libavutil/parseutils.h>
#include <string.h>

/* Sound that ends so much earlier than the file says has lost its end; less is how exact many
 * programs are. */
#define LOST_END_US 500000
/* Further than any honest time, and so that sums with it do not overflow. */
#define TIME_MOST_US (INT64_MAX / 16)

static int64_t to_us(const AVStream *stream, int64_t time)
{
    return time != AV_NOPTS_VALUE ? av_rescale_q(time, stream->time_base, AV_TIME_BASE_Q) : 0;
}

uint64_t source_duration_us(const struct source *source)
{
    int64_t duration_us = to_us(source->stream, source->stream->duration);
    if (duration_us <= 0)
        duration_us = source->format->duration;
    return duration_us > 0 ? (uint64_t)duration_us : 0;
}

/* Where the file's own header says that this sound ends; 0: nowhere, as in a transport stream. */
static int64_t claimed_end_us(const struct source *source)
{
    const AVStream *stream = source->stream;
    /* Matroska says it in a tag of the track's, which may end in a language ("DURATION-eng"). */
    const AVDictionaryEntry *tag =
        av_dict_get(stream->metadata, "DURATION", NULL, AV_DICT_IGNORE_SUFFIX);
    int64_t end_us;
    if (tag != NULL && av_parse_time(&end_us, tag->value, 1) >= 0)
        return end_us;
    /* Of an AVI, libavformat shortens the duration to what it found, but keeps this. */
    if (strcmp(source->format->iformat->name, "avi") == 0 && stream->nb_frames > 0)
        return to_us(stream, stream->nb_frames);
    /* Of ASF it is the whole film's, whose sound may be shorter, and is left out of a cut file. */
    if (source->format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE ||
        strcmp(source->format->iformat->name, "asf") == 0)
        return 0;
    int64_t start_us = to_us(stream, stream->start_time);
    int64_t duration_us = to_us(stream, stream->duration);
    return duration_us > 0 && start_us < INT64_MAX / 2 && duration_us < INT64_MAX / 2
               ? start_us + duration_us
               : 0;
}

static bool has_lost_its_end(const struct source *source)
{
    int64_t claimed_us = claimed_end_us(source);
    return claimed_us > LOST_END_US &&
           to_us(source->stream, source->end_pts) < claimed_us - LOST_END_US;
}

/* Written into a pipe: its header does not know where it ends, and a last packet that is not full
 * says nothing. */
static bool is_endless_wav(const struct source *source)
{
    AVIOContext *bytes = source->format->pb;
    return strcmp(source->format->iformat->name, "wav") == 0 &&
           avio_seek(bytes, 0, SEEK_SET) == 0 && avio_rb32(bytes) == MKBETAG('R', 'I', 'F', 'F') &&
           avio_rl32(bytes) == UINT32_MAX;
}

bool source_is_truncated(const struct source *source)
{
    return source->has_read_failed || has_lost_its_end(source) ||
           input_was_read_past_end(source->input) ||
           (source->is_last_corrupt && !is_endless_wav(source));
}

const char *source_tag(const struct source *source, const char *name)
{
    /* Ogg has its tags on the stream; elsewhere a stream's title is its track's name ("Stereo"). */
    bool is_track_name =
        strcmp(name, "title") == 0 && strcmp(source->format->iformat->name, "ogg") != 0;
    const AVDictionaryEntry *entry = av_dict_get(source->format->metadata, name, NULL, 0);
    if (entry == NULL && !is_track_name)
        entry = av_dict_get(source->stream->metadata, name, NULL, 0);
    return entry != NULL ? entry->value : NULL;
}

size_t source_chapter_count(const struct source *source)
{
    return source->format->nb_chapters;
}

static int64_t bound_us(int64_t us)
{
    return av_clip64(us, -TIME_MOST_US, TIME_MOST_US);
}

/* Where the file begins in the time of its packets: what start_seconds counts from. */
static int64_t file_start_us(const struct source *source)
{
    int64_t start_us = source->format->start_time;
    return start_us != AV_NOPTS_VALUE ? bound_us(start_us) : 0;
}

int64_t source_sound_start_us(const struct source *source)
{
    int64_t start_us = bound_us(to_us(source->stream, source->stream->start_time));
    return (start_us > 0 ? start_us : 0) - file_start_us(source);
}

/* Chapters of an MP3 count from where its sound begins, whereas its time begins with what the
 * encoder added. */
static int64_t chapter_us(const struct source *source, const AVChapter *chapter, int64_t time)
{
    bool is_mp3 = strcmp(source->format->iformat->name, "mp3") == 0;
    int64_t time_us =
        time != AV_NOPTS_VALUE ? av_rescale_q(time, chapter->time_base, AV_TIME_BASE_Q) : 0;
    return bound_us(time_us) + (is_mp3 ? source_sound_start_us(source) : -file_start_us(source));
}

struct source_chapter source_chapter(const struct source *source, size_t index)
{
    const AVChapter *chapter = source->format->chapters[index];
    const AVDictionaryEntry *title = av_dict_get(chapter->metadata, "title", NULL, 0);
    int64_t begin_us = chapter_us(source, chapter, chapter->start);
    int64_t end_us = chapter_us(source, chapter, chapter->end);
    return (struct source_chapter){
        .begin_us = begin_us,
        .end_us = end_us > begin_us ? end_us : begin_us,
        .title = title != NULL ? title->value : "",
    };
}

bool source_picture(const struct source *source, size_t *index, const unsigned char **out_bytes,
                    size_t *out_size)
{
    while (*index < source->format->nb_streams) {
        const AVStream *stream = source->format->streams[(*index)++];
        if ((stream->disposition & AV_DISPOSITION_ATTACHED_PIC) == 0 ||
            stream->attached_pic.size <= 0)
            continue;
        *out_bytes = stream->attached_pic.data;
        *out_size = (size_t)stream->attached_pic.size;
        return true;
    }
    return false;
}
