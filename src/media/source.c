#include "media/source_internal.h"

#include "media/copy_plan.h"
#include "media/language.h"
#include "model/failure.h"
#include <inttypes.h>
#include <libavutil/avstring.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/parseutils.h>
#include <stdlib.h>
#include <string.h>

/* Containers of video and sound that people have. What is missing is so on purpose: formats that
 * name other files (hls, dash, concat, sdp, image2, …), and those of games and devices, whose
 * parsers are the least tested. */
#define FORMATS                                                                                    \
    "3gp,aac,ac3,aiff,amr,ape,asf,asf_o,au,avi,caf,dsf,dts,dtshd,dv,eac3,flac,flv,live_flv,loas,"  \
    "m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,rm,tak,truehd,tta,voc,w64,wav,"     \
    "webm,wtv,wv,xwma"

#define STREAMS_MAX 256
/* Packets of the chosen stream in a row of which none gives a sample. */
#define PACKETS_WITHOUT_SOUND_MAX 100000
/* A demuxer that wants to be called again, in a row. */
#define AGAIN_MAX 10000
/* Of AV_PKT_DATA_SKIP_SAMPLES. */
#define SKIP_SAMPLES_SIZE 10
/* Sound that ends so much earlier than the file says has lost its end; less is how exact many
 * programs are. */
#define LOST_END_US 500000
/* Further than any honest time, and so that sums with it do not overflow. */
#define TIME_MOST_US (INT64_MAX / 16)

static int deny_open(AVFormatContext *format, AVIOContext **out_context, const char *url, int flags,
                     AVDictionary **options)
{
    (void)format;
    (void)out_context;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

/* Every decoder of sound that is FFmpeg's own: wrapped libraries are code that we did not choose.
 */
static char *list_decoders(void)
{
    size_t size = 0;
    char *list = NULL;
    void *iterator = NULL;
    const AVCodec *codec;
    while ((codec = av_codec_iterate(&iterator)) != NULL) {
        if (!av_codec_is_decoder(codec) || codec->type != AVMEDIA_TYPE_AUDIO ||
            codec->wrapper_name != NULL)
            continue;
        size_t name_size = strlen(codec->name);
        list = realloc(list, size + name_size + 2);
        if (list == NULL)
            abort();
        memcpy(list + size, codec->name, name_size);
        size += name_size;
        list[size++] = ',';
        list[size] = '\0';
    }
    return list;
}

static void set_limits(AVDictionary **limits)
{
    char *decoders = list_decoders();
    av_dict_set(limits, "protocol_whitelist", "none", 0);
    av_dict_set(limits, "format_whitelist", FORMATS, 0);
    av_dict_set(limits, "codec_whitelist", decoders, 0);
    av_dict_set_int(limits, "max_streams", STREAMS_MAX, 0);
    /* As ffmpeg does, so that the same programs of a transport stream are found. */
    av_dict_set_int(limits, "scan_all_pmts", 1, 0);
    free(decoders);
}

static bool find_format(struct source *source, const AVInputFormat **out_format,
                        struct error *error)
{
    const AVInputFormat *format = NULL;
    int score = av_probe_input_buffer2(input_context(source->input), &format, "", NULL, 0, 0);
    if (input_has_failed(source->input, error))
        return false;
    /* Nearly anything looks a little like a raw stream: a guess that weak is no format. */
    if (score <= AVPROBE_SCORE_RETRY / 2 || format == NULL)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_NOT_MEDIA, "no known format");
    if (av_match_list(format->name, FORMATS, ',') <= 0)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_NOT_MEDIA,
                                 "the format %s is not one of sound", format->name);
    *out_format = format;
    return true;
}

static bool is_sound(const AVStream *stream)
{
    return stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
}

/* Streams can appear while reading; what is not wanted is not even taken apart. */
static void discard_others(struct source *source)
{
    for (; source->streams_discarded < source->format->nb_streams; source->streams_discarded++) {
        AVStream *stream = source->format->streams[source->streams_discarded];
        bool is_wanted = source->stream != NULL ? stream == source->stream : is_sound(stream);
        stream->discard = is_wanted ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
}

/* Where the time is asked for, what begins first says when that is, and it may be a picture. */
static bool open_format(struct source *source, bool is_timed, struct error *error)
{
    const AVInputFormat *format = NULL;
    if (!find_format(source, &format, error))
        return false;

    source->format = avformat_alloc_context();
    if (source->format == NULL)
        abort();
    source->format->pb = input_context(source->input);
    source->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    source->format->io_open = deny_open;
    AVDictionary *limits = NULL;
    set_limits(&limits);
    int result = avformat_open_input(&source->format, "", format, &limits);
    av_dict_free(&limits);
    if (result >= 0) {
        if (!is_timed)
            discard_others(source);
        result = avformat_find_stream_info(source->format, NULL);
    }
    if (input_has_failed(source->input, error))
        return false;
    if (result < 0)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_DAMAGED, "open as %s: %s",
                                 format->name, av_err2str(result));
    return true;
}

static const char *language_of(const AVStream *stream)
{
    const AVDictionaryEntry *entry = av_dict_get(stream->metadata, "language", NULL, 0);
    return entry != NULL ? entry->value : "";
}

static bool is_asked_for(const AVStream *stream, uint32_t number,
                         const struct conversion_options *options)
{
    if (options->track != 0)
        return number == options->track;
    if (options->language[0] != '\0')
        return language_is_equal(language_of(stream), options->language);
    return true;
}

/* Of those that are asked for, the first that the file calls its default, else the first. */
static AVStream *choose(const AVFormatContext *format, const struct conversion_options *options,
                        uint32_t *out_count)
{
    AVStream *chosen = NULL;
    uint32_t count = 0;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        AVStream *stream = format->streams[i];
        if (!is_sound(stream))
            continue;
        count++;
        if (!is_asked_for(stream, count, options))
            continue;
        bool is_default = (stream->disposition & AV_DISPOSITION_DEFAULT) != 0;
        if (chosen == NULL || (is_default && (chosen->disposition & AV_DISPOSITION_DEFAULT) == 0))
            chosen = stream;
    }
    *out_count = count;
    return chosen;
}

static bool choose_stream(struct source *source, const struct conversion_options *options,
                          struct error *error)
{
    uint32_t count;
    source->stream = choose(source->format, options, &count);
    if (count == 0)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_NO_AUDIO,
                                 "%u streams, none of sound", source->format->nb_streams);
    if (source->stream == NULL && options->track != 0)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_NO_SUCH_TRACK,
                                 "track %" PRIu32 " asked for, the file has %" PRIu32,
                                 options->track, count);
    if (source->stream == NULL)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_NO_SUCH_TRACK,
                                 "none of %" PRIu32 " tracks is in the language %s", count,
                                 options->language);
    source->streams_discarded = 0;
    discard_others(source);
    return true;
}

static bool open_decoder(struct source *source, struct error *error)
{
    const AVCodecParameters *parameters = source->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
    if (codec == NULL || codec->wrapper_name != NULL)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_UNSUPPORTED_CODEC,
                                 "no decoder for %s", avcodec_get_name(parameters->codec_id));
    source->decoder = avcodec_alloc_context3(codec);
    if (source->decoder == NULL)
        abort();
    int result = avcodec_parameters_to_context(source->decoder, parameters);
    source->decoder->pkt_timebase = source->stream->time_base;
    source->decoder->thread_count = 1;
    if (result >= 0)
        result = avcodec_open2(source->decoder, codec, NULL);
    if (result < 0)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_UNSUPPORTED_CODEC,
                                 "open the decoder %s: %s", codec->name, av_err2str(result));
    return true;
}

static void start_timeline(struct source *source)
{
    int64_t start_us = source->format->start_time;
    timeline_init(&source->timeline, source->stream->time_base,
                  start_us != AV_NOPTS_VALUE ? start_us : 0,
                  (source->format->iformat->flags & AVFMT_TS_DISCONT) != 0);
}

static bool open_at_beginning(const struct media_io *io, const struct conversion_options *options,
                              struct source **out_source, struct error *error)
{
    bool is_timed = options->start_us != 0 || options->end_us != 0;
    CLEANUP(source_closep) struct source *source = calloc(1, sizeof *source);
    if (source == NULL)
        abort();
    source->input = input_create(io);
    source->packet = av_packet_alloc();
    source->frame = av_frame_alloc();
    if (source->packet == NULL || source->frame == NULL)
        abort();
    if (!open_format(source, is_timed, error) || !choose_stream(source, options, error) ||
        !open_decoder(source, error))
        return false;
    start_timeline(source);
    *out_source = source;
    source = NULL;
    return true;
}

bool source_open(const struct media_io *io, const struct conversion_options *options,
                 struct source **out_source, struct error *error)
{
    CLEANUP(source_closep) struct source *source = NULL;
    if (!open_at_beginning(io, options, &source, error))
        return false;
    if (source_seek(source, options->start_us) == SOURCE_LOST) {
        if (input_has_failed(source->input, error))
            return false;
        source_close(source);
        source = NULL;
        if (!open_at_beginning(io, options, &source, error))
            return false;
    }
    *out_source = source;
    source = NULL;
    return true;
}

void source_close(struct source *source)
{
    if (source == NULL)
        return;
    avcodec_free_context(&source->decoder);
    avformat_close_input(&source->format);
    av_packet_free(&source->packet);
    av_frame_free(&source->frame);
    input_destroy(source->input);
    free(source);
}

void source_closep(struct source **source)
{
    source_close(*source);
}

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
        discard_others(source);
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

uint64_t source_position(const struct source *source)
{
    return input_position(source->input);
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
