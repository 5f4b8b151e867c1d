#include "sandbox/worker_process.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "sandbox/worker_run.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRAM "tapedeck-worker"
#define WORKER_FD 3
/* How long a worker that has closed its socket may take to be dead, before it is killed. */
#define END_WAIT_MS 2000

struct worker_process {
    char path[FILE_PATH_SIZE];
    pid_t pid;              /* 0: none runs */
    int socket_fd;          /* owned */
    int stderr_fd;          /* owned */
    struct worker_run *run; /* owned; its buffers serve one conversion after another */
};

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

static bool find_program(char out_path[FILE_PATH_SIZE], struct error *error)
{
    char folder[FILE_PATH_SIZE];
    if (!process_program_folder(folder, sizeof folder, error) ||
        !file_path(out_path, error, "%s/%s", folder, PROGRAM))
        return false;
    if (is_program(out_path))
        return true;
    if (!file_path(out_path, error, "%s/%s", TAPEDECK_LIBEXEC_DIR, PROGRAM))
        return false;
    if (is_program(out_path))
        return true;
    return error_set(error, ERROR_NOT_FOUND, "no " PROGRAM " in %.80s or %.80s: install it there",
                     folder, TAPEDECK_LIBEXEC_DIR);
}

bool worker_process_open(struct worker_process **out_process, struct error *error)
{
    struct worker_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        abort();
    process->socket_fd = -1;
    process->stderr_fd = -1;
    if (!find_program(process->path, error)) {
        free(process);
        return false;
    }
    process->run = worker_run_create();
    *out_process = process;
    return true;
}

static bool start(struct worker_process *process, struct error *error)
{
    int sockets[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return error_set_errno(error, errno, "socket pair");
    CLEANUP(file_closep) int ours = sockets[0];
    CLEANUP(file_closep) int theirs = sockets[1];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return error_set_errno(error, errno, "pipe");
    CLEANUP(file_closep) int stderr_read = pipes[0];
    CLEANUP(file_closep) int stderr_write = pipes[1];
    /* Only our ends: the worker's are as blocking as it likes. */
    if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0 || fcntl(stderr_read, F_SETFL, O_NONBLOCK) != 0)
        return error_set_errno(error, errno, "not blocking");

    /* An empty environment: nothing in ours is the worker's business. */
    static const char *const arguments[] = {PROGRAM, NULL};
    static const char *const environment[] = {NULL};
    const struct process_fd fds[] = {{theirs, WORKER_FD}, {stderr_write, STDERR_FILENO}};
    const struct process_options options = {
        .path = process->path,
        .arguments = arguments,
        .environment = environment,
        .fds = fds,
        .fd_count = ARRAY_COUNT(fds),
        .death_signal = SIGKILL,
    };
    if (!process_start(&options, &process->pid, error))
        return error_prefix(error, "worker");
    process->socket_fd = ours;
    process->stderr_fd = stderr_read;
    ours = -1;
    stderr_read = -1;
    return true;
}

static void forget(struct worker_process *process)
{
    file_close(process->socket_fd);
    file_close(process->stderr_fd);
    process->socket_fd = -1;
    process->stderr_fd = -1;
    process->pid = 0;
}

static void kill_worker(struct worker_process *process)
{
    if (process->pid == 0)
        return;
    process_kill(process->pid);
    forget(process);
}

bool worker_process_prepare(struct worker_process *process, struct error *error)
{
    int status;
    /* One that waited may have been killed meanwhile, by the system or by hand. */
    if (process->pid != 0 && process_wait(process->pid, 0, &status))
        forget(process);
    return process->pid != 0 || start(process, error);
}

void worker_process_close(struct worker_process *process)
{
    if (process == NULL)
        return;
    kill_worker(process);
    worker_run_destroy(process->run);
    free(process);
}

void worker_process_closep(struct worker_process **process)
{
    worker_process_close(*process);
}

/* A worker speaks only where something is very wrong: an assertion, a sanitizer's report. */
static void log_words(struct worker_process *process)
{
    char text[8192];
    ssize_t size = read(process->stderr_fd, text, sizeof text - 1);
    if (size <= 0)
        return;
    text[size] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != '\0')
            log_warning("the worker said", FIELD_TEXT("text", line));
}

/* The socket is closed without a last word: how it died is all there is to tell. */
static void describe_death(struct worker_process *process, struct error *error)
{
    int status;
    char description[PROCESS_STATUS_SIZE] = "had to be killed";
    if (process_wait(process->pid, END_WAIT_MS, &status)) {
        process_describe_status(status, description);
        process->pid = 0;
    }
    error_prefix(error, "%s", description);
}

enum worker_end worker_process_run(struct worker_process *process, const struct worker_job *job,
                                   const struct worker_callbacks *callbacks,
                                   struct worker_result *out_result, struct error *error)
{
    /* The reason is kept apart from the caller's, which may be NULL. */
    struct error reason = {0};
    enum worker_end end = WORKER_NO_WORKER;
    if (worker_process_prepare(process, &reason)) {
        bool is_gone = false;
        end = worker_run(process->run, process->socket_fd, job, callbacks, out_result, &is_gone,
                         &reason);
        if (is_gone)
            describe_death(process, &reason);
        log_words(process);
        if (process->pid != 0)
            kill_worker(process);
        else
            forget(process);
    }
    if (end != WORKER_DONE && error != NULL)
        *error = reason;
    return end;
}
