#include "commands/commands.h"

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "commands/convert_input.h"
#include "commands/convert_output.h"
#include "commands/convert_progress.h"
#include "config/command_line.h"
#include "model/conversion_options.h"
#include "model/failure.h"
#include "sandbox/worker_process.h"
#include <inttypes.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nobody waits longer for a worker that shows no sign of life; a person can end it before. */
#define STALL_MS_MAX 300000

struct request {
    const char *in;
    char out[FILE_PATH_SIZE];
    bool is_forced;
    bool is_quiet;
    struct conversion_options options;
};

struct work {
    const struct request *request;
    int signal_fd;                  /* owned */
    struct worker_process *process; /* owned */
    struct convert_input *input;    /* owned */
    struct convert_output *output;  /* owned */
    struct convert_progress progress;
    struct worker_result result;
};

/* Help. */

/* Nobody is there to be mailed to. */
static bool is_ours(const char *option)
{
    return strcmp(option, "notify") != 0;
}

static void print_option(void *context, const char *name, const char *form, const char *help)
{
    (void)context;
    if (!is_ours(name))
        return;
    char flag[64];
    text_copy(flag, sizeof flag, name);
    for (char *at = flag; *at != '\0'; at++)
        if (*at == '_')
            *at = '-';
    printf("  --%s VALUE\n        %s\n        VALUE is %s.\n", flag, help, form);
}

static void print_help(const char *program)
{
    printf(
        "usage: %s [options] IN [OUT]\n"
        "\n"
        "Makes an MP3 of the sound of a video, or of any sound file.\n"
        "\n"
        "  IN    the file, or - for standard input\n"
        "  OUT   the MP3, a folder for it, or - for standard output, to which it goes when it is\n"
        "        whole; without OUT: IN's name with .mp3, in the current folder\n"
        "\n",
        program);
    conversion_options_describe(print_option, NULL);
    printf("  --force\n"
           "        Replace OUT where it exists.\n"
           "  --quiet\n"
           "        Say nothing but errors.\n"
           "\n"
           "Examples:\n"
           "  %s talk.mp4\n"
           "  %s --vbr-quality 2 --title \"At the lake\" concert.mkv lake.mp3\n"
           "  curl -s https://example.org/talk.ts | %s - talk.mp3\n",
           program, program, program);
}

/* What was asked for. */

/* "--name value" or "--name=value"; *index moves on to the value. */
static bool set_option(struct conversion_options *options, char **arguments, int *index,
                       struct error *error)
{
    char name[64];
    const char *argument = arguments[*index] + strlen("--");
    size_t name_size = strcspn(argument, "=");
    if (name_size >= sizeof name)
        return error_set(error, ERROR_BAD_INPUT, "there is no option --%.60s…", argument);
    memcpy(name, argument, name_size);
    name[name_size] = '\0';
    for (char *at = name; *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
    if (!conversion_options_is_name(name) || !is_ours(name))
        return error_set(error, ERROR_BAD_INPUT, "there is no option --%.*s", (int)name_size,
                         argument);
    const char *value = argument[name_size] == '=' ? argument + name_size + 1 : arguments[++*index];
    if (value == NULL)
        return error_set(error, ERROR_BAD_INPUT, "--%s needs a value", argument);
    return conversion_options_set(options, name, value, error);
}

static bool take_argument(struct request *request, const char *argument, const char **out,
                          struct error *error)
{
    if (request->in == NULL)
        request->in = argument;
    else if (*out == NULL)
        *out = argument;
    else
        return error_set(error, ERROR_BAD_INPUT, "one IN and one OUT, not also %s", argument);
    return true;
}

/* "/films/talk.mp4" to "talk.mp3"; ".hidden" keeps its dot. */
static bool name_output(const char *in, const char *folder, char out_path[FILE_PATH_SIZE],
                        struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s", in))
        return false;
    const char *name = basename(path);
    const char *dot = strrchr(name, '.');
    size_t stem_size = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    return file_path(out_path, error, "%s%s%.*s.mp3", folder, folder[0] != '\0' ? "/" : "",
                     (int)stem_size, name);
}

static bool choose_output(struct request *request, const char *out, struct error *error)
{
    struct stat status;
    bool is_pipe = strcmp(request->in, "-") == 0;
    if (out == NULL && is_pipe)
        out = "-";
    if (out == NULL)
        return name_output(request->in, "", request->out, error);
    if (stat(out, &status) == 0 && S_ISDIR(status.st_mode) && !is_pipe)
        return name_output(request->in, out, request->out, error);
    return file_path(request->out, error, "%s", out);
}

static bool parse(char **arguments, struct request *out_request, struct error *error)
{
    struct request request = {0};
    const char *out = NULL;
    bool has_options_ended = false;
    for (int i = 0; arguments[i] != NULL; i++) {
        const char *argument = arguments[i];
        bool is_option = !has_options_ended && argument[0] == '-' && argument[1] != '\0';
        if (!is_option) {
            if (!take_argument(&request, argument, &out, error))
                return false;
        } else if (strcmp(argument, "--") == 0) {
            has_options_ended = true;
        } else if (strcmp(argument, "--force") == 0) {
            request.is_forced = true;
        } else if (strcmp(argument, "--quiet") == 0) {
            request.is_quiet = true;
        } else if (!text_starts_with(argument, "--")) {
            return error_set(error, ERROR_BAD_INPUT, "there is no option %s", argument);
        } else if (!set_option(&request.options, arguments, &i, error)) {
            return false;
        }
    }
    if (request.in == NULL)
        return error_set(error, ERROR_BAD_INPUT, "IN is missing");
    if (!conversion_options_check(&request.options, error) || !choose_output(&request, out, error))
        return false;
    *out_request = request;
    return true;
}

/* The work. */

static bool show_tick(void *context, const struct worker_progress *progress, struct error *error)
{
    (void)error;
    struct work *work = context;
    convert_progress_show(&work->progress, progress);
    return true;
}

static bool read_at(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error)
{
    struct work *work = context;
    return convert_input_read_at(work->input, offset, bytes, size, out_size, error);
}

static bool write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error)
{
    struct work *work = context;
    return convert_output_write_at(work->output, offset, bytes, size, error);
}

static uint32_t count_cores(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&cores);
}

static bool open_work(struct work *work, struct error *error)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};
    const struct request *request = work->request;
    /* The worker starts first: it loads its libraries while we look at the files. */
    if (!process_signals_open(signals, &work->signal_fd, error) ||
        !worker_process_open(&work->process, error) ||
        !worker_process_prepare(work->process, error) ||
        !convert_input_open(request->in, work->signal_fd, &work->input, error))
        return false;
    if (convert_input_is_file(work->input, request->out))
        return error_set(error, ERROR_CONFLICT, "%s is the input itself: name another OUT",
                         request->out);
    return convert_output_open(request->out, request->is_forced, &work->output, error);
}

static bool work_on(struct work *work, struct error *error)
{
    if (!open_work(work, error))
        return false;
    const struct worker_job job = {
        .options = &work->request->options,
        .input_size = convert_input_size(work->input),
        .threads = count_cores(),
        .stall_max_ms = STALL_MS_MAX,
        .cancel_fd = work->signal_fd,
    };
    const struct worker_callbacks callbacks = {
        .context = work,
        .read_at = read_at,
        .write_at = write_at,
        .tick = show_tick,
    };
    convert_progress_begin(&work->progress, work->request->is_quiet);
    enum worker_end end = worker_process_run(work->process, &job, &callbacks, &work->result, error);
    convert_progress_end(&work->progress);
    return end == WORKER_DONE && convert_output_finish(work->output, error);
}

static void close_work(struct work *work)
{
    worker_process_close(work->process);
    convert_output_close(work->output);
    convert_input_close(work->input);
    file_close(work->signal_fd);
}

static void print_result(const struct work *work)
{
    const struct worker_result *result = &work->result;
    const struct request *request = work->request;
    double seconds = convert_progress_seconds(&work->progress);
    char length[TEXT_UNIT_SIZE], size[TEXT_UNIT_SIZE];
    text_format_length_for_people(result->duration_seconds, length);
    text_format_size_for_people(result->size_bytes, size);
    fprintf(stderr, "%s: %s, %s, %" PRIu32 " kb/s%s, %" PRIu32 " Hz, %s, in %.1f s (%.0fx)\n",
            strcmp(request->out, "-") == 0 ? "standard output" : request->out, length, size,
            result->bitrate_kbps, request->options.has_vbr_quality ? " on average" : "",
            result->sample_rate_hz, result->channels == 1 ? "mono" : "stereo", seconds,
            result->duration_seconds / seconds);
    uint32_t asked_for = request->options.bitrate_kbps;
    if (asked_for != 0 && asked_for != result->bitrate_kbps)
        fprintf(stderr,
                "note: MPEG knows no %" PRIu32 " kb/s at %" PRIu32 " Hz, so it is %" PRIu32 "\n",
                asked_for, result->sample_rate_hz, result->bitrate_kbps);
    if (result->is_truncated)
        fprintf(stderr, "warning: the input ends too early; what was there is converted\n");
}

static void print_error(const char *program, const struct request *request,
                        const struct error *error)
{
    if (error->failure == NULL) {
        fprintf(stderr, "%s: %s\n", program, error->text);
        return;
    }
    fprintf(stderr, "%s: %s: %s %s (%s: %s)\n", program,
            strcmp(request->in, "-") == 0 ? "standard input" : request->in,
            error->failure->sentence, error->failure->advice, error->failure->code, error->text);
}

static int convert(const char *program, const struct request *request)
{
    struct error error = {0};
    struct work work = {.request = request, .signal_fd = -1};
    /* A reader of our output that goes away is an error to tell, not one to die of. */
    signal(SIGPIPE, SIG_IGN);
    bool is_done = work_on(&work, &error);
    if (!is_done)
        print_error(program, request, &error);
    else if (!request->is_quiet)
        print_result(&work);
    close_work(&work);
    return is_done ? COMMAND_OK : COMMAND_FAILED;
}

static int refuse(const struct invocation *invocation, const struct error *error)
{
    fprintf(stderr, "%s: %s\nTry: %s --help\n", invocation->program, error->text,
            invocation->program);
    return COMMAND_USAGE;
}

int convert_run(const struct invocation *invocation)
{
    struct error error = {0};
    struct command_line line;
    struct request request;
    if (!command_line_parse(invocation, &line, &error))
        return refuse(invocation, &error);
    int status = COMMAND_OK;
    if (line.wants_help)
        print_help(invocation->program);
    else if (!parse(line.rest, &request, &error))
        status = refuse(invocation, &error);
    else
        status = convert(invocation->program, &request);
    command_line_finish(&line);
    return status;
}
