#pragma once

/* Where `tapedeck convert` reads from and writes to: a file or a pipe, each way. */

#include "base/error.h"
#include "base/file.h"
#include <stdint.h>

/* A file, or standard input. What cannot be read at any place (a pipe) is kept in an unlinked
 * temporary file as far as it has been read, since an MP4 may have its index at the end. */
struct convert_input {
    int fd;       /* owned unless it is standard input */
    int spool_fd; /* owned; -1: fd can be read at any place */
    uint64_t spooled;
    bool has_ended;
    uint64_t size; /* WORKER_SIZE_UNKNOWN of a pipe */
    int cancel_fd; /* readable: stop waiting for the pipe */
};

MUST_CHECK bool convert_input_open(struct convert_input *out_input, const char *path, int cancel_fd,
                                   struct error *error);
/* As worker_callbacks.read_at; the context is the input. */
MUST_CHECK bool convert_input_read(void *input, uint64_t offset, void *bytes, size_t size,
                                   size_t *out_size, struct error *error);
void convert_input_finish(struct convert_input *input);

/* A temporary file beside the one that is wanted, which takes its name only when it is whole: no
 * half MP3 is ever seen. Standard output gets its bytes at the end, since the MP3's first frame is
 * known last. */
struct convert_output {
    const char *path;               /* "-": standard output */
    char temporary[FILE_PATH_SIZE]; /* "": the file has no name */
    int fd;
    bool replaces;
};

/* ERROR_CONFLICT: the file exists, and replaces is false. */
MUST_CHECK bool convert_output_open(struct convert_output *out_output, const char *path,
                                    bool replaces, struct error *error);
/* As worker_callbacks.write_at; the context is the output. */
MUST_CHECK bool convert_output_write(void *output, uint64_t offset, const void *bytes, size_t size,
                                     struct error *error);
MUST_CHECK bool convert_output_deliver(struct convert_output *output, struct error *error);
void convert_output_finish(struct convert_output *output); /* removes what was not delivered */
