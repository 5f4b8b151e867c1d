#pragma once

/* Where `convert` reads from: a file in place, or whatever can only be read once, from front to
 * back (a pipe, a socket, a terminal's other end). What came through a pipe is kept in a temporary
 * file without a name, since many formats want to look back, and some (an MP4 whose index comes
 * last) cannot be begun before all of it is there. Formats made for streaming are converted while
 * they come in. */

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct convert_input;

/* "-" is standard input. `cancel_fd` readable ends a wait for bytes. FAILURE_EMPTY_FILE. */
MUST_CHECK bool convert_input_open(const char *path, int cancel_fd,
                                   struct convert_input **out_input, struct error *error);
void convert_input_close(struct convert_input *input); /* NULL is fine */
void convert_input_closep(struct convert_input **input);

uint64_t convert_input_size(const struct convert_input *input); /* or WORKER_SIZE_UNKNOWN */
/* True where writing that path would destroy what is read. */
bool convert_input_is_file(const struct convert_input *input, const char *path);
/* As struct worker_callbacks wants it; the context is the input. */
MUST_CHECK bool convert_input_read_at(void *input, uint64_t offset, void *bytes, size_t size,
                                      size_t *out_size, struct error *error);
