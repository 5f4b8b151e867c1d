/* The services as subcommands: one process each. */

#include "commands/commands.h"
#include "services/auth/auth.h"

int auth_run(const struct invocation *invocation)
{
    return service_run(&auth_service, invocation);
}
