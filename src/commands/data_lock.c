#include "commands/data_lock.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"
#define LOOK_INTERVAL_MS 100
#define HOLDERS_SIZE_MAX 120

static void folder_closep(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static bool has_open(const char *process, const struct stat *wanted)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, NULL, "/proc/%s/fd", process))
        return false;
    CLEANUP(folder_closep) DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
            status.st_dev == wanted->st_dev && status.st_ino == wanted->st_ino)
            return true;
    }
    return false;
}

/* The lock is on an open file that several processes share: /proc/locks knows only the one that
 * took it, and that may be gone. So whoever has the file open is named. */
static void find_holders(int fd, struct buffer *out_pids)
{
    struct stat wanted;
    CLEANUP(folder_closep) DIR *folder = opendir("/proc");
    if (folder == NULL || fstat(fd, &wanted) != 0)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        uint64_t pid = 0;
        if (!text_parse_count(entry->d_name, INT32_MAX, &pid, NULL) || (pid_t)pid == getpid() ||
            !has_open(entry->d_name, &wanted))
            continue;
        ignore_failure(buffer_append_format(out_pids, NULL, out_pids->size == 0 ? "%s" : ", %s",
                                            entry->d_name));
    }
}

static bool fail_held(int fd, const char *data_folder, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer pids = BUFFER_WITH_MAX(HOLDERS_SIZE_MAX);
    find_holders(fd, &pids);
    return error_set(error, ERROR_CONFLICT,
                     "%.60s is in use by another `tapedeck serve` (processes %s): stop that, or "
                     "name another folder with --set data.dir=",
                     data_folder, pids.size != 0 ? buffer_text(&pids) : "of another user");
}

static bool open_lock(const char *data_folder, int *out_fd, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/" LOCK_NAME, data_folder))
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", path);
    *out_fd = fd;
    return true;
}

/* *out_is_ours is false where another holds it. */
static bool try_lock(int fd, bool *out_is_ours, struct error *error)
{
    *out_is_ours = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (*out_is_ours || errno == EWOULDBLOCK || errno == EINTR)
        return true;
    return error_set_errno(error, errno, "lock data.dir");
}

bool data_lock_take(const char *data_folder, int64_t wait_max_ms, int interrupt_fd, int *out_fd,
                    struct error *error)
{
    CLEANUP(file_closep) int fd = -1;
    bool is_ours = false;
    if (!open_lock(data_folder, &fd, error) || !try_lock(fd, &is_ours, error))
        return false;
    if (!is_ours)
        log_info("waiting for the services of another serve to end",
                 FIELD_TEXT("folder", data_folder));
    int64_t end_ms = clock_boot_ms() + wait_max_ms;
    while (!is_ours) {
        if (clock_boot_ms() >= end_ms)
            return fail_held(fd, data_folder, error);
        struct pollfd interrupt = {.fd = interrupt_fd, .events = POLLIN};
        if (poll(&interrupt, 1, LOOK_INTERVAL_MS) > 0)
            return error_set(error, ERROR_UNAVAILABLE, "interrupted");
        if (!try_lock(fd, &is_ours, error))
            return false;
    }
    *out_fd = fd;
    fd = -1;
    return true;
}

bool data_lock_is_held(const char *data_folder, bool *out_is_held, struct error *error)
{
    bool is_ours = true;
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/" LOCK_NAME, data_folder))
        return false;
    CLEANUP(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "open %s", path);
    if (fd >= 0 && !try_lock(fd, &is_ours, error))
        return false;
    *out_is_held = !is_ours;
    return true;
}
