#include "commands/convert_output.h"

#include "base/file.h"
#include "commands/temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a pipe that can be written to takes at once, without waiting (pipe(7)). */
#define COPY_SIZE PIPE_BUF

struct convert_output {
    char path[FILE_PATH_SIZE];
    char hidden_path[FILE_PATH_SIZE]; /* "": has no name, or lost it */
    int fd;                           /* owned; the MP3 as it grows */
    int stream_fd;                    /* owned; where it goes at the end; -1: a file */
    bool is_forced;
    int cancel_fd;
};

static bool hidden_path(struct convert_output *output, const char *suffix, struct error *error)
{
    char folder[FILE_PATH_SIZE], name[FILE_PATH_SIZE];
    memcpy(folder, output->path, sizeof folder);
    memcpy(name, output->path, sizeof name);
    return file_path(output->hidden_path, error, "%s/.%.200s.%s", dirname(folder), basename(name),
                     suffix);
}

static bool open_hidden(struct convert_output *output, struct error *error)
{
    if (!hidden_path(output, "XXXXXX", error))
        return false;
    output->fd = mkostemp(output->hidden_path, O_CLOEXEC);
    if (output->fd < 0) {
        output->hidden_path[0] = '\0';
        return error_set_errno(error, errno, "%s", output->path);
    }
    /* mkostemp() gives 0600; a file that a user asked for has what the umask leaves. */
    mode_t mask = umask(0);
    umask(mask);
    fchmod(output->fd, 0666 & ~mask);
    return true;
}

static bool open_file(struct convert_output *output, struct error *error)
{
    char folder[FILE_PATH_SIZE];
    memcpy(folder, output->path, sizeof folder);
    output->fd = open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (output->fd >= 0)
        return true;
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
        return open_hidden(output, error);
    return error_set_errno(error, errno, "%s", output->path);
}

/* Opening a named pipe waits for its reader. Nothing is there yet that would have to be taken away,
 * so that meanwhile a signal may end us as it ends any program. */
static int open_interruptibly(const char *path)
{
    sigset_t ending;
    sigset_t before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &ending, &before);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int errno_value = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errno_value;
    return fd;
}

static const char *name_of(const struct convert_output *output)
{
    return strcmp(output->path, "-") == 0 ? "standard output" : output->path;
}

static bool open_stream(struct convert_output *output, struct error *error)
{
    bool is_standard = strcmp(output->path, "-") == 0;
    if (is_standard && isatty(STDOUT_FILENO))
        return error_set(error, ERROR_BAD_INPUT,
                         "standard output is a terminal: name a file, or pipe it somewhere");
    output->stream_fd =
        is_standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open_interruptibly(output->path);
    if (output->stream_fd < 0)
        return error_set_errno(error, errno, "%s", name_of(output));
    return temporary_open(&output->fd, error);
}

static bool open_any(struct convert_output *output, struct error *error)
{
    struct stat status;
    if (strcmp(output->path, "-") == 0)
        return open_stream(output, error);
    if (lstat(output->path, &status) != 0)
        return open_file(output, error);
    struct stat target;
    if (stat(output->path, &target) == 0) /* else it is a link that leads nowhere, but is there */
        status = target;
    if (S_ISDIR(status.st_mode))
        return error_set(error, ERROR_BAD_INPUT, "%s is a folder", output->path);
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return open_stream(output, error);
    if (!output->is_forced)
        return error_set(error, ERROR_CONFLICT, "%s is there already: --force replaces it",
                         output->path);
    return open_file(output, error);
}

bool convert_output_open(const char *path, bool is_forced, int cancel_fd,
                         struct convert_output **out_output, struct error *error)
{
    CLEANUP(convert_output_closep) struct convert_output *output = calloc(1, sizeof *output);
    if (output == NULL)
        abort();
    output->fd = -1;
    output->stream_fd = -1;
    output->is_forced = is_forced;
    output->cancel_fd = cancel_fd;
    if (!file_path(output->path, error, "%s", path) || !open_any(output, error))
        return false;
    *out_output = output;
    output = NULL;
    return true;
}

bool convert_output_write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                             struct error *error)
{
    struct convert_output *output = context;
    if (file_write_at(output->fd, bytes, size, offset, error))
        return true;
    if (output->stream_fd >= 0)
        return error_prefix(error, "keep the MP3 in %.100s", temporary_folder());
    return error_prefix(error, "%.150s", output->path);
}

static bool copy_to_stream(struct convert_output *output, struct error *error)
{
    char bytes[COPY_SIZE];
    size_t size;
    for (uint64_t offset = 0;; offset += size) {
        if (!file_read_at(output->fd, bytes, sizeof bytes, offset, &size, error))
            return false;
        if (size == 0)
            return true;
        if (!file_wait(output->stream_fd, POLLOUT, output->cancel_fd, error))
            return false;
        if (!file_write(output->stream_fd, bytes, size, error))
            return error_prefix(error, "%.150s", name_of(output));
    }
}

static int link_unnamed(const struct convert_output *output, const char *path)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", output->fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* A file without a name cannot replace one: it gets a hidden name first. */
static bool give_hidden_name(struct convert_output *output, struct error *error)
{
    char suffix[16];
    snprintf(suffix, sizeof suffix, "%d", (int)getpid());
    if (!hidden_path(output, suffix, error))
        return false;
    if (link_unnamed(output, output->hidden_path) != 0) {
        output->hidden_path[0] = '\0';
        return error_set_errno(error, errno, "%s", output->path);
    }
    return true;
}

static bool refuse_existing(const struct convert_output *output, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "%s has appeared meanwhile: --force replaces it",
                     output->path);
}

/* FAT knows no links, and NFS no such renaming. A hidden name that is left is taken away by close.
 */
static bool rename_without_replacing(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
           (errno == EINVAL && link(from, to) == 0);
}

static bool name_without_replacing(struct convert_output *output, struct error *error)
{
    bool is_named = output->hidden_path[0] == '\0'
                        ? link_unnamed(output, output->path) == 0
                        : rename_without_replacing(output->hidden_path, output->path);
    if (is_named)
        return true;
    if (errno == EEXIST)
        return refuse_existing(output, error);
    return error_set_errno(error, errno, "%s", output->path);
}

static bool name_by_replacing(struct convert_output *output, struct error *error)
{
    if (output->hidden_path[0] == '\0' && !give_hidden_name(output, error))
        return false;
    if (rename(output->hidden_path, output->path) != 0)
        return error_set_errno(error, errno, "%s", output->path);
    output->hidden_path[0] = '\0';
    return true;
}

bool convert_output_finish(struct convert_output *output, struct error *error)
{
    if (output->stream_fd >= 0)
        return copy_to_stream(output, error);
    if (output->is_forced)
        return name_by_replacing(output, error);
    return name_without_replacing(output, error);
}

void convert_output_close(struct convert_output *output)
{
    if (output == NULL)
        return;
    if (output->hidden_path[0] != '\0')
        unlink(output->hidden_path);
    file_close(output->fd);
    file_close(output->stream_fd);
    free(output);
}

void convert_output_closep(struct convert_output **output)
{
    convert_output_close(*output);
}
