#pragma once

/* Where `convert` writes to. A file appears under its name when it is whole, and not before: until
 * then it has no name (O_TMPFILE), or where the file system cannot do that a hidden one beside it.
 * To standard output, and to whatever else cannot be written at any place, the MP3 goes at the
 * end, in one go: its first frame is known last. Until then it is kept in a temporary file. */

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct convert_output;

/* "-" is standard output. `cancel_fd` readable ends a wait for whoever reads it. ERROR_CONFLICT
 * where the file is there and `is_forced` is not set. */
MUST_CHECK bool convert_output_open(const char *path, bool is_forced, int cancel_fd,
                                    struct convert_output **out_output, struct error *error);
/* As struct worker_callbacks wants it; the context is the output. */
MUST_CHECK bool convert_output_write_at(void *output, uint64_t offset, const void *bytes,
                                        size_t size, struct error *error);
/* Puts the whole MP3 where it belongs. */
MUST_CHECK bool convert_output_finish(struct convert_output *output, struct error *error);
/* Without convert_output_finish() before it, nothing is left. NULL is fine. */
void convert_output_close(struct convert_output *output);
void convert_output_closep(struct convert_output **output);
