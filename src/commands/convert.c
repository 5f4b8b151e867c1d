/* tapedeck convert: the engine alone. One video in, one MP3 out, nothing else needed. */

#include "commands/commands.h"

#include "base/file.h"
#include "base/process.h"
#include "commands/convert_arguments.h"
#include "commands/convert_input.h"
#include "commands/convert_output.h"
#include "commands/convert_progress.h"
#include "commands/say.h"
#include "config/command_line.h"
#include "model/failure.h"
#include "sandbox/worker_process.h"
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A worker without a sign of life for so long will give none: whoever waits may be a script. */
#define STALL_MS_MAX 300000

struct work {
    const struct convert_request *request;
    int cancel_fd;                  /* owned; readable: told to stop */
    struct worker_process *process; /* owned */
    struct convert_input *input;    /* owned */
    struct convert_output *output;  /* owned */
    struct convert_progress progress;
};

static bool show_progress(void *context, const struct worker_progress *progress,
                          struct error *error)
{
    (void)error;
    struct work *work = context;
    convert_progress_show(&work->progress, progress);
    return true;
}

static bool read_input(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                       struct error *error)
{
    struct work *work = context;
    return convert_input_read_at(work->input, offset, bytes, size, out_size, error);
}

static bool write_output(void *context, uint64_t offset, const void *bytes, size_t size,
                         struct error *error)
{
    struct work *work = context;
    return convert_output_write_at(work->output, offset, bytes, size, error);
}

/* One for each core that this process may use, which in a container can be fewer than there are. */
static uint32_t choose_threads(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    uint32_t count = (uint32_t)CPU_COUNT(&cores);
    return count < WORKER_THREADS_MAX ? count : WORKER_THREADS_MAX;
}

static bool open_work(struct work *work, struct error *error)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};
    const struct convert_request *request = work->request;
    /* The worker first: it loads its libraries while we look at the files. */
    if (!process_signals_open(signals, &work->cancel_fd, error) ||
        !worker_process_open(&work->process, error) ||
        !worker_process_prepare(work->process, error) ||
        !convert_input_open(request->input, work->cancel_fd, &work->input, error))
        return false;
    if (convert_input_is_file(work->input, request->output))
        return error_set(error, ERROR_CONFLICT, "%.150s is the input itself: name another output",
                         request->output);
    return convert_output_open(request->output, request->is_forced, work->cancel_fd, &work->output,
                               error);
}

static bool convert(struct work *work, struct worker_result *out_result, struct error *error)
{
    if (!open_work(work, error))
        return false;
    const struct worker_job job = {
        .options = &work->request->options,
        .input_size = convert_input_size(work->input),
        .threads = choose_threads(),
        .stall_max_ms = STALL_MS_MAX,
        .cancel_fd = work->cancel_fd,
    };
    const struct worker_callbacks callbacks = {
        .context = work,
        .read_at = read_input,
        .write_at = write_output,
        .tick = show_progress,
    };
    convert_progress_begin(&work->progress, work->request->is_quiet);
    enum worker_end end = worker_process_run(work->process, &job, &callbacks, out_result, error);
    convert_progress_clear(&work->progress);
    return end == WORKER_DONE && convert_output_finish(work->output, error);
}

static void close_work(struct work *work)
{
    worker_process_close(work->process);
    convert_output_close(work->output);
    convert_input_close(work->input);
}

static void report_error(const char *program, const struct convert_request *request,
                         const struct error *error)
{
    const struct failure *failure = error->failure;
    const char *input = strcmp(request->input, "-") == 0 ? "standard input" : request->input;
    if (failure == NULL)
        say("%s: %s", program, error->text);
    else if (failure->is_retryable) /* its sentences are for users of a server */
        say("%s: %s: %s (%s)", program, input, error->text, failure->code);
    else
        say("%s: %s: %s %s (%s: %s)", program, input, failure->sentence, failure->advice,
            failure->code, error->text);
}

static int run(const char *program, const struct convert_request *request)
{
    struct error error = {0};
    struct worker_result result = {0};
    struct work work = {.request = request, .cancel_fd = -1};
    /* A reader of our output that goes away is an error to tell of, not one to die of. */
    signal(SIGPIPE, SIG_IGN);
    bool succeeded = convert(&work, &result, &error);
    if (succeeded)
        convert_progress_end(&work.progress, request, &result);
    else
        report_error(program, request, &error);
    close_work(&work);
    if (!succeeded)
        process_die_of_signal(work.cancel_fd);
    file_close(work.cancel_fd);
    return succeeded ? COMMAND_OK : COMMAND_FAILED;
}

static int refuse(const char *program, const struct error *error)
{
    say("%s: %s", program, error->text);
    say("Try: %s --help", program);
    return COMMAND_USAGE;
}

/* Nothing of it is needed here, but what is given must be right, as everywhere. */
static bool check_config(const struct invocation *invocation, const struct command_line *line,
                         struct error *error)
{
    CLEANUP(config_closep) struct config *config = NULL;
    bool is_given = line->config_file != NULL || line->assignment_count != 0;
    return !is_given || command_line_open_config(invocation, line, &config, error);
}

int convert_run(const struct invocation *invocation)
{
    CLEANUP(command_line_finish) struct command_line line = {0};
    struct convert_request request;
    struct error error = {0};
    if (!command_line_parse(invocation, &line, &error))
        return refuse(invocation->program, &error);
    if (line.wants_help) {
        convert_arguments_print_help(invocation->program);
        return COMMAND_OK;
    }
    if (!convert_arguments_parse(line.rest, &request, &error))
        return refuse(invocation->program, &error);
    if (!check_config(invocation, &line, &error)) {
        say("%s: %s", invocation->program, error.text);
        return COMMAND_FAILED;
    }
    return run(invocation->program, &request);
}
