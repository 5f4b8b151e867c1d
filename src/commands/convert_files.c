#include "commands/convert_files.h"

#include "base/id.h"
#include "sandbox/worker_process.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For large files that may outlive no reboot (Filesystem Hierarchy Standard 5.15): unlike /tmp it
 * is on a disk. */
#define SPOOL_FOLDER "/var/tmp"
#define COPY_SIZE 65536

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

static bool open_spool(int *out_fd, struct error *error)
{
    char path[] = SPOOL_FOLDER "/tapedeck-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "make a temporary file in " SPOOL_FOLDER);
    unlink(path);
    *out_fd = fd;
    return true;
}

bool convert_input_open(struct convert_input *out_input, const char *path, int cancel_fd,
                        struct error *error)
{
    struct convert_input input = {
        .fd = STDIN_FILENO, .spool_fd = -1, .size = WORKER_SIZE_UNKNOWN, .cancel_fd = cancel_fd};
    if (!is_standard(path))
        input.fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (input.fd < 0 || fstat(input.fd, &status) != 0)
        return error_set_errno(error, errno, "open %s", path);
    if (S_ISDIR(status.st_mode)) {
        file_close(input.fd);
        return error_set(error, ERROR_BAD_INPUT, "%.150s is a folder", path);
    }
    if (S_ISREG(status.st_mode))
        input.size = (uint64_t)status.st_size;
    else if (!open_spool(&input.spool_fd, error)) {
        convert_input_finish(&input);
        return false;
    }
    *out_input = input;
    return true;
}

void convert_input_finish(struct convert_input *input)
{
    if (input->fd != STDIN_FILENO)
        file_close(input->fd);
    file_close(input->spool_fd);
}

static bool wait_for_input(const struct convert_input *input, struct error *error)
{
    struct pollfd polls[] = {
        {.fd = input->fd, .events = POLLIN},
        {.fd = input->cancel_fd, .events = POLLIN},
    };
    while (poll(polls, ARRAY_COUNT(polls), -1) < 0) {
        if (errno != EINTR)
            return error_set_errno(error, errno, "wait for the input");
    }
    return polls[1].revents == 0 || error_set(error, ERROR_UNAVAILABLE, "told to stop");
}

/* Reads on until `end` bytes have come, or all. */
static bool spool(struct convert_input *input, uint64_t end, struct error *error)
{
    char bytes[COPY_SIZE];
    while (!input->has_ended && input->spooled < end) {
        if (!wait_for_input(input, error))
            return false;
        ssize_t got = read(input->fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "read the input");
        input->has_ended = got == 0;
        if (!file_write_at(input->spool_fd, bytes, (size_t)got, input->spooled, error))
            return error_prefix(error, "keep the input in " SPOOL_FOLDER);
        input->spooled += (uint64_t)got;
    }
    return true;
}

bool convert_input_read(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                        struct error *error)
{
    struct convert_input *input = context;
    if (input->spool_fd < 0)
        return file_read_at(input->fd, bytes, size, offset, out_size, error);
    return spool(input, offset + size, error) &&
           file_read_at(input->spool_fd, bytes, size, offset, out_size, error);
}

static bool open_temporary(struct convert_output *output, struct error *error)
{
    char folder[FILE_PATH_SIZE];
    struct id mark = id_make_random();
    if (!file_path(folder, error, "%s", output->path))
        return false;
    /* dirname() writes into its argument. */
    if (!file_path(output->temporary, error, "%s/.tapedeck-%s.part", dirname(folder), mark.text))
        return false;
    output->fd = open(output->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd >= 0)
        return true;
    output->temporary[0] = '\0';
    return error_set_errno(error, errno, "write to %s", output->path);
}

bool convert_output_open(struct convert_output *out_output, const char *path, bool replaces,
                         struct error *error)
{
    struct convert_output output = {.path = path, .fd = -1, .replaces = replaces};
    if (!is_standard(path) && !replaces && access(path, F_OK) == 0)
        return error_set(error, ERROR_CONFLICT, "%.150s exists; --force replaces it", path);
    if (!(is_standard(path) ? open_spool(&output.fd, error) : open_temporary(&output, error)))
        return false;
    *out_output = output;
    return true;
}

bool convert_output_write(void *context, uint64_t offset, const void *bytes, size_t size,
                          struct error *error)
{
    struct convert_output *output = context;
    return file_write_at(output->fd, bytes, size, offset, error);
}

static bool copy_to_standard_output(int fd, struct error *error)
{
    char bytes[COPY_SIZE];
    uint64_t offset = 0;
    for (;;) {
        size_t size = 0;
        if (!file_read_at(fd, bytes, sizeof bytes, offset, &size, error))
            return false;
        if (size == 0)
            return true;
        if (!file_write(STDOUT_FILENO, bytes, size, error))
            return error_prefix(error, "standard output");
        offset += size;
    }
}

bool convert_output_deliver(struct convert_output *output, struct error *error)
{
    if (is_standard(output->path))
        return copy_to_standard_output(output->fd, error);
    unsigned flags = output->replaces ? 0 : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, output->temporary, AT_FDCWD, output->path, flags) != 0)
        return error_set_errno(error, errno, "give the MP3 its name, %s", output->path);
    output->temporary[0] = '\0';
    return true;
}

void convert_output_finish(struct convert_output *output)
{
    if (output->temporary[0] != '\0')
        unlink(output->temporary);
    file_close(output->fd);
}
