#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void file_close(int fd)
{
    if (fd < 0)
        return;
    int errno_before = errno;
    /* Never repeated: on Linux the descriptor is gone even after EINTR. */
    close(fd);
    errno = errno_before;
}

void file_closep(int *fd)
{
    file_close(*fd);
}

bool file_write(int fd, const void *bytes, size_t size, struct error *error)
{
    const char *at = bytes;
    while (size != 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_set_errno(error, errno, "write");
        at += written;
        size -= (size_t)written;
    }
    return true;
}

static bool offset_fits(uint64_t offset, size_t size)
{
    return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

bool file_write_at(int fd, const void *bytes, size_t size, uint64_t offset, struct error *error)
{
    if (!offset_fits(offset, size))
        return error_set_errno(error, EFBIG, "write");
    const char *at = bytes;
    while (size != 0) {
        ssize_t written = pwrite(fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_set_errno(error, errno, "write");
        at += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return true;
}

bool file_read_at(int fd, void *bytes, size_t size, uint64_t offset, size_t *out_size,
                  struct error *error)
{
    if (!offset_fits(offset, size))
        return error_set_errno(error, EFBIG, "read");
    char *at = bytes;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, at + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "read");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *out_size = done;
    return true;
}

bool file_wait(int fd, short events, int cancel_fd, struct error *error)
{
    struct pollfd fds[] = {
        {.fd = fd, .events = events},
        {.fd = cancel_fd, .events = POLLIN},
    };
    while (poll(fds, ARRAY_COUNT(fds), -1) < 0 && errno == EINTR)
        continue;
    return fds[1].revents == 0 || error_set(error, ERROR_UNAVAILABLE, "told to stop");
}

static bool load_descriptor(int fd, struct buffer *out_bytes, struct error *error)
{
    for (;;) {
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "read");
        if (got == 0)
            return true;
        if (!buffer_append(out_bytes, chunk, (size_t)got, error))
            return false;
    }
}

bool file_load(const char *path, struct buffer *out_bytes, struct error *error)
{
    CLEANUP(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", path);
    size_t size_before = out_bytes->size;
    if (!load_descriptor(fd, out_bytes, error)) {
        buffer_truncate(out_bytes, size_before);
        return error_prefix(error, "%s", path);
    }
    return true;
}

bool file_check_secret(const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return error_set_errno(error, errno, "%s", path);
    mode_t unwanted = status.st_uid == geteuid() ? 077 : 027;
    if ((status.st_mode & unwanted) == 0)
        return true;
    return error_set(error, ERROR_DENIED, "%s is open to others: its mode is %03o, not 600", path,
                     (unsigned)status.st_mode & 0777);
}

bool file_sync(int fd, struct error *error)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return error_set_errno(error, errno, "fsync");
    return true;
}

bool file_sync_folder(const char *path, struct error *error)
{
    CLEANUP(file_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", path);
    if (!file_sync(fd, error))
        return error_prefix(error, "%s", path);
    return true;
}

static bool folder_of(const char *path, char out_folder[FILE_PATH_SIZE], struct error *error)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return file_path(out_folder, error, ".");
    if (slash == path)
        return file_path(out_folder, error, "/");
    return file_path(out_folder, error, "%.*s", (int)(slash - path), path);
}

static bool fill_and_sync(int fd, mode_t mode, const void *bytes, size_t size, struct error *error)
{
    if (fchmod(fd, mode) != 0)
        return error_set_errno(error, errno, "chmod");
    return file_write(fd, bytes, size, error) && file_sync(fd, error);
}

bool file_save(const char *path, mode_t mode, const void *bytes, size_t size, struct error *error)
{
    char folder[FILE_PATH_SIZE];
    char temporary[FILE_PATH_SIZE];
    if (!folder_of(path, folder, error) || !file_path(temporary, error, "%s.XXXXXX", path))
        return false;
    CLEANUP(file_closep) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "create %s", temporary);
    if (!fill_and_sync(fd, mode, bytes, size, error)) {
        unlink(temporary);
        return error_prefix(error, "%s", temporary);
    }
    if (rename(temporary, path) != 0) {
        int errno_value = errno;
        unlink(temporary);
        return error_set_errno(error, errno_value, "rename to %s", path);
    }
    return file_sync_folder(folder, error);
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool make_one_folder(const char *path, mode_t mode, struct error *error)
{
    if (mkdir(path, mode) == 0)
        return true;
    int errno_value = errno;
    /* Another process may have been quicker; a file in its place is an error. */
    if (errno_value == EEXIST && is_folder(path))
        return true;
    return error_set_errno(error, errno_value, "make folder %s", path);
}

bool file_make_folder(const char *path, mode_t mode, struct error *error)
{
    if (is_folder(path))
        return true;
    char part[FILE_PATH_SIZE];
    if (!file_path(part, error, "%s", path))
        return false;
    for (char *at = part; *at != '\0'; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        if (!is_folder(part) && !make_one_folder(part, mode, error))
            return false;
        *at = '/';
    }
    return make_one_folder(path, mode, error);
}

bool file_free_space(const char *path, uint64_t *out_bytes, struct error *error)
{
    struct statvfs space;
    if (statvfs(path, &space) != 0)
        return error_set_errno(error, errno, "free space of %s", path);
    *out_bytes = (uint64_t)space.f_bavail * (uint64_t)space.f_frsize;
    return true;
}

bool file_path(char out_path[FILE_PATH_SIZE], struct error *error, const char *format, ...)
{
    char path[FILE_PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof path)
        return error_set(error, ERROR_TOO_LARGE, "path of %d bytes, limit %d", size,
                         FILE_PATH_SIZE - 1);
    memcpy(out_path, path, (size_t)size + 1);
    return true;
}
