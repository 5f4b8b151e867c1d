/* tapedeck keys: what tokens are signed with. */

#include "commands/commands.h"
#include "commands/session.h"

#include "services/auth/keys.h"
#include "stores/shared/data_folder.h"
#include <stdio.h>

static const char help[] =
    "usage: tapedeck keys rotate\n\n"
    "rotate  makes a new key that tokens are signed with and prints its id. It signs from a "
    "minute\n"
    "        on; the old one verifies until the last token that it signed has ended\n\n"
    "Example:\n"
    "  tapedeck keys rotate --config /etc/tapedeck.ini\n";

/* A first key is made by auth: here a folder that is missing is a name that is wrong. */
static bool check_folder(const struct config *config, struct error *error)
{
    const char *data = NULL;
    return config_is_given(config, "auth.keys_dir") ||
           (data_folder_get(config, &data, error) && data_folder_check(data, error));
}

static int rotate(struct session *session)
{
    struct error error = {0};
    char key_id[KEYS_ID_SIZE];
    if (!session_has_arguments(session, 0, "tapedeck keys rotate"))
        return COMMAND_USAGE;
    if (!check_folder(session->config, &error) || !keys_rotate(session->config, key_id, &error))
        return session_fail(session, &error);
    printf("%s\n", key_id);
    return COMMAND_OK;
}

int keys_run(const struct invocation *invocation)
{
    static const struct session_action actions[] = {
        {"rotate", rotate},
        {0},
    };
    return session_run(invocation, help, actions);
}
