#include "config/command_line.h"

#include "base/text.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one argument turned out to be. */
enum taken { TAKEN_NOTHING, TAKEN_ARGUMENT, TAKEN_WRONG };

static bool add_assignment(struct command_line *line, const char *assignment, struct error *error)
{
    if (line->assignment_count == COMMAND_LINE_ASSIGNMENTS_MAX)
        return error_set(error, ERROR_BAD_INPUT, "more than %d --set; put them into a file",
                         COMMAND_LINE_ASSIGNMENTS_MAX);
    line->assignments[line->assignment_count++] = assignment;
    return true;
}

static bool set_config_file(struct command_line *line, const char *path, struct error *error)
{
    if (line->config_file != NULL)
        return error_set(error, ERROR_BAD_INPUT, "--config is given twice");
    line->config_file = path;
    return true;
}

static const struct {
    const char *name;
    bool (*store)(struct command_line *line, const char *value, struct error *error);
    const char *example;
} options_with_value[] = {
    {"--config", set_config_file, "--config tapedeck.ini"},
    {"--set", add_assignment, "--set gateway.listen=127.0.0.1:8080"},
};

/* "--name value" or "--name=value"; *index moves on to the value where it is an argument of its
 * own. */
static enum taken take_option_with_value(const struct invocation *invocation, int *index,
                                         struct command_line *line, struct error *error)
{
    const char *argument = invocation->arguments[*index];
    for (size_t i = 0; i < ARRAY_COUNT(options_with_value); i++) {
        size_t name_size = strlen(options_with_value[i].name);
        if (strncmp(argument, options_with_value[i].name, name_size) != 0)
            continue;
        const char *value = NULL;
        if (argument[name_size] == '=')
            value = argument + name_size + 1;
        else if (argument[name_size] != '\0')
            continue;
        else if (*index + 1 < invocation->argument_count)
            value = invocation->arguments[++*index];
        if (value == NULL || value[0] == '\0') {
            error_set(error, ERROR_BAD_INPUT, "%s needs a value, as in: %s",
                      options_with_value[i].name, options_with_value[i].example);
            return TAKEN_WRONG;
        }
        return options_with_value[i].store(line, value, error) ? TAKEN_ARGUMENT : TAKEN_WRONG;
    }
    return TAKEN_NOTHING;
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static bool parse(const struct invocation *invocation, struct command_line *line,
                  struct error *error)
{
    int i = 0;
    for (; i < invocation->argument_count; i++) {
        char *argument = invocation->arguments[i];
        /* Stays in the rest: the subcommand's own options end there too. */
        if (strcmp(argument, "--") == 0)
            break;
        if (is_help(argument)) {
            line->wants_help = true;
            continue;
        }
        enum taken taken = take_option_with_value(invocation, &i, line, error);
        if (taken == TAKEN_WRONG)
            return false;
        if (taken == TAKEN_NOTHING)
            line->rest[line->rest_count++] = argument;
    }
    for (; i < invocation->argument_count; i++)
        line->rest[line->rest_count++] = invocation->arguments[i];
    return true;
}

bool command_line_parse(const struct invocation *invocation, struct command_line *out_line,
                        struct error *error)
{
    struct command_line line = {0};
    line.rest = calloc((size_t)invocation->argument_count + 1, sizeof *line.rest);
    if (line.rest == NULL)
        abort();
    if (!parse(invocation, &line, error)) {
        command_line_finish(&line);
        return false;
    }
    *out_line = line;
    return true;
}

void command_line_finish(struct command_line *line)
{
    free(line->rest);
    *line = (struct command_line){0};
}

const char *command_line_config_file(const struct command_line *line)
{
    if (line->config_file != NULL)
        return line->config_file;
    const char *path = getenv("TAPEDECK_CONFIG");
    return path != NULL && path[0] != '\0' ? path : NULL;
}

bool command_line_open_config(const struct invocation *invocation, const struct command_line *line,
                              struct config **out_config, struct error *error)
{
    const struct config_sources sources = {
        .file = command_line_config_file(line),
        .environment = (const char *const *)environ,
        .assignments = line->assignments,
    };
    return config_open(invocation->option_tables, &sources, out_config, error);
}
