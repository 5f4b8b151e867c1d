#pragma once

/* What `tapedeck convert` was asked for. */

#include "base/file.h"
#include "config/command_line.h"
#include "model/conversion_options.h"

struct convert_request {
    const char *input;           /* borrowed from the arguments; "-": standard input */
    char output[FILE_PATH_SIZE]; /* "-": standard output */
    bool is_forced;
    bool is_quiet;
    struct conversion_options options;
};

/* `arguments` ends with NULL. ERROR_BAD_INPUT, with a text that says what to write instead. */
MUST_CHECK bool convert_arguments_parse(char **arguments, struct convert_request *out_request,
                                        struct error *error);
void convert_arguments_print_help(const char *program);
