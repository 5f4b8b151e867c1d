/* The services as subcommands: one process each. */

#include "commands/commands.h"
#include "commands/session.h"

#include "base/log.h"
#include "services/auth/auth.h"
#include "services/converter/converter.h"
#include "services/gateway/service.h"
#include "services/notifier/notifier.h"

#define HELP_SIZE_MAX 2000

static int run(const struct service *service, const struct invocation *invocation)
{
    int status = COMMAND_FAILED;
    CLEANUP(buffer_finish) struct buffer help = BUFFER_WITH_MAX(HELP_SIZE_MAX);
    CLEANUP(session_finish) struct session session = {0};
    log_open(service->name, LOG_LEVEL_INFO);
    ignore_failure(buffer_append_format(
        &help, NULL,
        "usage: %s [--config FILE] [--set section.key=value]...\n\n%s\n\n"
        "Runs until SIGTERM or SIGINT, then ends what runs within stop.drain_max; a second signal\n"
        "ends it at once. Options: `tapedeck config options`.\n",
        invocation->program, service->summary));
    if (!session_open(invocation, buffer_text(&help), &session, &status))
        return status;
    if (!session_has_arguments(&session, 0, invocation->program))
        return COMMAND_USAGE;
    return service_run(service, session.config) ? COMMAND_OK : COMMAND_FAILED;
}

int auth_run(const struct invocation *invocation)
{
    return run(&auth_service, invocation);
}

int converter_run(const struct invocation *invocation)
{
    return run(&converter_service, invocation);
}

int gateway_run(const struct invocation *invocation)
{
    return run(&gateway_service, invocation);
}

int notifier_run(const struct invocation *invocation)
{
    return run(&notifier_service, invocation);
}
