/* Opening a file: what it is, which of its streams, with which decoder. What libavformat and
 * libavcodec may use is narrowed here. */

#include "media/source_internal.h"

#include "media/language.h"
#include "model/failure.h"
#include <inttypes.h>
#include <libavutil/avstring.h>
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

/* Every decoder of sound that is FFmpeg's own. Libraries that it wraps are code that we did not
 * choose. The caller frees it. */
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

void source_discard_others(struct source *source)
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
            source_discard_others(source);
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
    source_discard_others(source);
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
