/* tapedeck keys rotate */

#include "commands/commands.h"

#include "config/config.h"
#include "services/auth/keys.h"
#include <stdio.h>
#include <string.h>

static int rotate(const struct invocation *invocation, const struct command_line *line)
{
    struct error error = {0};
    char key_id[KEYS_ID_SIZE];
    CLEANUP(config_closep) struct config *config = NULL;
    if (!command_line_open_config(invocation, line, &config, &error) ||
        !keys_rotate(config, key_id, &error)) {
        fprintf(stderr, "%s: %s\n", invocation->program, error.text);
        return COMMAND_FAILED;
    }
    printf("%s\n", key_id);
    return COMMAND_OK;
}

int keys_run(const struct invocation *invocation)
{
    struct error error = {0};
    CLEANUP(command_line_finish) struct command_line line = {0};
    if (!command_line_parse(invocation, &line, &error)) {
        fprintf(stderr, "%s: %s\n", invocation->program, error.text);
        return COMMAND_USAGE;
    }
    if (line.wants_help) {
        printf("Usage: %s rotate [--config FILE] [--set section.key=value]...\n\n"
               "Makes a new key that tokens are signed with and prints its id. It signs from a "
               "minute on;\nthe old one verifies until the last token that it signed has ended.\n",
               invocation->program);
        return COMMAND_OK;
    }
    if (line.rest_count != 1 || strcmp(line.rest[0], "rotate") != 0) {
        fprintf(stderr, "%s: rotate is expected; see --help\n", invocation->program);
        return COMMAND_USAGE;
    }
    return rotate(invocation, &line);
}
