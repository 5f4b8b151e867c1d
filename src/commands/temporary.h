#pragma once

/* Temporary files that leave nothing behind, however the program ends: they never have a name, or
 * lose it at once. */

#include "base/error.h"

/* TMPDIR, else /var/tmp: what is kept may be as large as a video, and /tmp is memory in many
 * places. */
const char *temporary_folder(void);
/* For reading and writing. */
MUST_CHECK bool temporary_open(int *out_fd, struct error *error);
