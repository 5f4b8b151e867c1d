/* tapedeck: a table of subcommands. */

#include "commands/commands.h"
#include "config/command_line.h"
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"convert", convert_run, "make an MP3 of a file, here and now"},
};

/* Every option table of the program: what a configuration may hold. */
static const struct config_option *const option_tables[] = {NULL};

static void print_help(FILE *to)
{
    fprintf(to, "usage: tapedeck COMMAND [options]\n"
                "\n"
                "Upload a video, get its sound as an MP3, be told by email.\n"
                "\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n"
                "tapedeck COMMAND --help says more. tapedeck --version\n");
}

static int run(const struct command *command, int argument_count, char **arguments)
{
    char program[64];
    snprintf(program, sizeof program, "tapedeck %s", command->name);
    const struct invocation invocation = {
        .program = program,
        .argument_count = argument_count,
        .arguments = arguments,
        .option_tables = option_tables,
    };
    return command->run(&invocation);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        printf("tapedeck %s\n", TAPEDECK_VERSION);
        return COMMAND_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return COMMAND_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return run(&commands[i], argc - 2, argv + 2);
    if (name[0] != '\0')
        fprintf(stderr, "tapedeck: there is no command %s\n\n", name);
    print_help(stderr);
    return COMMAND_USAGE;
}
