#pragma once

/* Where a page of the list ended, as text that means nothing to the client. Pure. */

#include "base/error.h"
#include "base/id.h"

#define CURSOR_SIZE 32

void cursor_format(const struct id *last_id, char out_cursor[CURSOR_SIZE]);
/* ERROR_BAD_INPUT: not one of ours. */
MUST_CHECK bool cursor_parse(const char *cursor, struct id *out_last_id, struct error *error);
