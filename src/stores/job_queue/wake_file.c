#include "stores/job_queue/wake_file.h"

#include "base/id.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Without inotify (its instances are few for each user) a waiter looks this often. */
#define LOOK_MS 50

static struct flock lock_of(int64_t taker)
{
    return (struct flock){
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)taker,
        .l_len = 1,
    };
}

static bool lock_new_taker(struct wake_file *file, struct error *error)
{
    for (;;) {
        uint64_t drawn = 0;
        random_fill(&drawn, sizeof drawn);
        file->taker = (int64_t)(drawn >> 2) + 1; /* the first byte is the one that rings */
        struct flock lock = lock_of(file->taker);
        /* A lock of the open file, not of the process: two handles in one process are two. */
        if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
            return true;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return error_set_errno(error, errno, "lock %s", file->path);
    }
}

bool wake_file_open(struct wake_file *file, struct error *error)
{
    if (file->fd >= 0)
        return true;
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return error_set(error, ERROR_UNAVAILABLE, "open %s: %s", file->path, strerror(errno));
    if (lock_new_taker(file, error))
        return true;
    wake_file_close(file);
    return false;
}

void wake_file_close(struct wake_file *file)
{
    file_close(file->notify_fd);
    file_close(file->fd);
    file->notify_fd = -1;
    file->fd = -1;
    file->taker = 0;
}

bool wake_file_ring(struct wake_file *file, struct error *error)
{
    return wake_file_open(file, error) && file_write_at(file->fd, "!", 1, 0, error);
}

bool wake_file_is_alive(struct wake_file *file, int64_t taker, bool *out_is_alive,
                        struct error *error)
{
    struct flock lock = lock_of(taker);
    if (fcntl(file->fd, F_OFD_GETLK, &lock) != 0)
        return error_set_errno(error, errno, "look at a lock of %s", file->path);
    *out_is_alive = lock.l_type != F_UNLCK;
    return true;
}

static void open_notify(struct wake_file *file)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0 && inotify_add_watch(fd, file->path, IN_MODIFY) >= 0) {
        file->notify_fd = fd;
        return;
    }
    static bool was_told;
    if (!__atomic_test_and_set(&was_told, __ATOMIC_RELAXED))
        log_warning("no inotify: waiting for messages by looking",
                    FIELD_TEXT("reason", strerror(errno)));
    file_close(fd);
}

bool wake_file_listen(struct wake_file *file, struct error *error)
{
    if (!wake_file_open(file, error))
        return false;
    if (file->notify_fd < 0)
        open_notify(file);
    char events[4096];
    while (file->notify_fd >= 0 && read(file->notify_fd, events, sizeof events) > 0)
        continue;
    return true;
}

enum wake_cause wake_file_wait(struct wake_file *file, int timeout_ms, int interrupt_fd)
{
    struct pollfd watched[] = {
        {.fd = file->notify_fd, .events = POLLIN}, /* poll leaves out those below 0 */
        {.fd = interrupt_fd, .events = POLLIN},
    };
    if (file->notify_fd < 0 && timeout_ms > LOOK_MS)
        timeout_ms = LOOK_MS;
    int ready = poll(watched, ARRAY_COUNT(watched), timeout_ms);
    if (ready > 0 && watched[1].revents != 0)
        return WAKE_INTERRUPT;
    return ready > 0 ? WAKE_RING : WAKE_TIMEOUT;
}
