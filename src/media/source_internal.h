#pragma once

/* What the files of source.h share: source_open.c opens, source.c reads, source_seek.c goes to a
 * place, source_claims.c tells what the file says of itself. */

#include "media/input.h"
#include "media/source.h"
#include "media/timeline.h"
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

struct source {
    struct input *input;        /* owned */
    AVFormatContext *format;    /* owned */
    AVCodecContext *decoder;    /* owned */
    AVPacket *packet;           /* owned */
    AVFrame *frame;             /* owned */
    AVStream *stream;           /* borrowed from format */
    unsigned streams_discarded; /* of format->nb_streams */

    struct timeline timeline;
    int64_t frame_at; /* the place of the last frame */

    uint64_t samples; /* decoded so far */
    int64_t end_pts;  /* the latest that a packet reached */
    unsigned packets_without_sound;
    bool is_drained;      /* the last packet went to the decoder */
    bool has_read_failed; /* the container broke before its end */
    bool is_last_corrupt; /* the last packet was cut */
    bool is_encrypted;
};

/* What is not wanted is not even taken apart. To be called after each packet, too, since streams
 * can appear while reading. */
void source_discard_others(struct source *source);

enum source_seek {
    SOURCE_AS_IT_WAS, /* it goes on where it stood, before the place */
    SOURCE_THERE,     /* at a frame well before the place */
    SOURCE_LOST,      /* nobody knows where it is: to be opened anew */
};

/* Goes to somewhere before that time, far enough that the decoder is in its stride there. */
enum source_seek source_seek(struct source *source, int64_t us);
