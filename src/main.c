/* tapedeck: the table of its subcommands. */

#include "base/log.h"
#include "commands/commands.h"

int main(int argc, char **argv)
{
    static const struct command commands[] = {
        {"convert", convert_run, "turn one video into an MP3, here and now"},
        {0},
    };
    return commands_run(commands, argc, argv);
}
