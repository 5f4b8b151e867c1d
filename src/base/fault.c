#include "base/fault.h"

#ifdef FAULTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void trace(const char *name)
{
    const char *path = getenv("TAPEDECK_FAULT_TRACE");
    if (path == NULL)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    char line[128];
    int size = snprintf(line, sizeof line, "%s\n", name);
    ssize_t written = write(fd, line, (size_t)size);
    (void)written;
    close(fd);
}

void fault_point(const char *name)
{
    static _Atomic long reached;
    long count = atomic_fetch_add(&reached, 1) + 1;
    trace(name);
    const char *kill_at = getenv("TAPEDECK_FAULT_KILL_AT");
    if (kill_at != NULL && strtol(kill_at, NULL, 10) == count)
        raise(SIGKILL);
}

#else
/* An empty translation unit is not ISO C. */
typedef int fault_points_are_off;
#endif
