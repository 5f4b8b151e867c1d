#include "commands/supervisor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUPERVISOR_VARIABLE "TAPEDECK_SUPERVISOR_FD"
#define CHILD_PIPE_FD 3
#define CHILD_LOCK_FD 4
#define PAUSE_LEAST_MS 250
#define PAUSE_MOST_MS (30 * CLOCK_SECOND_MS)
#define RAN_WELL_MS (60 * CLOCK_SECOND_MS) /* after it, the next pause is the shortest again */
#define READY_LOOK_MS 50
#define KILL_GRACE_MS 2000 /* for the kernel to end what was sent SIGKILL */

struct child {
    const struct supervisor_service *service;
    pid_t pid; /* 0: it does not run */
    int64_t started_at_ms;
    int64_t start_at_ms; /* where it does not run */
    unsigned failures;   /* in a row */
};

enum phase { PHASE_STARTING, PHASE_READY, PHASE_STOPPING };

struct supervisor {
    const struct supervisor_plan *plan;
    struct child children[SUPERVISOR_SERVICES_MAX];
    enum phase phase;
    int pipe_fds[2]; /* owned; nobody ever writes: its end is the message */
    char program[FILE_PATH_SIZE];
    char **environment; /* owned */
    char variable[64];
    size_t stopping;     /* index of the service that is being stopped */
    int64_t kill_at_ms;  /* it */
    bool was_told;       /* to stop, by a signal */
    bool gave_up;        /* a service ended before all were ready */
    struct error reason; /* why */
};

/* ---- Starting ---- */

/* Ours, and the variable that tells a service of its supervisor. */
static void make_environment(struct supervisor *supervisor)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    supervisor->environment = calloc(count + 2, sizeof *supervisor->environment);
    if (supervisor->environment == NULL)
        abort();
    snprintf(supervisor->variable, sizeof supervisor->variable, SUPERVISOR_VARIABLE "=%d",
             CHILD_PIPE_FD);
    memcpy(supervisor->environment, environ, count * sizeof *environ);
    supervisor->environment[count] = supervisor->variable;
}

/* The very program that runs, under the name that it has on disk. */
static bool find_program(char out_path[FILE_PATH_SIZE], struct error *error)
{
    ssize_t size = readlink("/proc/self/exe", out_path, FILE_PATH_SIZE - 1);
    if (size < 0)
        return error_set_errno(error, errno, "read /proc/self/exe");
    out_path[size] = '\0';
    return true;
}

static bool supervisor_init(struct supervisor *supervisor, const struct supervisor_plan *plan,
                            struct error *error)
{
    *supervisor = (struct supervisor){.plan = plan, .pipe_fds = {-1, -1}};
    for (size_t i = 0; i < plan->service_count; i++)
        supervisor->children[i].service = &plan->services[i];
    make_environment(supervisor);
    if (pipe2(supervisor->pipe_fds, O_CLOEXEC) != 0)
        return error_set_errno(error, errno, "pipe");
    return find_program(supervisor->program, error);
}

static void supervisor_finish(struct supervisor *supervisor)
{
    file_close(supervisor->pipe_fds[0]);
    file_close(supervisor->pipe_fds[1]);
    free(supervisor->environment);
}

/* Doubles from one failure to the next; between half of it and all of it, so that services which
 * fell together do not rise together. */
static int64_t pause_of(unsigned failures)
{
    int64_t pause_ms = PAUSE_LEAST_MS;
    for (unsigned i = 1; i < failures && pause_ms < PAUSE_MOST_MS; i++)
        pause_ms *= 2;
    if (pause_ms > PAUSE_MOST_MS)
        pause_ms = PAUSE_MOST_MS;
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    return pause_ms / 2 + random % (pause_ms / 2 + 1);
}

static void plan_restart(struct child *child)
{
    if (clock_boot_ms() - child->started_at_ms >= RAN_WELL_MS)
        child->failures = 0;
    child->failures++;
    child->start_at_ms = clock_boot_ms() + pause_of(child->failures);
}

/* A session of its own: Ctrl-C in the terminal is for us alone, who stop the services in order.
 * SIGKILL when we die, since it ends even one that hangs or is stopped. */
static void start(struct supervisor *supervisor, struct child *child)
{
    const struct process_fd fds[] = {
        {.from = STDERR_FILENO, .to = STDOUT_FILENO},
        {.from = STDERR_FILENO, .to = STDERR_FILENO},
        {.from = supervisor->pipe_fds[0], .to = CHILD_PIPE_FD},
        {.from = supervisor->plan->lock_fd, .to = CHILD_LOCK_FD},
    };
    const struct process_options options = {
        .path = supervisor->program,
        .arguments = child->service->arguments,
        .environment = (const char *const *)supervisor->environment,
        .fds = fds,
        .fd_count = ARRAY_COUNT(fds),
        .death_signal = SIGKILL,
        .own_session = true,
    };
    struct error error = {0};
    pid_t pid = 0;
    child->started_at_ms = clock_boot_ms();
    if (process_start(&options, &pid, &error)) {
        child->pid = pid;
        log_info("started", FIELD_TEXT("child", child->service->name), FIELD_COUNT("pid", pid));
        return;
    }
    plan_restart(child);
    log_error("cannot start", FIELD_TEXT("child", child->service->name),
              FIELD_TEXT("reason", error.text));
}

static void start_due(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->plan->service_count; i++) {
        struct child *child = &supervisor->children[i];
        if (child->pid == 0 && child->start_at_ms <= clock_boot_ms())
            start(supervisor, child);
    }
}

/* ---- Ending ---- */

static void stop_current(struct supervisor *supervisor)
{
    const struct child *child = &supervisor->children[supervisor->stopping];
    supervisor->kill_at_ms = clock_boot_ms() + child->service->drain_max_ms;
    if (child->pid != 0)
        kill(child->pid, SIGTERM);
}

static void begin_stop(struct supervisor *supervisor, const char *reason)
{
    log_info("stopping", FIELD_TEXT("reason", reason));
    supervisor->phase = PHASE_STOPPING;
    supervisor->stopping = 0;
    stop_current(supervisor);
}

static void kill_all(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->plan->service_count; i++) {
        if (supervisor->children[i].pid != 0)
            kill(supervisor->children[i].pid, SIGKILL);
    }
}

/* Goes on to the next service where the one that is being stopped has ended; true: all have. */
static bool advance_stop(struct supervisor *supervisor)
{
    for (;;) {
        const struct child *child = &supervisor->children[supervisor->stopping];
        if (child->pid != 0) {
            if (clock_boot_ms() < supervisor->kill_at_ms)
                return false;
            log_warning("killed: it did not stop in time",
                        FIELD_TEXT("child", child->service->name), FIELD_COUNT("pid", child->pid));
            kill(child->pid, SIGKILL);
            supervisor->kill_at_ms = clock_boot_ms() + KILL_GRACE_MS;
            return false;
        }
        if (++supervisor->stopping == supervisor->plan->service_count)
            return true;
        stop_current(supervisor);
    }
}

static void note_end(struct supervisor *supervisor, size_t index, int status)
{
    struct child *child = &supervisor->children[index];
    char how[PROCESS_STATUS_SIZE];
    process_describe_status(status, how);
    child->pid = 0;
    if (supervisor->phase == PHASE_STOPPING) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            log_warning("did not stop cleanly", FIELD_TEXT("child", child->service->name),
                        FIELD_TEXT("how", how));
        return;
    }
    if (supervisor->phase == PHASE_STARTING && WIFEXITED(status)) {
        error_set(&supervisor->reason, ERROR_INTERNAL,
                  "%s ended before all was ready (%s): see "
                  "what it logged",
                  child->service->name, how);
        supervisor->gave_up = true;
        begin_stop(supervisor, supervisor->reason.text);
        return;
    }
    plan_restart(child);
    log_error("a service ended by itself and is started again",
              FIELD_TEXT("child", child->service->name), FIELD_TEXT("how", how),
              FIELD_COUNT("failures", child->failures),
              FIELD_COUNT("pause_ms", child->start_at_ms - clock_boot_ms()));
    supervisor->plan->on_restart(supervisor->plan->context, index);
}

static void reap(struct supervisor *supervisor)
{
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < supervisor->plan->service_count; i++) {
            if (supervisor->children[i].pid == pid)
                note_end(supervisor, i, status);
        }
    }
}

/* ---- The loop ---- */

/* False: a second signal came, and nobody is waited for any more. */
static bool take_signal(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    if (read(supervisor->plan->signals_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return true;
    if (info.ssi_signo == SIGCHLD) {
        reap(supervisor);
        return true;
    }
    if (supervisor->was_told)
        return false;
    supervisor->was_told = true;
    if (supervisor->phase != PHASE_STOPPING)
        begin_stop(supervisor, sigdescr_np((int)info.ssi_signo));
    return true;
}

static void look_whether_ready(struct supervisor *supervisor)
{
    const struct supervisor_plan *plan = supervisor->plan;
    for (size_t i = 0; i < plan->service_count; i++) {
        if (supervisor->children[i].pid == 0 || !plan->is_ready(plan->context, i))
            return;
    }
    supervisor->phase = PHASE_READY;
    plan->on_ready(plan->context);
}

static int timeout_of(const struct supervisor *supervisor)
{
    if (supervisor->phase == PHASE_STARTING)
        return READY_LOOK_MS;
    int64_t next_ms = INT64_MAX;
    if (supervisor->phase == PHASE_STOPPING)
        next_ms = supervisor->kill_at_ms;
    for (size_t i = 0; supervisor->phase == PHASE_READY && i < supervisor->plan->service_count;
         i++) {
        const struct child *child = &supervisor->children[i];
        if (child->pid == 0 && child->start_at_ms < next_ms)
            next_ms = child->start_at_ms;
    }
    if (next_ms == INT64_MAX)
        return -1;
    int64_t left_ms = next_ms - clock_boot_ms();
    return left_ms < 0 ? 0 : left_ms > PAUSE_MOST_MS ? (int)PAUSE_MOST_MS : (int)left_ms + 1;
}

/* True: every service has ended in order. */
static bool loop(struct supervisor *supervisor)
{
    for (;;) {
        if (supervisor->phase != PHASE_STOPPING)
            start_due(supervisor);
        if (supervisor->phase == PHASE_STARTING)
            look_whether_ready(supervisor);
        if (supervisor->phase == PHASE_STOPPING && advance_stop(supervisor))
            return true;
        struct pollfd signals = {.fd = supervisor->plan->signals_fd, .events = POLLIN};
        if (poll(&signals, 1, timeout_of(supervisor)) > 0 && !take_signal(supervisor))
            return false;
    }
}

bool supervisor_run(const struct supervisor_plan *plan, struct error *error)
{
    CLEANUP(supervisor_finish) struct supervisor supervisor;
    if (!supervisor_init(&supervisor, plan, error))
        return false;
    if (!loop(&supervisor)) {
        kill_all(&supervisor);
        for (size_t i = 0; i < plan->service_count; i++) {
            int status;
            if (supervisor.children[i].pid != 0)
                process_wait(supervisor.children[i].pid, KILL_GRACE_MS, &status);
        }
        return error_set(error, ERROR_UNAVAILABLE, "stopped at once by a second signal");
    }
    if (supervisor.gave_up) {
        *error = supervisor.reason;
        return false;
    }
    return true;
}
