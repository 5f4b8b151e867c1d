/* tapedeck: the table of its subcommands. */

#include "base/log.h"
#include "commands/commands.h"

int main(int argc, char **argv)
{
    static const struct command commands[] = {
        {"convert", convert_run, "turn one video into an MP3, here and now"},
        {"user", user_run, "add, list, change and remove accounts"},
        {"config", config_run, "show the configuration, or every option there is"},
        {0},
    };
    return commands_run(commands, argc, argv);
}
