#pragma once

/* Files: whole reads and writes, durable replacement, folders. Every descriptor is O_CLOEXEC. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void file_close(int fd);   /* -1 is fine */
void file_closep(int *fd); /* for CLEANUP */

/* All of it or an error; EINTR is handled. _at: at that offset, as pread and pwrite. */
MUST_CHECK bool file_write(int fd, const void *bytes, size_t size, struct error *error);
MUST_CHECK bool file_write_at(int fd, const void *bytes, size_t size, uint64_t offset,
                              struct error *error);
/* Short only at the end of the file: *out_size tells. */
MUST_CHECK bool file_read_at(int fd, void *bytes, size_t size, uint64_t offset, size_t *out_size,
                             struct error *error);

/* Waits until the descriptor can be read (POLLIN) or written (POLLOUT), or has ended; or until
 * cancel_fd is readable: ERROR_UNAVAILABLE. */
MUST_CHECK bool file_wait(int fd, short events, int cancel_fd, struct error *error);

/* Appends the whole file; ERROR_TOO_LARGE where it does not fit the buffer. */
MUST_CHECK bool file_load(const char *path, struct buffer *out_bytes, struct error *error);
/* Replaces the file as one step that survives power loss: temporary file beside it, fsync, rename,
 * fsync of the folder. */
MUST_CHECK bool file_save(const char *path, mode_t mode, const void *bytes, size_t size,
                          struct error *error);

/* ERROR_DENIED: others than its owner may read or change the file of a secret. The group may read
 * one that is somebody else's, or nobody but that one could. */
MUST_CHECK bool file_check_secret(const char *path, struct error *error);

MUST_CHECK bool file_sync(int fd, struct error *error);
MUST_CHECK bool file_sync_folder(const char *path, struct error *error);
/* Makes the folder, and its parents, where it is missing; mode for those it makes. */
MUST_CHECK bool file_make_folder(const char *path, mode_t mode, struct error *error);
MUST_CHECK bool file_free_space(const char *path, uint64_t *out_bytes, struct error *error);

/* "folder/name"; ERROR_TOO_LARGE past PATH_MAX. */
#define FILE_PATH_SIZE 4096
MUST_CHECK bool file_path(char out_path[FILE_PATH_SIZE], struct error *error, const char *format,
                          ...) PRINTF_FORMAT(3, 4);
