#include "commands/convert_input.h"

#include "base/file.h"
#include "commands/temporary.h"
#include "model/failure.h"
#include "sandbox/worker_process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_SIZE 65536

struct convert_input {
    int fd; /* owned; standard input as a copy of its descriptor */
    int cancel_fd;
    struct stat status;
    uint64_t first; /* of a file: where it begins; standard input may have been read from before */

    int spool_fd; /* owned; -1: a file, read in place */
    uint64_t spooled;
    bool has_ended;
};

static bool open_path(struct convert_input *input, const char *path, struct error *error)
{
    bool is_standard = strcmp(path, "-") == 0;
    const char *name = is_standard ? "standard input" : path;
    if (is_standard && isatty(STDIN_FILENO))
        return error_set(error, ERROR_BAD_INPUT,
                         "standard input is a terminal: name a file, or pipe one in");
    /* Opening a named pipe would wait for its writer, deaf to Ctrl-C: file_wait() waits instead.
     */
    input->fd = is_standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                            : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (input->fd < 0)
        return error_set_errno(error, errno, "%s", name);
    if (fstat(input->fd, &input->status) != 0)
        return error_set_errno(error, errno, "%s", name);
    if (S_ISDIR(input->status.st_mode))
        return error_set(error, ERROR_BAD_INPUT, "%s is a folder", name);
    off_t at = is_standard ? lseek(input->fd, 0, SEEK_CUR) : 0;
    input->first = at > 0 ? (uint64_t)at : 0;
    return true;
}

/* One step of the pipe into the spool. */
static bool spool(struct convert_input *input, struct error *error)
{
    char bytes[STEP_SIZE];
    if (!file_wait(input->fd, POLLIN, input->cancel_fd, error))
        return false;
    ssize_t size = read(input->fd, bytes, sizeof bytes);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (size < 0)
        return error_set_errno(error, errno, "read the input");
    input->has_ended = size == 0;
    if (!file_write_at(input->spool_fd, bytes, (size_t)size, input->spooled, error))
        return error_prefix(error, "keep the input in %.100s", temporary_folder());
    input->spooled += (uint64_t)size;
    return true;
}

static bool prepare(struct convert_input *input, struct error *error)
{
    bool is_empty;
    if (S_ISREG(input->status.st_mode)) {
        is_empty = convert_input_size(input) == 0;
    } else {
        if (!temporary_open(&input->spool_fd, error))
            return error_prefix(error, "keep the input");
        while (input->spooled == 0 && !input->has_ended)
            if (!spool(input, error))
                return false;
        is_empty = input->spooled == 0;
    }
    return !is_empty || error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_EMPTY_FILE, "no bytes");
}

bool convert_input_open(const char *path, int cancel_fd, struct convert_input **out_input,
                        struct error *error)
{
    CLEANUP(convert_input_closep) struct convert_input *input = calloc(1, sizeof *input);
    if (input == NULL)
        abort();
    input->fd = -1;
    input->cancel_fd = cancel_fd;
    input->spool_fd = -1;
    if (!open_path(input, path, error) || !prepare(input, error))
        return false;
    *out_input = input;
    input = NULL;
    return true;
}

void convert_input_close(struct convert_input *input)
{
    if (input == NULL)
        return;
    file_close(input->fd);
    file_close(input->spool_fd);
    free(input);
}

void convert_input_closep(struct convert_input **input)
{
    convert_input_close(*input);
}

uint64_t convert_input_size(const struct convert_input *input)
{
    if (!S_ISREG(input->status.st_mode))
        return WORKER_SIZE_UNKNOWN;
    uint64_t size = (uint64_t)input->status.st_size;
    return size > input->first ? size - input->first : 0;
}

bool convert_input_is_file(const struct convert_input *input, const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_dev == input->status.st_dev &&
           status.st_ino == input->status.st_ino;
}

bool convert_input_read_at(void *context, uint64_t offset, void *bytes, size_t size,
                           size_t *out_size, struct error *error)
{
    struct convert_input *input = context;
    if (input->spool_fd < 0)
        return file_read_at(input->fd, bytes, size, input->first + offset, out_size, error);
    while (!input->has_ended && input->spooled < offset + size)
        if (!spool(input, error))
            return false;
    return file_read_at(input->spool_fd, bytes, size, offset, out_size, error);
}
