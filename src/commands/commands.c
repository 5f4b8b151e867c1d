#include "commands/commands.h"

#include "base/compiler.h"
#include "base/text.h"
#include "commands/option_tables.h"
#include "commands/say.h"
#include <stdio.h>
#include <string.h>

#define COMMANDS_MAX 32

static void print_help(const struct command *commands, FILE *file)
{
    fprintf(file, "Tapedeck takes a video and gives back its sound as an MP3.\n\n"
                  "usage: tapedeck COMMAND [ARGUMENTS]\n\n");
    for (const struct command *command = commands; command->name != NULL; command++)
        fprintf(file, "  %-10s %s\n", command->name, command->summary);
    fprintf(file,
            "\n`tapedeck COMMAND --help` explains one of them; `tapedeck --version` names the "
            "version.\nAll take --config FILE and --set section.key=value; `tapedeck config "
            "options` lists\nwhat can be set.\n\nTry: tapedeck convert talk.mp4\n");
}

static const char *nearest_of(const struct command *commands, const char *name)
{
    const char *names[COMMANDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < COMMANDS_MAX && commands[i].name != NULL; i++)
        names[i] = commands[i].name;
    return text_nearest(name, names);
}

static const struct command *find(const struct command *commands, const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
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

static int answer_option(const struct command *commands, const char *option)
{
    if (strcmp(option, "--version") == 0) {
        puts("tapedeck " TAPEDECK_VERSION);
        return COMMAND_OK;
    }
    bool is_help =
        strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0 || strcmp(option, "help") == 0;
    if (is_help) {
        print_help(commands, stdout);
        return COMMAND_OK;
    }
    const char *nearest = nearest_of(commands, option);
    if (nearest != NULL)
        say("tapedeck: there is no command \"%.80s\"; did you mean \"%s\"?", option, nearest);
    else
        say("tapedeck: there is no command \"%.80s\"; `tapedeck --help` lists all.", option);
    return COMMAND_USAGE;
}

static int dispatch(const struct command *commands, int argc, char **argv)
{
    if (argc < 2) {
        print_help(commands, stderr);
        return COMMAND_USAGE;
    }
    const struct command *command = find(commands, argv[1]);
    if (command != NULL)
        return run(command, argc - 2, argv + 2);
    bool asks_for_one = argc == 3 && strcmp(argv[1], "help") == 0;
    if (asks_for_one && (command = find(commands, argv[2])) != NULL) {
        char help[] = "--help";
        return run(command, 1, (char *[]){help, NULL});
    }
    return answer_option(commands, argv[asks_for_one ? 2 : 1]);
}

int commands_run(const struct command *commands, int argc, char **argv)
{
    int status = dispatch(commands, argc, argv);
    /* What was to be told and was lost (a full disk) is no success. */
    if (status != COMMAND_OK || (fflush(stdout) == 0 && !ferror(stdout)))
        return status;
    say("tapedeck: standard output cannot be written to");
    return COMMAND_FAILED;
}
