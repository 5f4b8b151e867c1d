#pragma once

/* How every command begins and ends: its arguments, its help, the configuration; and messages for
 * the person at the terminal, on standard error. */

#include "config/command_line.h"

struct session {
    const struct invocation *invocation; /* borrowed */
    struct command_line line;
    struct config *config; /* owned */
};

/* False: there is nothing more to do (help was asked for and printed, or something is wrong and
 * said), and *out_status is the exit status. */
MUST_CHECK bool session_open(const struct invocation *invocation, const char *help,
                             struct session *out_session, int *out_status);
void session_finish(struct session *session); /* for CLEANUP; a zeroed one is fine */

/* Takes the flag ("--admin") out of the rest of the arguments; false where it is not among them. */
bool session_take_flag(struct session *session, const char *flag);
/* What is left after the flags: exactly so many arguments, none of which looks like a flag unless
 * it stands after a "--", which is taken out. False: it was said on standard error, with the form
 * that was expected. */
MUST_CHECK bool session_has_arguments(struct session *session, int count, const char *form);

/* One of the actions of a command, as "add" of `tapedeck user`: taken out of the arguments. */
struct session_action {
    const char *name; /* NULL ends the table */
    int (*run)(struct session *session);
};
int session_run_action(struct session *session, const struct session_action *actions);
/* A whole command that has nothing but actions. */
int session_run(const struct invocation *invocation, const char *help,
                const struct session_action *actions);

/* Both print "tapedeck user: …" on standard error and return an exit status: COMMAND_FAILED, and
 * COMMAND_USAGE with a hint at --help. */
int session_fail(const struct session *session, const struct error *error);
int session_usage(const struct session *session, const char *format, ...) PRINTF_FORMAT(2, 3);
