#include "media/encoder_pool.h"

#include "base/condition.h"
#include "media/mp3_frame.h"
#include "media/segment.h"
#include "media/segment_plan.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* An encoder gives a frame only once all of its slot is written, which small frames wait for. */
#define LATENCY_FRAMES FRAME_SLOTS_LEFT_OVER_MAX
/* So much can be decoded before the encoders need it. */
#define AHEAD_BLOCKS 16
/* Frames that were read are forgotten so many at a time. */
#define FORGET_FRAMES 256
/* Who reads is woken for so many frames at once: each time costs an encoder some of its core. */
#define READ_FRAMES 32

struct worker {
    struct encoder_pool *pool;
    pthread_t thread;
    struct encoder *encoder; /* owned */
    struct frame_parser parser;
    uint64_t frames_given; /* whole frames' samples, in all segments */
    uint64_t frames_parsed;
    uint64_t frames_stale; /* so many of all are of segments before */
    struct segment *segment;
};

struct encoder_pool {
    /* Set by encoder_pool_start(), then read-only. */
    struct encoder_settings encoder;
    struct pcm_ring *ring; /* borrowed */
    uint64_t frame_samples;
    struct segment_plan plan;
    uint64_t period_frames;
    uint64_t kept_blocks; /* behind the slowest encoder, for a lead-in to begin in */
    uint32_t worker_count;
    uint32_t started_count;
    struct worker *workers; /* owned */

    /* Guarded by lock: all below, and all segments. */
    pthread_mutex_t lock;
    pthread_cond_t changed;  /* for encoders that wait for one another */
    pthread_cond_t readable; /* for who reads */
    struct segment *first;   /* the one that is read; owned, with all later ones */
    struct segment *last;
    uint64_t taken_count; /* segments */
    uint64_t next_read;   /* frame */
    bool has_ended;       /* an encoder got to the end of the sound */
    bool is_stopped;
    bool has_failed;
    struct error error;
    struct encoder_pool_joins joins;
};

static uint64_t blocks_of(uint64_t frames, uint64_t samples_per_frame)
{
    return (frames * samples_per_frame + PCM_BLOCK_SAMPLES - 1) / PCM_BLOCK_SAMPLES;
}

static uint64_t kept_blocks(const struct encoder_pool_settings *settings)
{
    if (settings->encoders == 1)
        return 0;
    return blocks_of(SEGMENT_LEAD_IN_FRAMES + LATENCY_FRAMES,
                     mp3_frame_samples(settings->encoder.sample_rate_hz));
}

static struct segment_plan make_plan(const struct encoder_pool_settings *settings)
{
    uint64_t frames = settings->samples / mp3_frame_samples(settings->encoder.sample_rate_hz);
    return segment_plan_make(frames, settings->encoders);
}

size_t encoder_pool_blocks(const struct encoder_pool_settings *settings)
{
    struct segment_plan plan = make_plan(settings);
    return (size_t)(blocks_of(segment_plan_ahead(&plan),
                              mp3_frame_samples(settings->encoder.sample_rate_hz)) +
                    kept_blocks(settings) + AHEAD_BLOCKS);
}

/* ---- Under the lock ---- */

static void fail(struct encoder_pool *pool, const struct error *error)
{
    if (!pool->has_failed)
        pool->error = *error;
    pool->has_failed = true;
    pool->is_stopped = true;
}

static void tell_of_progress(struct encoder_pool *pool)
{
    const struct segment *first = pool->first;
    pthread_cond_broadcast(&pool->changed);
    if (pool->is_stopped || first->state != SEGMENT_ENCODED ||
        segment_certain_end(first) >= pool->next_read + READ_FRAMES)
        pthread_cond_signal(&pool->readable);
}

static struct segment *take_segment(struct encoder_pool *pool, uint64_t frames_given)
{
    uint64_t begin = 0, from = 0;
    if (pool->last != NULL) {
        from = segment_plan_take_over(pool->last->hand_over, frames_given, pool->period_frames);
        segment_extend(pool->last, from - pool->last->hand_over);
        begin = from - SEGMENT_LEAD_IN_FRAMES;
    }
    uint64_t length = segment_plan_length(&pool->plan, pool->taken_count++, from);
    struct segment *segment = segment_create(begin, from + length);
    segment->block = begin * pool->frame_samples / PCM_BLOCK_SAMPLES;
    if (pool->last != NULL)
        pool->last->later = segment;
    else
        pool->first = segment;
    pool->last = segment;
    return segment;
}

/* Blocks that no encoder goes back to are free for more sound; but while frames wait to be read,
 * only so much that those that wait stay few. */
static void release_blocks(struct encoder_pool *pool)
{
    uint64_t block = blocks_of(pool->next_read + pool->plan.longest, pool->frame_samples);
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        const struct segment *segment = pool->workers[i].segment;
        if (segment != NULL && segment->block < block)
            block = segment->block;
    }
    if (block > pool->kept_blocks)
        pcm_ring_release(pool->ring, block - pool->kept_blocks);
}

/* Past the end of its segment, an encoder joins the next one, and goes on until it can. It waits
 * for one that is behind, and where nobody has taken the next segment, it goes on through it. */
static bool try_to_join(struct encoder_pool *pool, struct segment *segment)
{
    while (!pool->is_stopped && frame_row_end(&segment->row) > segment->hand_over) {
        if (segment->later == NULL) {
            segment_extend(segment, pool->plan.longest);
            return false;
        }
        const struct segment *other = segment_at(segment->later, frame_row_end(&segment->row) - 1);
        if (other->state != SEGMENT_ENCODED || other->block >= segment->block)
            return segment_join(segment);
        pthread_cond_wait(&pool->changed, &pool->lock);
    }
    return false;
}

/* ---- A worker ---- */

/* The frames in `bytes` become the segment's, but for those that its encoder still owed to the
 * segment before. */
static bool add_frames(struct worker *worker, const unsigned char *bytes, size_t size,
                       struct error *error)
{
    struct frame_parts parts;
    bool has_frame;
    frame_parser_add(&worker->parser, bytes, size);
    for (;;) {
        if (!frame_parser_next(&worker->parser, &parts, &has_frame, error))
            return false;
        if (!has_frame)
            return true;
        worker->pool->joins.frames++;
        if (worker->frames_parsed++ < worker->frames_stale)
            continue;
        if (worker->pool->encoder.is_vbr)
            frame_parts_clear_layout(&parts);
        frame_row_add(&worker->segment->row, &parts);
    }
}

/* What the encoder gave after it was given the sound before `sample`. False: this segment needs no
 * more of it. */
static bool advance(struct worker *worker, uint64_t sample, uint64_t input_position,
                    const unsigned char *bytes, size_t size)
{
    struct encoder_pool *pool = worker->pool;
    struct segment *segment = worker->segment;
    struct error error = {0};
    pthread_mutex_lock(&pool->lock);
    segment->block = sample / PCM_BLOCK_SAMPLES;
    segment->input_position = input_position;
    if (!add_frames(worker, bytes, size, &error))
        fail(pool, &error);
    release_blocks(pool);
    tell_of_progress(pool);
    if (try_to_join(pool, segment))
        worker->segment = NULL;
    bool goes_on = !pool->is_stopped && worker->segment != NULL;
    tell_of_progress(pool);
    pthread_mutex_unlock(&pool->lock);
    return goes_on;
}

/* The sound has ended, or nobody wants it. */
static void complete(struct worker *worker, uint64_t samples)
{
    struct encoder_pool *pool = worker->pool;
    unsigned char bytes[ENCODER_OUTPUT_SIZE_MAX];
    size_t size;
    struct error error = {0};
    pthread_mutex_lock(&pool->lock);
    bool is_stopped = pool->is_stopped;
    pool->has_ended = true;
    pthread_mutex_unlock(&pool->lock);
    bool is_flushed = !is_stopped && encoder_finish(worker->encoder, bytes, &size, &error);

    pthread_mutex_lock(&pool->lock);
    if (!is_stopped && (!is_flushed || !add_frames(worker, bytes, size, &error)))
        fail(pool, &error);
    worker->segment->samples = samples;
    worker->segment->state = SEGMENT_COMPLETE;
    worker->segment = NULL;
    tell_of_progress(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void encode(struct worker *worker)
{
    struct encoder_pool *pool = worker->pool;
    uint64_t sample = worker->segment->row.begin * pool->frame_samples;
    bool goes_on = true;
    while (goes_on) {
        const struct pcm_block *block = pcm_ring_get(pool->ring, sample / PCM_BLOCK_SAMPLES);
        size_t offset = sample % PCM_BLOCK_SAMPLES;
        if (block == NULL || block->count <= offset) {
            complete(worker, sample);
            return;
        }
        unsigned char bytes[ENCODER_OUTPUT_SIZE_MAX];
        size_t size, count = block->count - offset;
        struct error error = {0};
        if (!encoder_add(worker->encoder, block->samples[0] + offset, block->samples[1] + offset,
                         count, bytes, &size, &error)) {
            pthread_mutex_lock(&pool->lock);
            fail(pool, &error);
            tell_of_progress(pool);
            pthread_mutex_unlock(&pool->lock);
            return;
        }
        sample += count;
        worker->frames_given += count / pool->frame_samples;
        goes_on = advance(worker, sample, block->input_position, bytes, size);
    }
}

static bool begin_segment(struct worker *worker)
{
    struct encoder_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    bool is_wanted = !pool->is_stopped && !pool->has_ended;
    if (is_wanted) {
        worker->segment = take_segment(pool, worker->frames_given);
        worker->frames_stale = worker->frames_given;
        release_blocks(pool); /* the one left may have been what held them */
    }
    pthread_mutex_unlock(&pool->lock);
    return is_wanted;
}

static void *work(void *context)
{
    struct worker *worker = context;
    while (begin_segment(worker))
        encode(worker);
    return NULL;
}

/* ---- The pool ---- */

static bool create_workers(struct encoder_pool *pool, struct error *error)
{
    pool->workers = calloc(pool->worker_count, sizeof *pool->workers);
    if (pool->workers == NULL)
        abort();
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        pool->workers[i].pool = pool;
        if (!encoder_create(&pool->encoder, &pool->workers[i].encoder, error))
            return false;
    }
    return true;
}

/* Where not as many threads can be had, fewer make the same frames. */
static bool start_workers(struct encoder_pool *pool, struct error *error)
{
    int failure = 0;
    for (; pool->started_count < pool->worker_count; pool->started_count++) {
        struct worker *worker = &pool->workers[pool->started_count];
        failure = pthread_create(&worker->thread, NULL, work, worker);
        if (failure != 0)
            break;
    }
    return pool->started_count > 0 ||
           error_set_errno(error, failure, "start a thread to encode in");
}

bool encoder_pool_start(const struct encoder_pool_settings *settings, struct pcm_ring *ring,
                        struct encoder_pool **out_pool, struct error *error)
{
    assert(settings->encoders >= 1);
    struct encoder_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        abort();
    pool->encoder = settings->encoder;
    pool->ring = ring;
    pool->frame_samples = mp3_frame_samples(settings->encoder.sample_rate_hz);
    pool->plan = make_plan(settings);
    pool->period_frames = segment_plan_period_frames(settings->encoder.sample_rate_hz);
    pool->kept_blocks = kept_blocks(settings);
    pool->worker_count = settings->encoders;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pthread_cond_init(&pool->readable, NULL);
    if (!create_workers(pool, error) || !start_workers(pool, error)) {
        encoder_pool_destroy(pool);
        return false;
    }
    *out_pool = pool;
    return true;
}

void encoder_pool_destroy(struct encoder_pool *pool)
{
    if (pool == NULL)
        return;
    condition_raise(&pool->changed, &pool->lock, &pool->is_stopped);
    pcm_ring_stop(pool->ring);
    for (uint32_t i = 0; i < pool->started_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (uint32_t i = 0; i < pool->worker_count; i++)
        encoder_destroy(pool->workers[i].encoder);
    for (struct segment *segment = pool->first; segment != NULL;) {
        struct segment *later = segment->later;
        segment_destroy(segment);
        segment = later;
    }
    pthread_cond_destroy(&pool->readable);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

static void note_join(struct encoder_pool_joins *joins, const struct segment *segment)
{
    joins->count++;
    joins->passed_over += segment->successor != segment->later ? 1 : 0;
    joins->frame = segment->cut;
    joins->began_at = segment->successor_begin;
    joins->planned = segment->hand_over;
}

/* Whose turn it is; nobody needs the segments before. */
static void go_to_next_read(struct encoder_pool *pool)
{
    if (pool->first == NULL)
        return;
    const struct segment *to = segment_at(pool->first, pool->next_read);
    const struct segment *next = pool->first;
    while (pool->first != to) {
        struct segment *done = pool->first;
        if (done == next) { /* else it was passed over */
            note_join(&pool->joins, done);
            next = done->successor;
        }
        pool->first = done->later;
        segment_destroy(done);
    }
}

static void forget(struct encoder_pool *pool)
{
    struct segment *segment = pool->first;
    uint64_t begin = pool->next_read < segment->compared ? pool->next_read : segment->compared;
    if (begin >= segment->row.begin + FORGET_FRAMES)
        frame_row_forget(&segment->row, begin);
}

static bool is_at_end(const struct encoder_pool *pool)
{
    return pool->first != NULL && pool->first->state == SEGMENT_COMPLETE &&
           pool->next_read == frame_row_end(&pool->first->row);
}

static bool is_frame_ready(const struct encoder_pool *pool)
{
    return pool->first != NULL && pool->next_read < segment_certain_end(pool->first);
}

bool encoder_pool_read(struct encoder_pool *pool, struct frame_parts *out_parts,
                       bool *out_has_frame, struct error *error)
{
    pthread_mutex_lock(&pool->lock);
    go_to_next_read(pool);
    while (!pool->is_stopped && !is_frame_ready(pool) && !is_at_end(pool)) {
        pthread_cond_wait(&pool->readable, &pool->lock);
        go_to_next_read(pool);
    }
    bool is_stopped = pool->is_stopped;
    *out_has_frame = !is_stopped && is_frame_ready(pool);
    if (*out_has_frame) {
        frame_row_get(&pool->first->row, pool->next_read++, out_parts);
        forget(pool);
        release_blocks(pool);
    } else if (is_stopped && error != NULL) {
        *error = pool->error;
    }
    pthread_mutex_unlock(&pool->lock);
    return !is_stopped;
}

uint64_t encoder_pool_input_position(struct encoder_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t position = pool->first == NULL ? 0 : pool->first->input_position;
    pthread_mutex_unlock(&pool->lock);
    return position;
}

uint64_t encoder_pool_samples(struct encoder_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t samples = is_at_end(pool) ? pool->first->samples : 0;
    pthread_mutex_unlock(&pool->lock);
    return samples;
}

struct encoder_pool_joins encoder_pool_joins(struct encoder_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct encoder_pool_joins joins = pool->joins;
    pthread_mutex_unlock(&pool->lock);
    return joins;
}

uint32_t encoder_pool_delay_samples(const struct encoder_pool *pool)
{
    return encoder_delay_samples(pool->workers[0].encoder);
}

uint32_t encoder_pool_lowpass_hz(const struct encoder_pool *pool)
{
    return encoder_lowpass_hz(pool->workers[0].encoder);
}
