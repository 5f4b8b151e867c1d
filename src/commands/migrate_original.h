#pragma once

/* The last step of `tapedeck migrate`: the original system's accounts, whose passwords stand in its
 * table as they were typed, become accounts of ours, which have hashes. */

#include "base/error.h"
#include "config/config.h"
#include <stddef.h>

/* ERROR_BAD_INPUT: some could not be moved, and each was named on standard error; all others were.
 */
MUST_CHECK bool migrate_original(const struct config *config, size_t *out_moved,
                                 struct error *error);
