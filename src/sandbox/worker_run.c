#include "sandbox/worker_run.h"

#include "base/clock.h"
#include "base/file.h"
#include "model/failure.h"
#include "sandbox/protocol.h"
#include "sandbox/worker_guard.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct worker_run {
    /* Of one conversion: set by worker_run(). */
    int socket_fd; /* borrowed */
    const struct worker_job *job;
    const struct worker_callbacks *callbacks;
    struct worker_guard guard;
    struct worker_progress progress;
    struct worker_result *result;
    struct error *error;

    bool is_over;
    enum worker_end end;
    bool is_gone;

    int64_t deadline_ms; /* of the boot clock; INT64_MAX: none */
    int64_t tick_due_ms;
    int64_t idle_ms; /* waited for the worker since its last output */

    unsigned char in[PROTOCOL_FRAME_SIZE_MAX];
    size_t in_size;
    unsigned char out[PROTOCOL_FRAME_SIZE_MAX];
    size_t out_size;
    size_t out_sent;
};

struct worker_run *worker_run_create(void)
{
    struct worker_run *run = malloc(sizeof *run);
    if (run == NULL)
        abort();
    return run;
}

void worker_run_destroy(struct worker_run *run)
{
    free(run);
}

/* The error must be set already. */
static void end_run(struct worker_run *run, enum worker_end end)
{
    run->is_over = true;
    run->end = end;
}

/* As a broken rule: what the worker did stands in the error. */
static void end_as_broken(struct worker_run *run)
{
    run->error->failure = &FAILURE_INTERNAL;
    run->error->kind = ERROR_INTERNAL;
    error_prefix(run->error, "the worker");
    end_run(run, WORKER_BROKE);
}

static void end_as_timed_out(struct worker_run *run, const char *what, int64_t ms)
{
    error_set_failure(run->error, ERROR_INTERNAL, &FAILURE_TIMED_OUT, "%s after %" PRId64 " ms",
                      what, ms);
    end_run(run, WORKER_BROKE);
}

static void answer_read(struct worker_run *run, const unsigned char *payload, size_t size)
{
    struct protocol_read read;
    if (!protocol_parse_read(payload, size, &read, run->error) ||
        !worker_guard_read(&run->guard, &read, run->error)) {
        end_as_broken(run);
        return;
    }
    if (run->out_size > 0) {
        error_set(run->error, ERROR_BAD_INPUT, "asked again before it had its answer");
        end_as_broken(run);
        return;
    }
    size_t got = 0;
    if (!run->callbacks->read_at(run->callbacks->context, read.offset,
                                 run->out + PROTOCOL_HEADER_SIZE, read.size, &got, run->error)) {
        end_run(run, WORKER_CALLBACK);
        return;
    }
    assert(got <= read.size);
    protocol_format_header(PROTOCOL_DATA, (uint32_t)got, run->out);
    run->out_size = PROTOCOL_HEADER_SIZE + got;
    run->out_sent = 0;
}

static void take_write(struct worker_run *run, const unsigned char *payload, size_t size)
{
    struct protocol_write write;
    if (!protocol_parse_write(payload, size, &write, run->error) ||
        !worker_guard_write(&run->guard, &write, run->error)) {
        end_as_broken(run);
        return;
    }
    run->idle_ms = 0;
    if (!run->callbacks->write_at(run->callbacks->context, write.offset, write.bytes, write.size,
                                  run->error))
        end_run(run, WORKER_CALLBACK);
}

static double fraction_of(const struct worker_run *run, const struct protocol_progress *progress)
{
    if (progress->duration_us != 0)
        return (double)progress->position_us / (double)progress->duration_us;
    if (run->job->input_size != WORKER_SIZE_UNKNOWN && run->job->input_size != 0)
        return (double)progress->input_position / (double)run->job->input_size;
    return 0;
}

static void take_progress(struct worker_run *run, const unsigned char *payload, size_t size)
{
    struct protocol_progress progress;
    if (!protocol_parse_progress(payload, size, &progress, run->error) ||
        !worker_guard_progress(&run->guard, &progress, run->error)) {
        end_as_broken(run);
        return;
    }
    double fraction = fraction_of(run, &progress);
    if (fraction > 1)
        fraction = 1;
    if (fraction > run->progress.fraction)
        run->progress.fraction = fraction;
    run->progress.position_seconds = (double)progress.position_us / 1e6;
    run->progress.duration_seconds = (double)progress.duration_us / 1e6;
}

static void take_result(struct worker_run *run, const unsigned char *payload, size_t size)
{
    struct protocol_result result;
    if (!protocol_parse_result(payload, size, &result, run->error) ||
        !worker_guard_result(&run->guard, &result, run->error)) {
        end_as_broken(run);
        return;
    }
    *run->result = (struct worker_result){
        .size_bytes = result.size_bytes,
        .duration_seconds = (double)result.samples / result.sample_rate_hz,
        .samples = result.samples,
        .frames = result.frames,
        .bitrate_kbps = result.bitrate_kbps,
        .sample_rate_hz = result.sample_rate_hz,
        .channels = result.channels,
        .is_truncated = result.is_truncated != 0,
    };
    end_run(run, WORKER_DONE);
}

static void take_failure(struct worker_run *run, const unsigned char *payload, size_t size)
{
    struct protocol_failure failure;
    if (!protocol_parse_failure(payload, size, &failure, run->error)) {
        end_as_broken(run);
        return;
    }
    bool is_own = failure.failure == &FAILURE_INTERNAL;
    error_set_failure(run->error, is_own ? ERROR_INTERNAL : ERROR_BAD_INPUT, failure.failure, "%s",
                      failure.text);
    end_run(run, is_own ? WORKER_BROKE : WORKER_REFUSED);
}

static void take_frame(struct worker_run *run, enum protocol_type type,
                       const unsigned char *payload, size_t size)
{
    switch (type) {
    case PROTOCOL_READ:
        answer_read(run, payload, size);
        break;
    case PROTOCOL_WRITE:
        take_write(run, payload, size);
        break;
    case PROTOCOL_PROGRESS:
        take_progress(run, payload, size);
        break;
    case PROTOCOL_RESULT:
        take_result(run, payload, size);
        break;
    case PROTOCOL_FAILURE:
        take_failure(run, payload, size);
        break;
    case PROTOCOL_JOB:
    case PROTOCOL_DATA:
        error_set(run->error, ERROR_BAD_INPUT, "sent a frame of ours");
        end_as_broken(run);
        break;
    }
}

/* As many whole frames as have come in. */
static void take_frames(struct worker_run *run)
{
    size_t at = 0;
    while (!run->is_over && run->in_size - at >= PROTOCOL_HEADER_SIZE) {
        struct protocol_header header;
        if (!protocol_parse_header(run->in + at, &header, run->error)) {
            end_as_broken(run);
            return;
        }
        if (run->in_size - at < PROTOCOL_HEADER_SIZE + header.size)
            break;
        take_frame(run, header.type, run->in + at + PROTOCOL_HEADER_SIZE, header.size);
        at += PROTOCOL_HEADER_SIZE + header.size;
    }
    memmove(run->in, run->in + at, run->in_size - at);
    run->in_size -= at;
}

static void receive(struct worker_run *run)
{
    ssize_t size =
        recv(run->socket_fd, run->in + run->in_size, sizeof run->in - run->in_size, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        error_set(run->error, ERROR_INTERNAL, "ended without a word");
        end_as_broken(run);
        run->is_gone = true;
        return;
    }
    run->in_size += (size_t)size;
    take_frames(run);
}

static void send_answer(struct worker_run *run)
{
    ssize_t size = send(run->socket_fd, run->out + run->out_sent, run->out_size - run->out_sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A peer that is gone is seen by receive(), with what it said before. */
    if (size > 0)
        run->out_sent += (size_t)size;
    if (run->out_sent == run->out_size)
        run->out_size = 0;
}

static void tick(struct worker_run *run)
{
    run->tick_due_ms = clock_boot_ms() + WORKER_TICK_MS;
    if (!run->callbacks->tick(run->callbacks->context, &run->progress, run->error))
        end_run(run, WORKER_STOPPED);
}

/* Waits for something to happen; only this waiting, never a callback, counts as the worker's. One
 * wait counts at most as long as it was meant to be, whatever a suspended machine's clock says. */
static void wait_and_serve(struct worker_run *run)
{
    int64_t now_ms = clock_boot_ms();
    int64_t timeout_ms = run->tick_due_ms - now_ms;
    if (timeout_ms < 0)
        timeout_ms = 0;
    struct pollfd fds[2] = {
        {.fd = run->socket_fd, .events = (short)(POLLIN | (run->out_size > 0 ? POLLOUT : 0))},
        {.fd = run->job->cancel_fd, .events = POLLIN},
    };
    poll(fds, ARRAY_COUNT(fds), (int)timeout_ms);
    int64_t waited_ms = clock_boot_ms() - now_ms;
    run->idle_ms += waited_ms < timeout_ms ? waited_ms : timeout_ms;

    if (fds[1].revents != 0) {
        error_set(run->error, ERROR_CONFLICT, "cancelled");
        end_run(run, WORKER_STOPPED);
        return;
    }
    if ((fds[0].revents & POLLOUT) != 0 && run->out_size > 0)
        send_answer(run);
    if ((fds[0].revents & ~POLLOUT) != 0)
        receive(run);
}

static void look_at_clock(struct worker_run *run)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms >= run->deadline_ms)
        end_as_timed_out(run, "the deadline passed", run->job->deadline_ms);
    else if (run->job->stall_max_ms != 0 && run->idle_ms >= run->job->stall_max_ms)
        end_as_timed_out(run, "the worker stalled", run->idle_ms);
    else if (now_ms >= run->tick_due_ms)
        tick(run);
}

/* The job is the first thing in the answer's buffer. */
static bool put_job(struct worker_run *run)
{
    struct buffer payload = BUFFER_WITH_MAX(PROTOCOL_JOB_SIZE_MAX);
    const struct protocol_job job = {
        .options = *run->job->options,
        .input_size = run->guard.input_size,
        .output_size_max = run->guard.output_size_max,
        .duration_max_ms = run->guard.duration_max_ms,
        .threads = run->job->threads < 1                      ? 1
                   : run->job->threads > PROTOCOL_THREADS_MAX ? PROTOCOL_THREADS_MAX
                                                              : run->job->threads,
    };
    bool is_put = protocol_format_job(&job, &payload, run->error);
    if (is_put) {
        protocol_format_header(PROTOCOL_JOB, (uint32_t)payload.size, run->out);
        memcpy(run->out + PROTOCOL_HEADER_SIZE, payload.bytes, payload.size);
        run->out_size = PROTOCOL_HEADER_SIZE + payload.size;
    }
    buffer_finish(&payload);
    return is_put;
}

static void begin(struct worker_run *run, int socket_fd, const struct worker_job *job,
                  const struct worker_callbacks *callbacks, struct worker_result *out_result,
                  struct error *error)
{
    int64_t now_ms = clock_boot_ms();
    uint64_t output_size_max = job->output_size_max;
    if (output_size_max == 0 || output_size_max > UINT32_MAX)
        output_size_max = UINT32_MAX;
    /* Not a compound literal: that would clear half a megabyte of buffers. */
    run->socket_fd = socket_fd;
    run->job = job;
    run->callbacks = callbacks;
    run->guard = (struct worker_guard){
        .input_size = job->input_size,
        .output_size_max = output_size_max,
        .duration_max_ms = job->duration_max_ms > 0 ? (uint64_t)job->duration_max_ms : 0,
    };
    run->progress = (struct worker_progress){0};
    run->result = out_result;
    run->error = error;
    run->is_over = false;
    run->end = WORKER_BROKE;
    run->is_gone = false;
    run->deadline_ms = job->deadline_ms > 0 ? now_ms + job->deadline_ms : INT64_MAX;
    run->tick_due_ms = now_ms;
    run->idle_ms = 0;
    run->in_size = 0;
    run->out_size = 0;
    run->out_sent = 0;
}

enum worker_end worker_run(struct worker_run *run, int socket_fd, const struct worker_job *job,
                           const struct worker_callbacks *callbacks,
                           struct worker_result *out_result, bool *out_is_gone, struct error *error)
{
    begin(run, socket_fd, job, callbacks, out_result, error);
    if (!put_job(run))
        return WORKER_NO_WORKER;
    while (!run->is_over) {
        look_at_clock(run);
        if (!run->is_over)
            wait_and_serve(run);
    }
    *out_is_gone = run->is_gone;
    return run->end;
}
