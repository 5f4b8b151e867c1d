#pragma once

/* Between the files of the door to MySQL: connecting, and what its errors mean. */

#include "stores/shared/sql.h"

/* A connection that is encrypted and verified where the URI says so, with our session's settings.
 */
MUST_CHECK bool sql_open_handle(const struct sql_server *server, struct st_mysql **out_handle,
                                struct error *error);

/* Sets the error that the library's number and text mean; returns false. */
bool sql_fail(const struct sql_server *server, unsigned number, const char *text,
              struct error *error);
#define sql_fail(...) always_false((sql_fail)(__VA_ARGS__))

/* The connection is gone, or not to be trusted any more. */
bool sql_is_lost(unsigned number);
/* The connection went on; what was asked can be asked again on it. */
bool sql_is_harmless(unsigned number);
