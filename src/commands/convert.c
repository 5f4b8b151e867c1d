/* tapedeck convert: the engine alone. One video in, one MP3 out, nothing else needed. */

#include "commands/commands.h"
#include "commands/convert_files.h"
#include "commands/convert_progress.h"

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "model/conversion_options.h"
#include "model/failure.h"
#include "sandbox/worker_process.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct request {
    struct conversion_options options;
    const char *input;
    const char *output; /* NULL: from the input's name */
    char output_name[FILE_PATH_SIZE];
    bool replaces;
    bool is_quiet;
};

struct conversion_run {
    struct convert_input input;
    struct convert_output output;
    struct convert_progress progress;
};

static void print_option(void *context, const char *name, const char *form, const char *help)
{
    (void)context;
    char flag[64];
    snprintf(flag, sizeof flag, "--%s %s", name, form);
    for (char *at = flag; *at != '\0' && *at != ' '; at++)
        *at = *at == '_' ? '-' : *at;
    fprintf(stdout, "  %-28s %s\n", flag, help);
}

static int print_help(void)
{
    puts("usage: tapedeck convert [OPTIONS] IN [OUT]\n\n"
         "Converts the sound of the video IN to an MP3. IN and OUT are files; - is standard input\n"
         "or output. Without OUT, the MP3 gets IN's name with .mp3, in the current folder.\n\n"
         "  --force                      replace OUT where it exists\n"
         "  --quiet                      say nothing unless something goes wrong\n");
    conversion_options_describe(print_option, NULL);
    puts("\nExamples:\n"
         "  tapedeck convert talk.mp4\n"
         "  tapedeck convert --vbr-quality 2 --title 'Opening' talk.mkv opening.mp3\n"
         "  curl -s https://example.org/talk.ts | tapedeck convert - talk.mp3");
    return COMMAND_OK;
}

/* "--bitrate-kbps 64" or "--bitrate-kbps=64"; *index moves on to the value. */
static bool take_option(struct request *request, const struct command_line *line, int *index,
                        struct error *error)
{
    const char *flag = line->rest[*index] + 2;
    char name[64];
    size_t length = strcspn(flag, "=");
    if (length >= sizeof name)
        return error_set(error, ERROR_BAD_INPUT, "there is no option --%.60s", flag);
    memcpy(name, flag, length);
    name[length] = '\0';
    if (!conversion_options_is_name(name))
        return error_set(error, ERROR_BAD_INPUT, "there is no option --%s", name);
    const char *value = flag[length] == '=' ? flag + length + 1 : line->rest[*index + 1];
    if (value == NULL)
        return error_set(error, ERROR_BAD_INPUT, "--%s needs a value", name);
    if (flag[length] != '=')
        ++*index;
    return conversion_options_set(&request->options, name, value, error);
}

static bool take_file(struct request *request, const char *argument, struct error *error)
{
    if (request->input == NULL)
        request->input = argument;
    else if (request->output == NULL)
        request->output = argument;
    else
        return error_set(error, ERROR_BAD_INPUT, "more than two files: \"%.80s\"", argument);
    return true;
}

static bool take_arguments(struct request *request, const struct command_line *line,
                           struct error *error)
{
    for (int i = 0; i < line->rest_count; i++) {
        const char *argument = line->rest[i];
        if (strcmp(argument, "--force") == 0)
            request->replaces = true;
        else if (strcmp(argument, "--quiet") == 0)
            request->is_quiet = true;
        else if (text_starts_with(argument, "--") && argument[2] != '\0') {
            if (!take_option(request, line, &i, error))
                return false;
        } else if (strcmp(argument, "--") != 0 && !take_file(request, argument, error))
            return false;
    }
    if (request->input == NULL)
        return error_set(error, ERROR_BAD_INPUT,
                         "which video? Name a file, or - for standard input");
    return conversion_options_check(&request->options, error);
}

/* talks/talk.mp4 becomes talk.mp3 here; what comes from a pipe goes to one. */
static bool name_output(struct request *request, struct error *error)
{
    if (request->output != NULL)
        return true;
    if (strcmp(request->input, "-") == 0) {
        request->output = "-";
        return true;
    }
    const char *slash = strrchr(request->input, '/');
    const char *name = slash != NULL ? slash + 1 : request->input;
    const char *dot = strrchr(name, '.');
    int length = (int)(dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name));
    request->output = request->output_name;
    return file_path(request->output_name, error, "%.*s.mp3", length, name);
}

static bool show_progress(void *context, const struct worker_progress *progress,
                          struct error *error)
{
    (void)error;
    struct conversion_run *run = context;
    convert_progress_show(&run->progress, progress);
    return true;
}

static bool read_input(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                       struct error *error)
{
    struct conversion_run *run = context;
    return convert_input_read(&run->input, offset, bytes, size, out_size, error);
}

static bool write_output(void *context, uint64_t offset, const void *bytes, size_t size,
                         struct error *error)
{
    struct conversion_run *run = context;
    return convert_output_write(&run->output, offset, bytes, size, error);
}

static bool convert(const struct request *request, struct conversion_run *run, int cancel_fd,
                    struct error *error)
{
    CLEANUP(worker_process_closep) struct worker_process *process = NULL;
    struct worker_result result = {0};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct worker_job job = {
        .options = &request->options,
        .input_size = run->input.size,
        .threads = cores > 0 && cores < 256 ? (uint32_t)cores : 1,
        .cancel_fd = cancel_fd,
    };
    const struct worker_callbacks callbacks = {
        .context = run,
        .read_at = read_input,
        .write_at = write_output,
        .tick = show_progress,
    };
    if (!worker_process_open(&process, error) ||
        worker_process_run(process, &job, &callbacks, &result, error) != WORKER_DONE ||
        !convert_output_deliver(&run->output, error))
        return false;
    convert_progress_end(&run->progress, request->output, &result);
    return true;
}

static bool convert_files(const struct request *request, struct error *error)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};
    struct conversion_run run = {0};
    CLEANUP(file_closep) int cancel_fd = -1;
    if (!process_signals_open(signals, &cancel_fd, error) ||
        !convert_input_open(&run.input, request->input, cancel_fd, error))
        return false;
    bool succeeded = convert_output_open(&run.output, request->output, request->replaces, error);
    if (succeeded) {
        convert_progress_init(&run.progress, request->is_quiet);
        succeeded = convert(request, &run, cancel_fd, error);
        if (!succeeded)
            convert_progress_clear(&run.progress);
        convert_output_finish(&run.output);
    }
    convert_input_finish(&run.input);
    return succeeded;
}

static int report(const struct request *request, const struct error *error)
{
    if (error->failure == NULL)
        fprintf(stderr, "tapedeck convert: %s\n", error->text);
    else
        fprintf(stderr, "tapedeck convert: %s: %s %s\n  (%s)\n", request->input,
                error->failure->sentence, error->failure->advice, error->text);
    return COMMAND_FAILED;
}

int convert_run(const struct invocation *invocation)
{
    CLEANUP(command_line_finish) struct command_line line = {0};
    struct request request = {0};
    struct error error = {0};
    if (!command_line_parse(invocation, &line, &error)) {
        fprintf(stderr, "tapedeck convert: %s\n", error.text);
        return COMMAND_USAGE;
    }
    if (line.wants_help)
        return print_help();
    if (!take_arguments(&request, &line, &error) || !name_output(&request, &error)) {
        fprintf(stderr, "tapedeck convert: %s\nTry: tapedeck convert --help\n", error.text);
        return COMMAND_USAGE;
    }
    return convert_files(&request, &error) ? COMMAND_OK : report(&request, &error);
}
