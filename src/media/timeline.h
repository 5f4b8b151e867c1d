#pragma once

/* Where decoded frames stand in the time of their file, to the sample. Packets carry times in ticks
 * that can be longer than a sample (Matroska's are a millisecond); so samples are counted, and
 * times only correct the count: to the sample as ffmpeg does it, so that both cut alike. Pure. */

#include <libavutil/rational.h>
#include <stdbool.h>
#include <stdint.h>

struct timeline {
    /* Set by timeline_init(). */
    AVRational time_base;
    int64_t offset; /* added to every time, so that the file begins at 0 */
    bool can_jump;  /* times may start over, as in a transport stream */

    /* Its own. */
    int sample_rate_hz;
    int64_t next; /* behind the last frame; in samples, as all below */
    bool has_begun;
    int64_t counted;     /* what av_rescale_delta() remembers */
    int64_t packet_time; /* of the last packet */

    /* Frames of one length stand on a grid, by which they are found again after a jump. */
    int frame_samples; /* of all frames but the first and the last; 0: they differ */
    int frames;
    bool is_on_grid; /* the next frame is to be put on it */
    bool has_missed; /* and its time was not near it */
};

/* `start_us` is the time of the file's first packet, of whatever stream. */
void timeline_init(struct timeline *timeline, AVRational time_base, int64_t start_us,
                   bool can_jump);
/* Before the frames of a packet. One that comes later than the one before it ends begins a new
 * count. */
void timeline_note_packet(struct timeline *timeline, int64_t time, int64_t duration);
/* The frame's first sample; `time` may be AV_NOPTS_VALUE: it follows the one before. */
int64_t timeline_place(struct timeline *timeline, int64_t time, int sample_rate_hz, int samples);

/* A place as a time of the stream's packets, in another time base. */
int64_t timeline_time(const struct timeline *timeline, int64_t us, AVRational time_base);

/* Is a time exact to the sample? */
bool timeline_is_exact(const struct timeline *timeline, int sample_rate_hz);
/* Is there a grid? Frames' lengths are known after some of them. */
bool timeline_has_grid(const struct timeline *timeline);
/* The next frame is some other one. */
void timeline_jump(struct timeline *timeline);
