#include "commands/serve_plan.h"

#include "base/text.h"
#include "net/http_address.h"
#include "services/auth/auth.h"
#include "services/gateway/settings.h"
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* In the order in which they stop: first nothing comes in any more, then what runs ends, then it is
 * told, and auth, which gateways ask until their last request, goes last. Each has its share of
 * stop.drain_max, so that the whole stop keeps to it. */
static const struct {
    const char *name;
    unsigned drain_percent;
} rows[SERVE_SERVICE_COUNT] = {
    {"gateway", 45},
    {"converter", 25},
    {"notifier", 20},
    {"auth", 10},
};

#define AUTH_SOCKET "auth"
#define OPS_SOCKET_SUFFIX ".ops"
/* Of the folder with room for its longest socket, within sun_path. */
#define SOCKET_FOLDER_SIZE_MAX                                                                     \
    (sizeof((struct sockaddr_un *)0)->sun_path - sizeof "/converter" OPS_SOCKET_SUFFIX)

/* ---- Where the sockets are ---- */

/* /tmp is everybody's: what lies there under the name must be ours and closed to others. */
static bool check_private(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_set_errno(error, errno, "%.100s", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return error_set(error, ERROR_DENIED,
                         "%.100s is not a folder of this user alone: remove it, or choose a "
                         "shorter data.dir",
                         path);
    return true;
}

/* The same name for the same data folder, so that a killed `serve` leaves nothing that the next
 * one does not use. */
static bool name_runtime_folder(const char *data_folder, char out_path[FILE_PATH_SIZE],
                                struct error *error)
{
    unsigned char hash[8];
    char name[2 * sizeof hash + 1];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    crypto_generichash(hash, sizeof hash, (const unsigned char *)data_folder, strlen(data_folder),
                       NULL, 0);
    sodium_bin2hex(name, sizeof name, hash, sizeof hash);
    if (runtime == NULL || runtime[0] != '/' || strlen(runtime) + 30 > SOCKET_FOLDER_SIZE_MAX)
        runtime = "/tmp";
    return file_path(out_path, error, "%s/tapedeck-%s", runtime, name);
}

static bool name_socket_folder(const char *data_folder, char out_path[FILE_PATH_SIZE],
                               bool *out_is_runtime, struct error *error)
{
    if (!file_path(out_path, error, "%s/run", data_folder))
        return false;
    *out_is_runtime = strlen(out_path) > SOCKET_FOLDER_SIZE_MAX;
    return !*out_is_runtime || name_runtime_folder(data_folder, out_path, error);
}

/* What services that were killed left. */
static void remove_sockets(const struct serve_plan *plan)
{
    char path[FILE_PATH_SIZE];
    if (file_path(path, NULL, "%s/" AUTH_SOCKET, plan->sockets))
        unlink(path);
    for (size_t i = 0; i < SERVE_SERVICE_COUNT; i++) {
        if (file_path(path, NULL, "%s/%s" OPS_SOCKET_SUFFIX, plan->sockets, rows[i].name))
            unlink(path);
    }
}

static bool make_socket_folder(struct serve_plan *plan, const char *data_folder,
                               struct error *error)
{
    if (!name_socket_folder(data_folder, plan->sockets, &plan->is_runtime_folder, error) ||
        !file_make_folder(plan->sockets, 0700, error) || !check_private(plan->sockets, error))
        return false;
    /* The lock of data.dir is ours. Who still answers there is on its way out: the kernel gives a
     * killed process's part of the lock back a moment before its sockets. */
    remove_sockets(plan);
    return true;
}

bool serve_plan_auth_url(const char *data_folder, char out_url[FILE_PATH_SIZE], struct error *error)
{
    char sockets[FILE_PATH_SIZE];
    bool is_runtime_folder = false;
    char *absolute = realpath(data_folder, NULL);
    if (absolute == NULL)
        return error_set_errno(error, errno, "data.dir %.150s", data_folder);
    bool succeeded = name_socket_folder(absolute, sockets, &is_runtime_folder, error) &&
                     file_path(out_url, error, "unix:%s/" AUTH_SOCKET, sockets);
    free(absolute);
    return succeeded;
}

/* ---- What is decided ---- */

static bool decide(struct serve_plan *plan, const char *name, const char *prefix, const char *value,
                   struct error *error)
{
    return file_path(plan->decisions[plan->decision_count++], error, "%s=%s%s", name, prefix,
                     value);
}

static bool decide_gateway(struct serve_plan *plan, const struct config *config,
                           struct error *error)
{
    struct gateway_settings settings = {0};
    struct public_url url;
    char address[HTTP_ADDRESS_SIZE];
    if (!config_load(config, gateway_options, &settings, error) ||
        !public_url_load(config, &url, error))
        return false;
    if (!http_address_reserve(settings.listen, &plan->gateway_fd, address, error))
        return error_prefix(error, "gateway.listen");
    if (!decide(plan, "gateway.listen", "", address, error))
        return false;
    if (url.text[0] != '\0')
        return text_copy(plan->public_url, sizeof plan->public_url, url.text);
    if (!text_starts_with(address, "unix:")) {
        snprintf(plan->public_url, sizeof plan->public_url, "http://%s", address);
        return decide(plan, "gateway.public_url", "", plan->public_url, error);
    }
    /* Behind a socket file there is a proxy whose address we do not know. */
    text_copy(plan->public_url, sizeof plan->public_url, address);
    return decide(plan, "gateway.public_url", "", "http://localhost", error);
}

static bool decide_auth(struct serve_plan *plan, const struct config *config, struct error *error)
{
    char address[HTTP_ADDRESS_SIZE];
    struct auth_settings settings = {0};
    if (!config_load(config, auth_options, &settings, error))
        return false;
    if (!config_is_given(config, "auth.listen")) {
        char socket[FILE_PATH_SIZE];
        return file_path(socket, error, "unix:%s/" AUTH_SOCKET, plan->sockets) &&
               decide(plan, "auth.listen", "", socket, error) &&
               decide(plan, "gateway.auth_url", "", socket, error);
    }
    if (!http_address_reserve(settings.listen, &plan->auth_fd, address, error))
        return error_prefix(error, "auth.listen");
    bool is_socket = text_starts_with(address, "unix:");
    return decide(plan, "auth.listen", "", address, error) &&
           decide(plan, "gateway.auth_url", is_socket ? "" : "http://", address, error);
}

/* ---- Arguments ---- */

/* A value that is decided here replaces one that was given: twice would be a mistake. */
static bool is_decided(const struct serve_plan *plan, const char *assignment)
{
    size_t name_size = strcspn(assignment, "=") + 1;
    for (size_t i = 0; i < plan->decision_count; i++) {
        if (strncmp(plan->decisions[i], assignment, name_size) == 0)
            return true;
    }
    return strncmp(assignment, "ops.listen=", name_size) == 0 ||
           strncmp(assignment, "stop.drain_max=", name_size) == 0;
}

struct arguments {
    const char **texts;
    size_t count;
};

static bool add(struct arguments *arguments, const char *flag, const char *value,
                struct error *error)
{
    if (arguments->count + 2 > SUPERVISOR_ARGUMENTS_MAX)
        return error_set(error, ERROR_BAD_INPUT,
                         "too many --set for `serve`, which adds some of its own: use --config");
    arguments->texts[arguments->count++] = flag;
    arguments->texts[arguments->count++] = value;
    return true;
}

static bool add_given(const struct serve_plan *plan, const struct command_line *line,
                      struct arguments *arguments, struct error *error)
{
    if (line->config_file != NULL && !add(arguments, "--config", line->config_file, error))
        return false;
    for (size_t i = 0; i < line->assignment_count; i++) {
        if (!is_decided(plan, line->assignments[i]) &&
            !add(arguments, "--set", line->assignments[i], error))
            return false;
    }
    for (size_t i = 0; i < plan->decision_count; i++) {
        if (!add(arguments, "--set", plan->decisions[i], error))
            return false;
    }
    return true;
}

static bool plan_service(struct serve_plan *plan, const struct session *session, size_t index,
                         int64_t drain_max_ms, struct error *error)
{
    struct supervisor_service *service = &plan->services[index];
    char drain_max[TEXT_UNIT_SIZE];
    service->name = rows[index].name;
    service->drain_max_ms = drain_max_ms * rows[index].drain_percent / 100;
    /* A little less than after what it is killed. */
    text_format_duration_ms(service->drain_max_ms * 9 / 10, drain_max);
    snprintf(plan->own[index].drain_max, sizeof plan->own[index].drain_max, "stop.drain_max=%s",
             drain_max);
    if (!file_path(plan->own[index].ops_listen, error, "ops.listen=unix:%s/%s" OPS_SOCKET_SUFFIX,
                   plan->sockets, service->name))
        return false;
    plan->ops[index] = (struct serve_ops_service){
        .name = service->name,
        .address = plan->own[index].ops_listen + strlen("ops.listen="),
    };
    struct arguments arguments = {.texts = service->arguments};
    arguments.texts[arguments.count++] = "tapedeck";
    arguments.texts[arguments.count++] = service->name;
    return add_given(plan, &session->line, &arguments, error) &&
           add(&arguments, "--set", plan->own[index].ops_listen, error) &&
           add(&arguments, "--set", plan->own[index].drain_max, error);
}

bool serve_plan_open(const struct session *session, const char *data_folder, int64_t drain_max_ms,
                     struct serve_plan *plan, struct error *error)
{
    *plan = (struct serve_plan){.gateway_fd = -1, .auth_fd = -1};
    if (!make_socket_folder(plan, data_folder, error) ||
        !decide_gateway(plan, session->config, error) || !decide_auth(plan, session->config, error))
        return false;
    for (size_t i = 0; i < SERVE_SERVICE_COUNT; i++) {
        if (!plan_service(plan, session, i, drain_max_ms, error))
            return false;
    }
    return true;
}

void serve_plan_close(struct serve_plan *plan)
{
    file_close(plan->gateway_fd);
    file_close(plan->auth_fd);
    if (plan->is_runtime_folder) {
        remove_sockets(plan);
        rmdir(plan->sockets);
    }
}
