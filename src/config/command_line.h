#pragma once

/* What every subcommand shares: --help, --config FILE, --set section.key=value, and the opening of
 * the configuration they lead to. */

#include "base/error.h"
#include "config/config.h"
#include <stddef.h>

/* Exit statuses of every command. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

/* What a subcommand is started with. */
struct invocation {
    const char *program;                              /* "tapedeck user" */
    int argument_count;                               /* what follows the subcommand's name … */
    char **arguments;                                 /* … borrowed from main; NULL-terminated */
    const struct config_option *const *option_tables; /* all of the program's */
};

struct command {
    const char *name;
    int (*run)(const struct invocation *invocation); /* returns the exit status */
    const char *summary;                             /* one line for `tapedeck --help` */
};

#define COMMAND_LINE_ASSIGNMENTS_MAX 64

struct command_line {
    const char *config_file;                                   /* --config; NULL: none given */
    const char *assignments[COMMAND_LINE_ASSIGNMENTS_MAX + 1]; /* --set, in order */
    size_t assignment_count;
    bool wants_help;
    char **rest; /* the arguments that are not the above, in order; NULL-terminated, owned */
    int rest_count;
};

/* Takes --config, --set (also as --config=FILE), --help and -h out of the arguments, up to a "--";
 * ERROR_BAD_INPUT where a value is missing. */
MUST_CHECK bool command_line_parse(const struct invocation *invocation,
                                   struct command_line *out_line, struct error *error);
void command_line_finish(struct command_line *line);

/* --config, else TAPEDECK_CONFIG; NULL: none. */
const char *command_line_config_file(const struct command_line *line);

/* The configuration from the command line, the process's environment and the file: --config, else
 * TAPEDECK_CONFIG, else none. */
MUST_CHECK bool command_line_open_config(const struct invocation *invocation,
                                         const struct command_line *line,
                                         struct config **out_config, struct error *error);
