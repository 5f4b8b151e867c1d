/* What a process may do to confine itself, where this is run: a line for each way, and 1 if one
 * that a confined worker can use is not there. Static, so that it runs in any container:
 * tests/container/check-sandbox. */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define A_FILE "/dev/null" /* it is in every container */

/* Each runs in a child of its own: what is given up stays so. 0, or errno. */

static int forbid_sockets(unsigned flags)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EUCLEAN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
        return errno;
    return 0;
}

static int use_seccomp(void)
{
    int errno_value = forbid_sockets(0);
    if (errno_value != 0)
        return errno_value;
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EUCLEAN ? 0 : ENOTRECOVERABLE;
}

static int use_seccomp_of_all_threads(void)
{
    return forbid_sockets(SECCOMP_FILTER_FLAG_TSYNC);
}

static int use_seccomp_with_kill(void)
{
    unsigned action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : errno;
}

static int use_landlock(void)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE |
                                                              LANDLOCK_ACCESS_FS_WRITE_FILE};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0)
        return errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        return errno;
    return open(A_FILE, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : ENOTRECOVERABLE;
}

static int mark_descriptors(void)
{
    return syscall(SYS_close_range, 3U, ~0U, 4U) == 0 ? 0 : errno;
}

static int hold_process(void)
{
    return syscall(SYS_pidfd_open, getpid(), 0) >= 0 ? 0 : errno;
}

static int be_undumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno;
}

static int enter_user_namespace(void)
{
    return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

static const struct way {
    const char *name;
    int (*try)(void);
    bool is_needed;
} ways[] = {
    {"seccomp: a filter, and what it forbids is refused", use_seccomp, true},
    {"seccomp: of all threads at once (TSYNC)", use_seccomp_of_all_threads, true},
    {"seccomp: ending the whole process (KILL_PROCESS)", use_seccomp_with_kill, true},
    {"Landlock: a ruleset, and no file can be opened", use_landlock, true},
    {"close_range with CLOEXEC", mark_descriptors, true},
    {"pidfd_open", hold_process, true},
    {"not dumpable", be_undumpable, true},
    {"a user namespace", enter_user_namespace, false},
};

static int try_apart(const struct way *way)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(way->try());
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

int main(void)
{
    int status = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        int errno_value = try_apart(&ways[i]);
        if (errno_value == 0)
            printf("yes     %s\n", ways[i].name);
        else
            printf("no      %s: %s%s\n", ways[i].name, strerrorname_np(errno_value),
                   ways[i].is_needed ? "" : " (not needed)");
        if (errno_value != 0 && ways[i].is_needed)
            status = 1;
    }
    printf("        Landlock's version: %ld\n",
           syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION));
    return status;
}
