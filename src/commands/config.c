/* tapedeck config: what is configured, and what can be. */

#include "commands/commands.h"
#include "commands/session.h"

#include <stdio.h>

#define TEXT_SIZE_MAX (1024 * 1024)

static const char help[] =
    "usage: tapedeck config show\n"
    "       tapedeck config options [--markdown]\n\n"
    "show     the configuration as every other command would see it, with the source of each\n"
    "         value; secrets are masked\n"
    "options  the reference of every option: default, meaning, environment variable\n\n"
    "Values come from an INI file (--config FILE, or TAPEDECK_CONFIG), from the environment\n"
    "(TAPEDECK_SECTION_KEY) and from --set section.key=value; the later ones win.\n\n"
    "Examples:\n"
    "  tapedeck config show --config /etc/tapedeck.ini\n"
    "  tapedeck config options | grep -A 3 retention\n";

static int show(struct session *session)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(TEXT_SIZE_MAX);
    if (!session_has_arguments(session, 0, "tapedeck config show"))
        return COMMAND_USAGE;
    if (!config_show(session->config, &text, &error))
        return session_fail(session, &error);
    fputs(buffer_text(&text), stdout);
    return COMMAND_OK;
}

static int print_options(struct session *session)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(TEXT_SIZE_MAX);
    bool is_markdown = session_take_flag(session, "--markdown");
    if (!session_has_arguments(session, 0, "tapedeck config options [--markdown]"))
        return COMMAND_USAGE;
    if (!config_reference(session->invocation->option_tables,
                          is_markdown ? CONFIG_REFERENCE_MARKDOWN : CONFIG_REFERENCE_TERMINAL,
                          &text, &error))
        return session_fail(session, &error);
    fputs(buffer_text(&text), stdout);
    return COMMAND_OK;
}

int config_run(const struct invocation *invocation)
{
    static const struct session_action actions[] = {
        {"show", show},
        {"options", print_options},
        {0},
    };
    return session_run(invocation, help, actions);
}
