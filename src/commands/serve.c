/* tapedeck serve: the whole system on one machine. */

#include "commands/commands.h"
#include "commands/data_lock.h"
#include "commands/first_account.h"
#include "commands/serve_plan.h"
#include "commands/session.h"

#include "base/log.h"
#include "base/process.h"
#include "services/common/gateway_key.h"
#include "services/common/service.h"
#include "stores/job_queue/job_queue.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/user_store/user_store.h"
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

static const char help[] =
    "usage: tapedeck serve [--config FILE] [--set section.key=value]...\n\n"
    "Runs the whole system on this machine: gateway, auth, converter and notifier as child\n"
    "processes, with everything they store below data.dir. One that dies is started again. Runs\n"
    "until SIGTERM or SIGINT (Ctrl-C), then ends what runs within stop.drain_max; a second signal\n"
    "ends it at once. Says `ready`, with the address, once all four work.\n\n"
    "On a terminal it asks for the first account; elsewhere it says how to make one.\n\n"
    "Examples:\n"
    "  tapedeck serve --set data.dir=$HOME/tapedeck\n"
    "  tapedeck serve --config /etc/tapedeck.ini --set gateway.listen=0.0.0.0:8080\n";

struct serve {
    struct service_settings settings;
    char data_folder[FILE_PATH_SIZE]; /* absolute */
    struct serve_plan plan;
    struct serve_ops *ops; /* owned */
    int signals_fd;        /* owned */
    int lock_fd;           /* owned; the services have copies */
};

static void serve_finish(struct serve *serve)
{
    serve_ops_close(serve->ops);
    serve_plan_close(&serve->plan);
    file_close(serve->lock_fd);
    file_close(serve->signals_fd);
}

/* ---- What the supervisor tells ---- */

static bool is_ready(void *context, size_t index)
{
    struct serve *serve = context;
    return serve_ops_is_ready(serve->ops, index);
}

static void on_ready(void *context)
{
    const struct serve *serve = context;
    log_info("ready", FIELD_TEXT("address", serve->plan.public_url),
             FIELD_TEXT("ops", serve_ops_address(serve->ops)),
             FIELD_TEXT("data", serve->data_folder));
}

static void on_restart(void *context, size_t index)
{
    struct serve *serve = context;
    serve_ops_count_restart(serve->ops, index);
}

/* ---- Before the services ---- */

/* Absolute, whatever was written: sockets are found by it, and people are told it. */
static bool find_data_folder(const struct config *config, char out_path[FILE_PATH_SIZE],
                             struct error *error)
{
    const char *path = NULL;
    if (!data_folder_make(config, &path, error))
        return false;
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return error_set_errno(error, errno, "data.dir %.150s", path);
    bool fits = file_path(out_path, error, "%s", absolute);
    free(absolute);
    return fits;
}

/* What auth and gateway both need: neither could say so as clearly, nor end all. */
static bool check_gateway_key(const struct config *config, struct error *error)
{
    char key[GATEWAY_KEY_SIZE];
    bool is_usable = gateway_key_load(config, key, error);
    sodium_memzero(key, sizeof key);
    return is_usable || error_prefix(error, "auth.gateway_key_file");
}

/* Nobody else has them open: the lock is ours. */
static bool migrate(const struct config *config, struct error *error)
{
    return record_store_migrate(config, error) && job_queue_migrate(config, error) &&
           user_store_migrate(config, error);
}

static bool prepare(struct serve *serve, const struct session *session, struct error *error)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0};
    return process_signals_open(signals, &serve->signals_fd, error) &&
           find_data_folder(session->config, serve->data_folder, error) &&
           data_lock_take(serve->data_folder, serve->settings.drain_max_ms, serve->signals_fd,
                          &serve->lock_fd, error) &&
           check_gateway_key(session->config, error) && migrate(session->config, error) &&
           first_account(session, serve->data_folder, error) &&
           serve_plan_open(session, serve->data_folder, serve->settings.drain_max_ms, &serve->plan,
                           error) &&
           serve_ops_open(serve->settings.ops_listen, serve->plan.ops, SERVE_SERVICE_COUNT,
                          &serve->ops, error);
}

static bool run(struct serve *serve, const struct session *session, struct error *error)
{
    if (!prepare(serve, session, error))
        return false;
    log_info("listening", FIELD_TEXT("port", "ops"),
             FIELD_TEXT("address", serve_ops_address(serve->ops)));
    const struct supervisor_plan plan = {
        .services = serve->plan.services,
        .service_count = SERVE_SERVICE_COUNT,
        .lock_fd = serve->lock_fd,
        .signals_fd = serve->signals_fd,
        .is_ready = is_ready,
        .on_ready = on_ready,
        .on_restart = on_restart,
        .context = serve,
    };
    return supervisor_run(&plan, error);
}

int serve_run(const struct invocation *invocation)
{
    struct error error = {0};
    int status = COMMAND_FAILED;
    CLEANUP(session_finish) struct session session = {0};
    if (!session_open(invocation, help, &session, &status))
        return status;
    if (!session_has_arguments(&session, 0, "tapedeck serve"))
        return COMMAND_USAGE;
    CLEANUP(serve_finish)
    struct serve serve = {
        .plan = {.gateway_fd = -1, .auth_fd = -1},
        .signals_fd = -1,
        .lock_fd = -1,
    };
    if (!config_load(session.config, service_options, &serve.settings, &error))
        return session_fail(&session, &error);
    log_open("serve", service_log_level(&serve.settings));
    signal(SIGPIPE, SIG_IGN);
    if (!run(&serve, &session, &error)) {
        log_error("ended", FIELD_TEXT("reason", error.text));
        return COMMAND_FAILED;
    }
    log_info("stopped");
    return COMMAND_OK;
}
