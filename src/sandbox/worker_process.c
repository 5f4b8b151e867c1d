#include "sandbox/worker_process.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "model/failure.h"
#include "sandbox/protocol.h"
#include "sandbox/worker_guard.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKER_NAME "tapedeck-worker"
#define WORKER_FD 3
/* How long a worker may take to exit once it has said its last, or closed its socket. */
#define EXIT_MS 2000
/* What the dynamic linker exits with where a library is missing. */
#define EXIT_NO_LIBRARY 127
/* Decoding is so much less work than encoding, for how far a conversion is. */
#define PREPARATION_WEIGHT 0.25
/* How often over a worker may decode what it is allowed to convert, and what lies before it. */
#define PREPARATION_FACTOR 8

struct worker_process {
    char path[FILE_PATH_SIZE];
    pid_t pid; /* 0: none */
    int fd;    /* our end of its socket; -1: none */
};

/* One conversion, followed from outside. */
struct run {
    struct worker_process *process;
    const struct worker_job *job;
    const struct worker_callbacks *callbacks;
    struct worker_guard guard;
    double fraction;
    int64_t started_ms;
    int64_t ticked_ms;
    int64_t output_ms; /* of the last output; moved on by the time that our callbacks took */

    bool was_heard;        /* it has sent something */
    unsigned char *frames; /* owned; what has come and is not a whole frame yet */
    size_t frames_size;
    unsigned char *answer; /* owned; a DATA frame that goes out */
    size_t answer_size, answer_sent;

    bool has_ended;
    enum worker_end end;
    struct worker_result *out_result;
};

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

bool worker_process_open(struct worker_process **out_process, struct error *error)
{
    struct worker_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        abort();
    process->fd = -1;
    CLEANUP(worker_process_closep) struct worker_process *owned = process;

    char folder[FILE_PATH_SIZE];
    if (!process_program_folder(folder, sizeof folder, error) ||
        !file_path(process->path, error, "%s/" WORKER_NAME, folder))
        return false;
    if (!is_program(process->path) &&
        !file_path(process->path, error, "%s/" WORKER_NAME, TAPEDECK_LIBEXECDIR))
        return false;
    if (!is_program(process->path))
        return error_set(error, ERROR_NOT_FOUND,
                         "there is no " WORKER_NAME " in %.80s nor in " TAPEDECK_LIBEXECDIR,
                         folder);
    *out_process = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static void end_worker(struct worker_process *process)
{
    file_close(process->fd);
    process->fd = -1;
    if (process->pid != 0)
        process_kill(process->pid);
    process->pid = 0;
}

void worker_process_close(struct worker_process *process)
{
    if (process == NULL)
        return;
    end_worker(process);
    free(process);
}

void worker_process_closep(struct worker_process **process)
{
    worker_process_close(*process);
    *process = NULL;
}

/* A worker that waited can have been killed meanwhile, by an operator or for want of memory. */
static void forget_dead_worker(struct worker_process *process)
{
    int status;
    if (process->pid == 0 || !process_wait(process->pid, 0, &status))
        return;
    process->pid = 0;
    end_worker(process);
}

bool worker_process_prepare(struct worker_process *process, struct error *error)
{
    forget_dead_worker(process);
    if (process->pid != 0)
        return true;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_set_errno(error, errno, "make a socket for the worker");
    const char *const arguments[] = {WORKER_NAME, NULL};
    /* Nothing of ours is its business: neither secrets nor what would change FFmpeg's ways. */
    const char *const environment[] = {"LC_ALL=C", NULL};
    const struct process_fd fds[] = {
        {.from = STDERR_FILENO, .to = STDERR_FILENO},
        {.from = ends[1], .to = WORKER_FD},
    };
    const struct process_options options = {
        .path = process->path,
        .arguments = arguments,
        .environment = environment,
        .fds = fds,
        .fd_count = ARRAY_COUNT(fds),
        .death_signal = SIGKILL,
        .own_session = true,
    };
    bool is_started = process_start(&options, &process->pid, error);
    file_close(ends[1]);
    if (!is_started) {
        file_close(ends[0]);
        return error_prefix(error, "start the worker");
    }
    process->fd = ends[0];
    return true;
}

/* ---- How a run ends ---- */

static bool end_run(struct run *run, enum worker_end end)
{
    run->has_ended = true;
    run->end = end;
    return false;
}

/* The worker broke the rules; *error says which. */
static bool end_as_broken(struct run *run, const struct failure *failure, struct error *error)
{
    error->kind = ERROR_INTERNAL;
    error->failure = failure;
    error_prefix(error, "worker");
    return end_run(run, WORKER_BROKE);
}

static bool end_as_vanished(struct run *run, struct error *error)
{
    int status = 0;
    char text[PROCESS_STATUS_SIZE] = "closed its socket and lives on";
    if (process_wait(run->process->pid, EXIT_MS, &status)) {
        run->process->pid = 0;
        process_describe_status(status, text);
        /* No input's fault: a library was replaced under us, and would be for every video. */
        if (!run->was_heard && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_LIBRARY) {
            error_set(error, ERROR_UNAVAILABLE, "%s cannot start; run it to see why",
                      run->process->path);
            return end_run(run, WORKER_NO_WORKER);
        }
    }
    error_set(error, ERROR_INTERNAL, "ended before its result: %s", text);
    return end_as_broken(run, &FAILURE_INTERNAL, error);
}

/* ---- Our callbacks, whose time is not the worker's ---- */

/* Sound that is decoded before the MP3 begins is output of a kind; the guard says when. */
static void note_preparation(struct run *run)
{
    int64_t now_ms = clock_boot_ms();
    if (worker_guard_is_preparing(&run->guard, now_ms - run->output_ms))
        run->output_ms = now_ms;
}

static double guess_fraction(const struct run *run)
{
    const struct protocol_progress *progress = &run->guard.progress;
    double done =
        (double)progress->position_us + PREPARATION_WEIGHT * (double)progress->prepared_us;
    double all =
        (double)progress->duration_us + PREPARATION_WEIGHT * (double)progress->preparation_us;
    if (progress->duration_us != 0)
        return done / all;
    if (run->job->input_size == WORKER_SIZE_UNKNOWN || run->job->input_size == 0)
        return 0;
    double read = (double)progress->input_position / (double)run->job->input_size;
    return progress->position_us == 0 && progress->prepared_us != 0 ? PREPARATION_WEIGHT * read
                                                                    : read;
}

static void note_progress(struct run *run)
{
    double fraction = guess_fraction(run);
    if (fraction > run->fraction)
        run->fraction = fraction < 1 ? fraction : 1;
}

static bool call_tick(struct run *run, struct error *error)
{
    const struct worker_progress progress = {
        .fraction = run->fraction,
        .position_seconds = (double)run->guard.progress.position_us / 1e6,
        .duration_seconds = (double)run->guard.progress.duration_us / 1e6,
    };
    int64_t start_ms = clock_boot_ms();
    bool goes_on = run->callbacks->tick(run->callbacks->context, &progress, error);
    run->ticked_ms = clock_boot_ms();
    run->output_ms += run->ticked_ms - start_ms;
    return goes_on || end_run(run, WORKER_STOPPED);
}

static bool answer_read(struct run *run, const struct protocol_read *read, struct error *error)
{
    int64_t start_ms = clock_boot_ms();
    size_t size = 0;
    if (!run->callbacks->read_at(run->callbacks->context, read->offset,
                                 run->answer + PROTOCOL_HEADER_SIZE, read->size, &size, error))
        return end_run(run, WORKER_CALLBACK);
    assert(size <= read->size);
    run->output_ms += clock_boot_ms() - start_ms;
    protocol_format_header(PROTOCOL_DATA, (uint32_t)size, run->answer);
    run->answer_size = PROTOCOL_HEADER_SIZE + size;
    run->answer_sent = 0;
    return true;
}

static bool take_write(struct run *run, const struct protocol_write *write, struct error *error)
{
    if (!run->callbacks->write_at(run->callbacks->context, write->offset, write->bytes, write->size,
                                  error))
        return end_run(run, WORKER_CALLBACK);
    run->output_ms = clock_boot_ms();
    return true;
}

/* ---- Frames ---- */

static bool take_result(struct run *run, const struct protocol_result *result)
{
    *run->out_result = (struct worker_result){
        .size_bytes = result->size_bytes,
        .duration_seconds = (double)result->samples / result->sample_rate_hz,
        .input_duration_seconds = (double)result->input_duration_us / 1e6,
        .samples = result->samples,
        .frames = result->frames,
        .bitrate_kbps = result->bitrate_kbps,
        .sample_rate_hz = result->sample_rate_hz,
        .channels = result->channels,
        .is_truncated = result->is_truncated != 0,
    };
    return end_run(run, WORKER_DONE);
}

static bool take_failure(struct run *run, const struct protocol_failure *failure,
                         struct error *error)
{
    if (failure->failure == &FAILURE_INTERNAL) {
        error_set(error, ERROR_INTERNAL, "%s", failure->text);
        return end_as_broken(run, &FAILURE_INTERNAL, error);
    }
    error_set_failure(error, ERROR_BAD_INPUT, failure->failure, "%s", failure->text);
    return end_run(run, WORKER_REFUSED);
}

/* False where the frame broke the rules (*error), or ended the run (run->has_ended). */
static bool take_frame(struct run *run, enum protocol_type type, const unsigned char *payload,
                       size_t size, struct error *error)
{
    union {
        struct protocol_read read;
        struct protocol_write write;
        struct protocol_progress progress;
        struct protocol_result result;
        struct protocol_failure failure;
    } frame;
    switch (type) {
    case PROTOCOL_READ:
        if (run->answer_size != 0)
            return error_set(error, ERROR_BAD_INPUT, "asked again before it had its answer");
        return protocol_parse_read(payload, size, &frame.read, error) &&
               worker_guard_read(&run->guard, &frame.read, error) &&
               answer_read(run, &frame.read, error);
    case PROTOCOL_WRITE:
        return protocol_parse_write(payload, size, &frame.write, error) &&
               worker_guard_write(&run->guard, &frame.write, error) &&
               take_write(run, &frame.write, error);
    case PROTOCOL_PROGRESS:
        if (!protocol_parse_progress(payload, size, &frame.progress, error) ||
            !worker_guard_progress(&run->guard, &frame.progress, error))
            return false;
        note_preparation(run);
        note_progress(run);
        return true;
    case PROTOCOL_RESULT:
        return protocol_parse_result(payload, size, &frame.result, error) &&
               worker_guard_result(&run->guard, &frame.result, error) &&
               take_result(run, &frame.result);
    case PROTOCOL_FAILURE:
        return protocol_parse_failure(payload, size, &frame.failure, error) &&
               take_failure(run, &frame.failure, error);
    case PROTOCOL_JOB:
    case PROTOCOL_DATA:
        break;
    }
    return error_set(error, ERROR_BAD_INPUT, "sent a frame that only we send");
}

/* Takes the frame at the front of what has come; *out_size is 0 where it is not whole yet. */
static bool take_front(struct run *run, const unsigned char *bytes, size_t size, size_t *out_size,
                       struct error *error)
{
    struct protocol_header header;
    *out_size = 0;
    if (size < PROTOCOL_HEADER_SIZE)
        return true;
    if (!protocol_parse_header(bytes, &header, error))
        return false;
    size_t frame_size = PROTOCOL_HEADER_SIZE + header.size;
    if (size < frame_size)
        return true;
    *out_size = frame_size;
    return take_frame(run, header.type, bytes + PROTOCOL_HEADER_SIZE, header.size, error);
}

static bool receive(struct run *run, struct error *error)
{
    ssize_t got = recv(run->process->fd, run->frames + run->frames_size,
                       PROTOCOL_FRAME_SIZE_MAX - run->frames_size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0)
        return end_as_vanished(run, error);
    run->frames_size += (size_t)got;
    run->was_heard = true;

    size_t at = 0, size;
    do {
        if (!take_front(run, run->frames + at, run->frames_size - at, &size, error))
            return run->has_ended ? false : end_as_broken(run, &FAILURE_INTERNAL, error);
        at += size;
    } while (size > 0);
    run->frames_size -= at;
    memmove(run->frames, run->frames + at, run->frames_size);
    return true;
}

static bool send_part(struct run *run, struct error *error)
{
    ssize_t sent = send(run->process->fd, run->answer + run->answer_sent,
                        run->answer_size - run->answer_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (sent < 0)
        return end_as_vanished(run, error);
    run->answer_sent += (size_t)sent;
    if (run->answer_sent == run->answer_size)
        run->answer_size = 0;
    return true;
}

/* ---- The loop ---- */

static bool check_time(struct run *run, struct error *error)
{
    const struct worker_job *job = run->job;
    int64_t now_ms = clock_boot_ms();
    if (job->deadline_ms != 0 && now_ms - run->started_ms > job->deadline_ms) {
        error_set(error, ERROR_INTERNAL, "not done after %lld s",
                  (long long)(job->deadline_ms / 1000));
        return end_as_broken(run, &FAILURE_TIMED_OUT, error);
    }
    if (job->stall_max_ms != 0 && now_ms - run->output_ms > job->stall_max_ms) {
        error_set(error, ERROR_INTERNAL, "no output for %lld s",
                  (long long)(job->stall_max_ms / 1000));
        return end_as_broken(run, &FAILURE_TIMED_OUT, error);
    }
    return now_ms - run->ticked_ms < WORKER_TICK_MS || call_tick(run, error);
}

/* Where the wait took longer than it was meant to, it was we who stood still (Ctrl-Z, a suspended
 * machine, a frozen container), and perhaps the worker too: no stall. */
static void forgive_pause(struct run *run, int64_t end_ms)
{
    int64_t late_ms = clock_boot_ms() - end_ms;
    if (late_ms > 0)
        run->output_ms += late_ms;
}

/* One wait, and what came of it. While an answer goes out frames are taken as well: the worker asks
 * ahead, and may write before it takes the answer. */
static bool step(struct run *run, struct error *error)
{
    bool is_answering = run->answer_size != 0;
    struct pollfd polls[] = {
        {.fd = run->process->fd, .events = (short)(is_answering ? POLLIN | POLLOUT : POLLIN)},
        {.fd = run->job->cancel_fd, .events = POLLIN},
    };
    int64_t start_ms = clock_boot_ms();
    int64_t end_ms = run->ticked_ms + WORKER_TICK_MS;
    if (end_ms < start_ms)
        end_ms = start_ms;
    int ready = poll(polls, ARRAY_COUNT(polls), (int)(end_ms - start_ms));
    forgive_pause(run, end_ms);
    if (ready < 0 && errno != EINTR) {
        error_set_errno(error, errno, "wait for the worker");
        return end_run(run, WORKER_NO_WORKER);
    }
    if (ready > 0 && polls[1].revents != 0) {
        error_set(error, ERROR_UNAVAILABLE, "told to stop");
        return end_run(run, WORKER_STOPPED);
    }
    int events = ready > 0 ? polls[0].revents : 0;
    if ((events & ~POLLOUT) != 0 && !receive(run, error))
        return false;
    if ((events & POLLOUT) != 0 && !send_part(run, error))
        return false;
    return check_time(run, error);
}

static bool send_job(struct run *run, struct error *error)
{
    const struct protocol_job job = {
        .options = *run->job->options,
        .input_size = run->guard.input_size,
        .output_size_max = run->guard.output_size_max,
        .duration_max_ms = run->guard.duration_max_ms,
        .threads = run->job->threads,
    };
    struct buffer payload = BUFFER_WITH_MAX(PROTOCOL_JOB_SIZE_MAX);
    unsigned char header[PROTOCOL_HEADER_SIZE];
    bool is_sent = false;
    if (protocol_format_job(&job, &payload, error)) {
        protocol_format_header(PROTOCOL_JOB, (uint32_t)payload.size, header);
        /* It fits the socket's empty buffer, so this does not block. */
        is_sent =
            send(run->process->fd, header, sizeof header, MSG_NOSIGNAL) == (ssize_t)sizeof header &&
            send(run->process->fd, payload.bytes, payload.size, MSG_NOSIGNAL) ==
                (ssize_t)payload.size;
        if (!is_sent)
            error_set_errno(error, errno, "hand the worker its job");
    }
    buffer_finish(&payload);
    return is_sent;
}

/* Sound is decoded ahead of its conversion only on the way to where that starts, and to measure it.
 * Where nothing else says how long it may be, its MP3 does, of which a byte is a millisecond at
 * most: MPEG has nothing below 8 kb/s. */
static uint64_t prepared_us_max(const struct worker_job *job, const struct worker_guard *guard)
{
    const struct conversion_options *options = job->options;
    if (options->start_us == 0 && options->loudness_ulufs == 0)
        return 0;
    uint64_t sound_max_ms =
        guard->duration_max_ms != 0 ? guard->duration_max_ms : guard->output_size_max;
    return PREPARATION_FACTOR * ((uint64_t)options->start_us + sound_max_ms * 1000);
}

static void init_run(struct run *run)
{
    const struct worker_job *job = run->job;
    run->guard = (struct worker_guard){
        .input_size = job->input_size,
        .output_size_max = job->output_size_max != 0 && job->output_size_max < UINT32_MAX
                               ? job->output_size_max
                               : UINT32_MAX,
        .duration_max_ms = job->duration_max_ms > 0 ? (uint64_t)job->duration_max_ms : 0,
    };
    run->guard.prepared_us_max = prepared_us_max(job, &run->guard);
    run->started_ms = clock_boot_ms();
    run->output_ms = run->started_ms;
    run->ticked_ms = run->started_ms;
    run->frames = malloc(PROTOCOL_FRAME_SIZE_MAX);
    run->answer = malloc(PROTOCOL_FRAME_SIZE_MAX);
    if (run->frames == NULL || run->answer == NULL)
        abort();
}

enum worker_end worker_process_run(struct worker_process *process, const struct worker_job *job,
                                   const struct worker_callbacks *callbacks,
                                   struct worker_result *out_result, struct error *error)
{
    _Static_assert(WORKER_SIZE_UNKNOWN == PROTOCOL_SIZE_UNKNOWN, "one way to say it");
    assert(job->threads >= 1 && job->threads <= WORKER_THREADS_MAX);
    struct error unwanted;
    if (error == NULL)
        error = &unwanted;
    if (!worker_process_prepare(process, error))
        return WORKER_NO_WORKER;
    struct run run = {
        .process = process,
        .job = job,
        .callbacks = callbacks,
        .out_result = out_result,
    };
    init_run(&run);
    if (send_job(&run, error)) {
        while (step(&run, error))
            ;
    } else {
        run.end = WORKER_NO_WORKER;
    }
    free(run.frames);
    free(run.answer);
    end_worker(process);
    return run.end;
}
