/* tapedeck: the table of its subcommands. */

#include "base/process.h"
#include "commands/commands.h"

int main(int argc, char **argv)
{
    static const struct command commands[] = {
        {"convert", convert_run, "turn one video into an MP3, here and now"},
        {"serve", serve_run, "run the whole system on this machine"},
        {"gateway", gateway_run, "serve the HTTP API: uploads, conversions, downloads"},
        {"auth", auth_run, "log users in and sign their tokens"},
        {"converter", converter_run, "turn queued videos into MP3s"},
        {"notifier", notifier_run, "tell users by email when their MP3 is ready"},
        {"user", user_run, "add, list, change and remove accounts"},
        {"keys", keys_run, "make a new key that tokens are signed with"},
        {"queue", queue_run, "messages that nobody could read"},
        {"backup", backup_run, "copy the embedded data while it is used"},
        {"migrate", migrate_run, "bring the stores to this version's schema"},
        {"doctor", doctor_run, "check everything that the system needs"},
        {"config", config_run, "show the configuration, or every option there is"},
        {0},
    };
    process_occupy_standard_fds();
    return commands_run(commands, argc, argv);
}
