#pragma once

/* The subcommands of tapedeck, and how main() finds the one that is asked for. */

#include "config/command_line.h"

int auth_run(const struct invocation *invocation);
int backup_run(const struct invocation *invocation);
int config_run(const struct invocation *invocation);
int convert_run(const struct invocation *invocation);
int converter_run(const struct invocation *invocation);
int doctor_run(const struct invocation *invocation);
int gateway_run(const struct invocation *invocation);
int keys_run(const struct invocation *invocation);
int migrate_run(const struct invocation *invocation);
int notifier_run(const struct invocation *invocation);
int queue_run(const struct invocation *invocation);
int serve_run(const struct invocation *invocation);
int user_run(const struct invocation *invocation);

/* Runs the subcommand that argv[1] names with what follows it; answers --help, --version and what
 * is no subcommand. The table ends with a row without a name. Returns the exit status. */
int commands_run(const struct command *commands, int argc, char **argv);
