#include "commands/commands.h"

#include "base/compiler.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/user_store/user_store.h"
#include <stdio.h>
#include <string.h>

/* Every table of options in the program: what is in none of them is an unknown option. */
static const struct config_option *const option_tables[] = {
    data_folder_options, mail_sender_options, record_store_options, user_store_options, NULL,
};

static void print_help(const struct command *commands, FILE *file)
{
    fprintf(file, "Tapedeck takes a video and gives back its sound as an MP3.\n\n"
                  "usage: tapedeck COMMAND [ARGUMENTS]\n\n");
    for (const struct command *command = commands; command->name != NULL; command++)
        fprintf(file, "  %-10s %s\n", command->name, command->summary);
    fprintf(file,
            "\n`tapedeck COMMAND --help` explains one of them; `tapedeck --version` names the "
            "version.\n\nTry: tapedeck convert talk.mp4\n");
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
    fprintf(stderr, "tapedeck: there is no command \"%.80s\".\n\n", option);
    print_help(commands, stderr);
    return COMMAND_USAGE;
}

int commands_run(const struct command *commands, int argc, char **argv)
{
    if (argc < 2) {
        print_help(commands, stderr);
        return COMMAND_USAGE;
    }
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, argv[1]) != 0)
            continue;
        char program[64];
        snprintf(program, sizeof program, "tapedeck %s", command->name);
        const struct invocation invocation = {
            .program = program,
            .argument_count = argc - 2,
            .arguments = argv + 2,
            .option_tables = option_tables,
        };
        return command->run(&invocation);
    }
    return answer_option(commands, argv[1]);
}
