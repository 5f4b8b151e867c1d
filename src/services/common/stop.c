#include "services/common/stop.h"

#include "base/clock.h"
#include "base/file.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool stop_open(struct stop *stop, struct error *error)
{
    stop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop->fd < 0)
        return error_set_errno(error, errno, "eventfd");
    atomic_init(&stop->is_told, false);
    atomic_init(&stop->end_boot_ms, INT64_MAX);
    return true;
}

void stop_close(struct stop *stop)
{
    file_close(stop->fd);
    stop->fd = -1;
}

void stop_tell(struct stop *stop, int64_t within_ms)
{
    atomic_store(&stop->end_boot_ms, clock_boot_ms() + within_ms);
    atomic_store(&stop->is_told, true);
    /* Readers look at is_told too, so that a write that cannot fail need not be checked. */
    ssize_t written = write(stop->fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;
}

bool stop_is_told(const struct stop *stop)
{
    return atomic_load(&stop->is_told);
}

int64_t stop_left_ms(const struct stop *stop)
{
    if (!stop_is_told(stop))
        return INT64_MAX;
    int64_t left_ms = atomic_load(&stop->end_boot_ms) - clock_boot_ms();
    return left_ms > 0 ? left_ms : 0;
}

bool stop_wait(const struct stop *stop, int64_t timeout_ms)
{
    int64_t end_boot_ms = clock_boot_ms() + timeout_ms;
    while (!stop_is_told(stop)) {
        int64_t left_ms = end_boot_ms - clock_boot_ms();
        if (left_ms <= 0)
            break;
        struct pollfd told = {.fd = stop->fd, .events = POLLIN};
        (void)poll(&told, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    }
    return !stop_is_told(stop);
}

bool stop_linger(const struct stop *stop, int64_t timeout_ms)
{
    int64_t end_boot_ms = clock_boot_ms() + timeout_ms;
    if (stop_wait(stop, timeout_ms))
        return true;
    int64_t left_ms = end_boot_ms - clock_boot_ms();
    if (left_ms > stop_left_ms(stop))
        left_ms = stop_left_ms(stop);
    if (left_ms > 0)
        (void)poll(NULL, 0, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    return stop_left_ms(stop) > 0;
}
