#pragma once

/* A system without accounts is of no use to anybody: `serve` asks for the first one on a terminal,
 * and elsewhere logs the command that makes it. */

#include "commands/session.h"

/* Does nothing where there is an account. The stores are migrated. While a person is asked, SIGINT,
 * SIGTERM and SIGHUP end the process, though they may be blocked otherwise. */
MUST_CHECK bool first_account(const struct session *session, const char *data_folder,
                              struct error *error);
