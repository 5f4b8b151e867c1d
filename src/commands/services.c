/* The services as subcommands: one process each. */

#include "commands/commands.h"
#include "services/auth/auth.h"
#include "services/converter/converter.h"
#include "services/gateway/service.h"
#include "services/notifier/notifier.h"

int auth_run(const struct invocation *invocation)
{
    return service_run(&auth_service, invocation);
}

int converter_run(const struct invocation *invocation)
{
    return service_run(&converter_service, invocation);
}

int gateway_run(const struct invocation *invocation)
{
    return service_run(&gateway_service, invocation);
}

int notifier_run(const struct invocation *invocation)
{
    return service_run(&notifier_service, invocation);
}
