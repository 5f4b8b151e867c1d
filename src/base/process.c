#include "base/process.h"

#include "base/clock.h"
#include "base/file.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD_LIMIT_MAX 65536

/* What the child needs, made ready by the parent: between vfork and exec the child runs on its
 * parent's memory, so it only makes system calls and writes to nothing but its own stack. */
struct start {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const struct process_fd *fds;
    size_t fd_count;
    int to[PROCESS_FDS_MAX + 3]; /* every descriptor that the child keeps, in rising order */
    size_t to_count;
    int free_from; /* first number past all of them */
    int death_signal;
    bool own_session;
    pid_t parent;
    int report_fd; /* CLOEXEC: closed by a successful exec, else errno comes through it */
};

/* execve and its kin take the strings as not const, and promise not to write to them (POSIX). */
static char *const *without_const(const char *const *texts)
{
    union {
        const char *const *with;
        char *const *without;
    } pointer = {.with = texts};
    return pointer.without;
}

static bool is_kept(const struct start *start, int fd)
{
    for (size_t i = 0; i < start->to_count; i++)
        if (start->to[i] == fd)
            return true;
    return false;
}

static void keep(struct start *start, int fd)
{
    size_t i = start->to_count++;
    for (; i > 0 && start->to[i - 1] > fd; i--)
        start->to[i] = start->to[i - 1];
    start->to[i] = fd;
}

static void prepare(const struct process_options *options, struct start *start)
{
    assert(options->fd_count <= PROCESS_FDS_MAX);
    *start = (struct start){
        .path = options->path,
        .arguments = without_const(options->arguments),
        .environment = options->environment != NULL ? without_const(options->environment) : environ,
        .fds = options->fds,
        .fd_count = options->fd_count,
        .death_signal = options->death_signal,
        .own_session = options->own_session,
        .parent = getpid(),
    };
    for (size_t i = 0; i < options->fd_count; i++) {
        assert(!is_kept(start, options->fds[i].to));
        keep(start, options->fds[i].to);
    }
    for (int fd = 0; fd <= 2; fd++)
        if (!is_kept(start, fd))
            keep(start, fd);
    start->free_from = start->to[start->to_count - 1] + 1;
}

/* The handlers are the parent's code: none may run in the child, which has its own table of them
 * (vfork does not share it) but the parent's memory. */
static void child_reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_open_standard_fds(const struct start *start)
{
    for (int fd = 0; fd <= 2; fd++) {
        bool is_given = false;
        for (size_t i = 0; i < start->fd_count; i++)
            is_given = is_given || start->fds[i].to == fd;
        if (is_given)
            continue;
        int null_fd = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        if (null_fd < 0)
            return errno;
        if (null_fd != fd && dup2(null_fd, fd) < 0)
            return errno;
    }
    return 0;
}

/* Everything that is not kept is closed by the exec, even what another thread of the parent opened
 * without O_CLOEXEC. */
static int child_mark_others(const struct start *start)
{
    unsigned first = 0;
    for (size_t i = 0; i < start->to_count; i++) {
        unsigned kept = (unsigned)start->to[i];
        if (kept > first && close_range(first, kept - 1, CLOSE_RANGE_CLOEXEC) != 0)
            return errno;
        first = kept + 1;
    }
    return close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) != 0 ? errno : 0;
}

static int child_arrange_fds(const struct start *start)
{
    /* First out of the way, past all numbers that are wanted: a `from` can be another one's `to`.
     */
    int moved[PROCESS_FDS_MAX];
    for (size_t i = 0; i < start->fd_count; i++) {
        moved[i] = fcntl(start->fds[i].from, F_DUPFD_CLOEXEC, start->free_from);
        if (moved[i] < 0)
            return errno;
    }
    for (size_t i = 0; i < start->fd_count; i++)
        if (dup2(moved[i], start->fds[i].to) < 0)
            return errno;
    int errno_value = child_open_standard_fds(start);
    return errno_value != 0 ? errno_value : child_mark_others(start);
}

static int child_exec(const struct start *start)
{
    if (start->death_signal != 0 && prctl(PR_SET_PDEATHSIG, start->death_signal) != 0)
        return errno;
    /* Died before the line above: nobody is left to send the signal. */
    if (getppid() != start->parent)
        _exit(127);
    if (start->own_session && setsid() < 0)
        return errno;
    int errno_value = child_arrange_fds(start);
    if (errno_value != 0)
        return errno_value;
    child_reset_signals();
    execve(start->path, start->arguments, start->environment);
    return errno;
}

/* Never returns: whoever called vfork must still find its own stack frame. */
static _Noreturn void child_run(const struct start *start)
{
    int report_fd = fcntl(start->report_fd, F_DUPFD_CLOEXEC, start->free_from);
    int errno_value = report_fd < 0 ? errno : child_exec(start);
    ssize_t written =
        write(report_fd < 0 ? start->report_fd : report_fd, &errno_value, sizeof errno_value);
    (void)written;
    _exit(127);
}

/* All signals stay blocked from before vfork until the child has none of our handlers left. */
static pid_t start_child(const struct start *start)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0)
        child_run(start);
    int errno_value = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errno_value;
    return pid;
}

static void reap(pid_t pid, int *out_status)
{
    while (waitpid(pid, out_status, 0) < 0 && errno == EINTR)
        continue;
}

bool process_start(const struct process_options *options, pid_t *out_pid, struct error *error)
{
    struct start start;
    prepare(options, &start);
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return error_set_errno(error, errno, "start %s: pipe", options->path);
    CLEANUP(file_closep) int read_fd = report[0];
    start.report_fd = report[1];

    pid_t pid = start_child(&start);
    int errno_value = errno;
    file_close(report[1]);
    if (pid < 0)
        return error_set_errno(error, errno_value, "start %s", options->path);

    ssize_t got;
    do
        got = read(read_fd, &errno_value, sizeof errno_value);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof errno_value) {
        reap(pid, NULL);
        return error_set_errno(error, errno_value, "start %s", options->path);
    }
    *out_pid = pid;
    return true;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    /* Fails where there is no such child: then there is nothing to wait for either. */
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

static bool wait_for_end(pid_t pid, int timeout_ms)
{
    CLEANUP(file_closep) int fd = pidfd_open(pid, 0);
    int64_t end_ms = clock_boot_ms() + timeout_ms;
    for (;;) {
        if (has_ended(pid))
            return true;
        int64_t left_ms = end_ms - clock_boot_ms();
        if (left_ms <= 0)
            return false;
        /* Without a descriptor to spare, a look every few milliseconds has to do. */
        struct pollfd ended = {.fd = fd, .events = POLLIN};
        poll(&ended, 1, fd >= 0 || left_ms < 5 ? (int)left_ms : 5);
    }
}

bool process_wait(pid_t pid, int timeout_ms, int *out_status)
{
    if (timeout_ms >= 0 && !wait_for_end(pid, timeout_ms))
        return false;
    *out_status = 255 << 8; /* as of exit(255), where it is not a child of ours */
    reap(pid, out_status);
    return true;
}

void process_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    reap(pid, NULL);
}

void process_describe_status(int status, char out_text[PROCESS_STATUS_SIZE])
{
    if (WIFSIGNALED(status)) {
        const char *description = sigdescr_np(WTERMSIG(status));
        snprintf(out_text, PROCESS_STATUS_SIZE, "killed by signal %d (%s)", WTERMSIG(status),
                 description != NULL ? description : "unknown");
        return;
    }
    snprintf(out_text, PROCESS_STATUS_SIZE, "exit status %d", WEXITSTATUS(status));
}

/* Whoever started us may have had signals ignored, and an ignored one comes through a signalfd all
 * the same. Of SIGHUP that is nohup's wish; of SIGCHLD it would hide how children end. */
static bool heed(int number)
{
    struct sigaction action;
    bool is_ignored = sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    if (is_ignored && number == SIGHUP)
        return false;
    if (is_ignored)
        signal(number, SIG_DFL);
    return true;
}

bool process_signals_open(const int *signals, int *out_fd, struct error *error)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *signals != 0; signals++)
        if (heed(*signals))
            sigaddset(&set, *signals);
    int errno_value = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (errno_value != 0)
        return error_set_errno(error, errno_value, "block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "signalfd");
    *out_fd = fd;
    return true;
}

void process_die_of_signal(int signals_fd)
{
    struct signalfd_siginfo taken;
    struct pollfd wait = {.fd = signals_fd, .events = POLLIN};
    if (poll(&wait, 1, 0) <= 0 || read(signals_fd, &taken, sizeof taken) != (ssize_t)sizeof taken)
        return;
    int number = (int)taken.ssi_signo;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + number); /* the first process of a container is not ended by a signal's default */
}

void process_occupy_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            /* The lowest free number is this one; it is opened for what nobody does to it. */
            (void)open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

void process_raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FD_LIMIT_MAX)
        return;
    limit.rlim_cur = limit.rlim_max < FD_LIMIT_MAX ? limit.rlim_max : FD_LIMIT_MAX;
    ignore_failure(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

bool process_program_folder(char *out_path, size_t size, struct error *error)
{
    char path[FILE_PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return error_set_errno(error, errno, "read /proc/self/exe");
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    size_t folder_size = slash != NULL && slash != path ? (size_t)(slash - path) : 1;
    if (folder_size >= size)
        return error_set(error, ERROR_TOO_LARGE, "the program's folder is longer than %zu bytes",
                         size - 1);
    memcpy(out_path, path, folder_size);
    out_path[folder_size] = '\0';
    return true;
}
