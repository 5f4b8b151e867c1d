#include "services/common/service.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "net/http_address.h"
#include "net/ops.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SUPERVISOR_VARIABLE "TAPEDECK_SUPERVISOR_FD"
#define SUPERVISOR_FD_MAX 1023
/* For what follows the drain: last messages, and threads that end. */
#define CLOSE_MAX_MS (3 * CLOCK_SECOND_MS)

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

const struct config_option service_options[] = {
    {
        .name = "ops.listen",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct service_settings, ops_listen, const char *),
        .standard = "127.0.0.1:9090",
        .check = http_address_check,
        .help = "Where /livez, /readyz and /metrics are served: address:port, [v6]:port or "
                "unix:/path. Port 0 picks one; the log line `listening` names it. For operators "
                "only.",
    },
    {
        .name = "stop.drain_max",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct service_settings, drain_max_ms, int64_t),
        .standard = "25s",
        .most = (uint64_t)CLOCK_HOUR_MS,
        .help = "How long a service that is told to stop goes on with what it has begun.",
    },
    {
        .name = "log.level",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct service_settings, log_level, const char *),
        .standard = "info",
        .choices = log_levels,
        .help = "The least important lines that are logged.",
    },
    {0},
};

enum log_level service_log_level(const struct service_settings *settings)
{
    for (int i = 0; log_levels[i] != NULL; i++)
        if (strcmp(settings->log_level, log_levels[i]) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

/* Out of the environment, so that no child of ours sees it. */
static bool take_supervisor_fd(int *out_fd, struct error *error)
{
    *out_fd = -1;
    const char *text = getenv(SUPERVISOR_VARIABLE);
    if (text == NULL)
        return true;
    uint64_t fd = 0;
    if (!text_parse_count(text, SUPERVISOR_FD_MAX, &fd, error))
        return error_prefix(error, "%s", SUPERVISOR_VARIABLE);
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set_errno(error, errno, "%s", SUPERVISOR_VARIABLE);
    unsetenv(SUPERVISOR_VARIABLE);
    *out_fd = (int)fd;
    return true;
}

static void end_at_once(int signal_number)
{
    _exit(128 + signal_number);
}

/* From here on a second signal does not wait for what drains. A handler of our own, since the first
 * process of a container is not ended by a signal's default. */
static void arm_second_signal(void)
{
    const struct sigaction action = {.sa_handler = end_at_once};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
}

/* Returns why it ends. */
static const char *wait_for_end(int signals_fd, int supervisor_fd)
{
    struct pollfd waits[] = {
        {.fd = signals_fd, .events = POLLIN},
        {.fd = supervisor_fd, .events = POLLIN}, /* -1 is left out */
    };
    for (;;) {
        if (poll(waits, ARRAY_COUNT(waits), -1) < 0 && errno != EINTR)
            return "cannot wait";
        if (waits[0].revents != 0) {
            /* Taken, or it would be the second one as soon as signals are let through. */
            struct signalfd_siginfo taken;
            if (read(signals_fd, &taken, sizeof taken) == (ssize_t)sizeof taken)
                return "signal";
        }
        if (waits[1].revents == 0)
            continue;
        char byte;
        ssize_t size = read(supervisor_fd, &byte, 1);
        if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN))
            return "supervisor ended";
    }
}

/* A store that stands still may hold up what waits for its answer. */
struct deadline {
    int over_fd; /* readable once the service has ended */
    int64_t at_boot_ms;
};

/* As if it were killed: what is left undone has its lease, and whoever looks next does it. */
static void *enforce_deadline(void *context)
{
    const struct deadline *deadline = context;
    struct pollfd over = {.fd = deadline->over_fd, .events = POLLIN};
    for (;;) {
        int64_t left_ms = deadline->at_boot_ms - clock_boot_ms();
        if (left_ms <= 0)
            break;
        if (poll(&over, 1, (int)left_ms) > 0)
            return NULL;
    }
    log_warning("stopped without waiting any longer: what was begun is left to its lease");
    _exit(EXIT_SUCCESS);
}

static void drain_and_close(const struct service *service, void *state, int64_t drain_max_ms)
{
    CLEANUP(file_closep) int over_fd = eventfd(0, EFD_CLOEXEC);
    struct deadline deadline = {over_fd, clock_boot_ms() + drain_max_ms + CLOSE_MAX_MS};
    pthread_t thread;
    bool is_enforced =
        over_fd >= 0 && pthread_create(&thread, NULL, enforce_deadline, &deadline) == 0;
    service->drain(state, drain_max_ms);
    service->close(state);
    if (!is_enforced)
        return;
    ignore_failure(write(over_fd, &(uint64_t){1}, sizeof(uint64_t)) > 0);
    pthread_join(thread, NULL);
}

static void end_service(const struct service *service, void *state, int64_t drain_max_ms,
                        const char *reason)
{
    int64_t begun_ms = clock_boot_ms();
    log_info("stopping", FIELD_TEXT("reason", reason));
    arm_second_signal();
    drain_and_close(service, state, drain_max_ms);
    log_info("stopped", FIELD_COUNT("duration_ms", clock_boot_ms() - begun_ms));
}

static bool run_open(const struct service *service, const struct config *config,
                     const struct service_settings *settings, int supervisor_fd,
                     struct error *error)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    CLEANUP(file_closep) int signals_fd = -1;
    CLEANUP(ops_closep) struct ops *ops = NULL;
    if (!process_signals_open(signals, &signals_fd, error) ||
        !ops_open(settings->ops_listen, service->name, &ops, error))
        return false;
    log_info("listening", FIELD_TEXT("port", "ops"), FIELD_TEXT("address", ops_address(ops)));
    void *state = NULL;
    if (!service->open(config, ops, &state, error))
        return false;
    ops_set_ready(ops, true);
    const char *reason = wait_for_end(signals_fd, supervisor_fd);
    ops_set_ready(ops, false);
    end_service(service, state, settings->drain_max_ms, reason);
    return true;
}

static bool run(const struct service *service, const struct config *config, struct error *error)
{
    struct service_settings settings = {0};
    CLEANUP(file_closep) int supervisor_fd = -1;
    if (!take_supervisor_fd(&supervisor_fd, error) ||
        !config_load(config, service_options, &settings, error))
        return false;
    log_open(service->name, service_log_level(&settings));
    return run_open(service, config, &settings, supervisor_fd, error);
}

bool service_run(const struct service *service, const struct config *config)
{
    struct error error = {0};
    /* A client that goes while we write to it is no reason to end, nor is a file that may grow no
     * further: like a full disk, that is an error which is handled. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    process_raise_fd_limit();
    bool succeeded = run(service, config, &error);
    if (!succeeded)
        log_error("cannot start", FIELD_TEXT("reason", error.text));
    return succeeded;
}
