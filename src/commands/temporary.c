#include "commands/temporary.h"

#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

const char *temporary_folder(void)
{
    /* Not an option of ours: the system's own convention (POSIX, "Environment Variables"). */
    const char *folder = getenv("TMPDIR");
    return folder != NULL && folder[0] == '/' ? folder : "/var/tmp";
}

/* For file systems that cannot make a file without a name. */
static bool open_and_unlink(int *out_fd, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/tapedeck.XXXXXX", temporary_folder()))
        return false;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "temporary file in %.100s", temporary_folder());
    unlink(path);
    *out_fd = fd;
    return true;
}

bool temporary_open(int *out_fd, struct error *error)
{
    int fd = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return open_and_unlink(out_fd, error);
    *out_fd = fd;
    return true;
}
