#pragma once

/* The engine: any video or audio file in, an MP3 out. Only tapedeck-worker links it, since parsing
 * hostile media is what a confined process is for (sandbox/).
 *
 * source (demux, decode) -> excerpt (start, end) -> sound_format (rate, channels, float) -> limiter
 * (loudness) -> pcm_ring -> encoding -> mp3_writer. docs/engine.md explains each. Memory does not
 * depend on the input's length, but for the index that an MP4 or AVI brings along. */

#include "base/error.h"
#include "model/conversion_options.h"
#include <stddef.h>
#include <stdint.h>

#define MEDIA_SIZE_UNKNOWN UINT64_MAX
/* The Info frame counts bytes in 32 bits. */
#define MEDIA_OUTPUT_SIZE_MAX UINT32_MAX

struct media_progress {
    uint64_t position_us;    /* of sound encoded */
    uint64_t duration_us;    /* what that will become, as the input claims; 0: unknown */
    uint64_t input_position; /* the byte that was read last */
    uint64_t prepared_us;    /* of sound decoded before the MP3 began; not after write_at() */
    uint64_t preparation_us; /* what that will become, about */
};

/* Where bytes come from and go to. read_at() is called from the thread of media_convert(), the
 * other two from one thread at a time. An error of theirs ends the conversion and is handed
 * on. */
struct media_io {
    void *context;
    uint64_t size; /* of the input, or MEDIA_SIZE_UNKNOWN */
    /* Short only at the end. */
    bool (*read_at)(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error);
    /* In order, but for the Info frame, whose place is written again at the end. */
    bool (*write_at)(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error);
    bool (*progress)(void *context, const struct media_progress *progress, struct error *error);
};

struct media_job {
    const struct conversion_options *options;
    uint64_t output_size_max; /* at most MEDIA_OUTPUT_SIZE_MAX */
    uint64_t duration_max_ms; /* 0: no limit */
    uint32_t threads;         /* to encode in, at least 1; each may hold 15 MB of sound; what comes
                               * out is the same however many there are */
};

struct media_result {
    uint64_t size_bytes;
    uint64_t samples;           /* per channel; what a gapless decoder plays */
    uint64_t frames;            /* without the Info frame */
    uint64_t frames_encoded;    /* by all encoders: lead-ins and run-ons too; 0: copied */
    uint64_t input_duration_us; /* of the whole input, as it claims; 0: unknown */
    uint32_t bitrate_kbps;      /* VBR: mean, rounded */
    uint32_t sample_rate_hz;
    uint32_t channels;
    bool is_truncated; /* the input ended or broke before its end; what was there is converted */
};

/* Whatever can be done before there is a job. */
void media_prepare(void);

/* Blocks for as long as it takes. Errors of the input's carry their row of model/failure.h; without
 * one, they are those of `io`, or ERROR_UNAVAILABLE: no threads, or ERROR_INTERNAL: our own. */
MUST_CHECK bool media_convert(const struct media_job *job, const struct media_io *io,
                              struct media_result *out_result, struct error *error);
