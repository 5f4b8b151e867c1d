#include "commands/convert_arguments.h"

#include "base/text.h"
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_SIZE 64
#define NAMES_MAX 32

/* There is nobody to be mailed to. */
static bool is_ours(const char *option)
{
    return strcmp(option, "notify") != 0;
}

static void replace_all(char *text, char old, char new)
{
    for (char *at = text; (at = strchr(at, old)) != NULL; at++)
        *at = new;
}

static void print_option(void *context, const char *name, const char *form, const char *help)
{
    (void)context;
    if (!is_ours(name))
        return;
    char flag[NAME_SIZE];
    text_copy(flag, sizeof flag, name);
    replace_all(flag, '_', '-');
    printf("  --%s VALUE\n      %s\n      VALUE: %s.\n", flag, help, form);
}

void convert_arguments_print_help(const char *program)
{
    printf("usage: %s [OPTIONS] IN [OUT]\n"
           "\n"
           "Makes an MP3 of the sound of a video, or of any sound file.\n"
           "\n"
           "  IN    the file, or - for standard input\n"
           "  OUT   the MP3, or a folder for it, or - for standard output; without OUT: IN's\n"
           "        name with .mp3, in the current folder\n"
           "\n"
           "Of an option given twice, the last stands.\n"
           "\n"
           "  --force\n"
           "      Replace OUT where it exists.\n"
           "  --quiet\n"
           "      Say nothing unless something goes wrong.\n",
           program);
    conversion_options_describe(print_option, NULL);
    printf(
        "\nExamples:\n"
        "  %s talk.mp4\n"
        "  %s --vbr-quality 2 --title 'Opening' talk.mkv opening.mp3\n"
        "  curl -s https://example.org/talk.ts | %s - talk.mp3\n"
        "\n"
        "Ends with 0 where there is an MP3, also beside a warning; with 1 where it failed; with\n"
        "2 where it was called wrongly.\n",
        program, program, program);
}

struct names {
    const char *names[NAMES_MAX + 1]; /* ends with NULL */
    size_t count;
};

static void add_name(void *context, const char *name, const char *form, const char *help)
{
    (void)form;
    (void)help;
    struct names *names = context;
    if (is_ours(name) && names->count < NAMES_MAX)
        names->names[names->count++] = name;
}

static bool refuse_option(const char *name, struct error *error)
{
    struct names names = {.names = {"force", "quiet"}, .count = 2};
    char asked[NAME_SIZE], nearest_flag[NAME_SIZE];
    conversion_options_describe(add_name, &names);
    text_copy(asked, sizeof asked, name);
    replace_all(asked, '-', '_');
    const char *nearest = text_nearest(asked, names.names);
    if (nearest == NULL || strcmp(nearest, asked) == 0)
        return error_set(error, ERROR_BAD_INPUT, "there is no option --%s", name);
    text_copy(nearest_flag, sizeof nearest_flag, nearest);
    replace_all(nearest_flag, '_', '-');
    return error_set(error, ERROR_BAD_INPUT, "there is no option --%s; did you mean --%s?", name,
                     nearest_flag);
}

/* "--bitrate-kbps 64" or "--bitrate-kbps=64"; *index moves on to the value. */
static bool take_option(struct conversion_options *options, char **arguments, int *index,
                        struct error *error)
{
    const char *argument = arguments[*index];
    const char *flag = argument + strlen("--");
    char name[NAME_SIZE];
    size_t size = strcspn(flag, "=");
    if (!text_starts_with(argument, "--") || size >= sizeof name)
        return error_set(error, ERROR_BAD_INPUT, "there is no option %.80s", argument);
    memcpy(name, flag, size);
    name[size] = '\0';
    if (!conversion_options_is_name(name) || !is_ours(name))
        return refuse_option(name, error);
    const char *value = flag[size] == '=' ? flag + size + 1 : arguments[++*index];
    if (value == NULL)
        return error_set(error, ERROR_BAD_INPUT, "--%s needs a value", name);
    if (!text_is_utf8(value, strlen(value)))
        return error_set(error, ERROR_BAD_INPUT, "--%s: expected text in UTF-8", name);
    return conversion_options_set(options, name, value, error);
}

static bool take_file(struct convert_request *request, const char *argument, const char **output,
                      struct error *error)
{
    if (argument[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "a file without a name");
    if (request->input == NULL)
        request->input = argument;
    else if (*output == NULL)
        *output = argument;
    else
        return error_set(error, ERROR_BAD_INPUT, "more than two files: %.80s", argument);
    return true;
}

static bool take_all(struct convert_request *request, char **arguments, const char **out_output,
                     struct error *error)
{
    bool have_options_ended = false;
    for (int i = 0; arguments[i] != NULL; i++) {
        const char *argument = arguments[i];
        bool is_option = !have_options_ended && argument[0] == '-' && argument[1] != '\0';
        if (!is_option) {
            if (!take_file(request, argument, out_output, error))
                return false;
        } else if (strcmp(argument, "--") == 0) {
            have_options_ended = true;
        } else if (strcmp(argument, "--force") == 0) {
            request->is_forced = true;
        } else if (strcmp(argument, "--quiet") == 0) {
            request->is_quiet = true;
        } else if (!take_option(&request->options, arguments, &i, error)) {
            return false;
        }
    }
    return true;
}

/* talks/talk.mp4 becomes talk.mp3; .hidden keeps its dot. */
static bool name_output(struct convert_request *request, const char *folder, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s", request->input))
        return false;
    const char *name = basename(path);
    const char *dot = strrchr(name, '.');
    size_t size = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    size_t folder_size = strlen(folder);
    while (folder_size > 0 && folder[folder_size - 1] == '/')
        folder_size--;
    return file_path(request->output, error, "%.*s%s%.*s.mp3", (int)folder_size, folder,
                     folder[0] != '\0' ? "/" : "", (int)size, name);
}

/* Also one that is missing, where the name says that it is to be one. */
static bool is_folder(const char *path)
{
    struct stat status;
    return (path[0] != '\0' && path[strlen(path) - 1] == '/') ||
           (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
}

/* What comes from a pipe goes to one. */
static bool choose_output(struct convert_request *request, const char *output, struct error *error)
{
    bool is_pipe = strcmp(request->input, "-") == 0;
    if (output == NULL && !is_pipe)
        return name_output(request, "", error);
    if (output != NULL && is_folder(output)) {
        if (is_pipe)
            return error_set(error, ERROR_BAD_INPUT,
                             "%.150s is a folder, and standard input has no name: name the MP3",
                             output);
        return name_output(request, output, error);
    }
    return file_path(request->output, error, "%s", output != NULL ? output : "-");
}

bool convert_arguments_parse(char **arguments, struct convert_request *out_request,
                             struct error *error)
{
    struct convert_request request = {0};
    const char *output = NULL;
    if (!take_all(&request, arguments, &output, error))
        return false;
    if (request.input == NULL)
        return error_set(error, ERROR_BAD_INPUT,
                         "which video? Name a file, or - for standard input");
    if (!conversion_options_check(&request.options, error) ||
        !choose_output(&request, output, error))
        return false;
    *out_request = request;
    return true;
}
