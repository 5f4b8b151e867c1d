#include "commands/serve_ops.h"

#include "base/json.h"
#include "commands/metrics_merge.h"
#include "model/failure.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/metrics.h"
#include <assert.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000
#define READY_TIMEOUT_MS 1000
#define TEXT_SIZE_MAX ((size_t)4 << 20) /* of one service */

/* A thread's connections, one to each service. */
struct service_clients {
    struct http_client *clients[SERVE_OPS_SERVICES_MAX]; /* owned */
};

struct serve_ops {
    /* Set by serve_ops_open(), then read-only. */
    const struct serve_ops_service *services;
    size_t count;
    struct metrics *metrics; /* thread-safe */
    struct http_server *server;
    struct service_clients watcher; /* of the one thread that asks serve_ops_is_ready() */
};

enum { FAMILY_RESTARTS };

static const struct metric_family families[] = {
    [FAMILY_RESTARTS] = {.name = "tapedeck_service_restarts_total",
                         .type = METRIC_COUNTER,
                         .help = "How often a service ended by itself and was started again.",
                         .labels = {"child"}},
    {0},
};

static void clients_close(struct service_clients *clients)
{
    for (size_t i = 0; i < SERVE_OPS_SERVICES_MAX; i++)
        http_client_close(clients->clients[i]);
}

static bool clients_open(const struct serve_ops *ops, int64_t timeout_ms,
                         struct service_clients *out_clients, struct error *error)
{
    struct service_clients clients = {0};
    for (size_t i = 0; i < ops->count; i++) {
        const struct http_client_options options = {
            .base_url = ops->services[i].address,
            .connect_timeout_ms = timeout_ms,
            .timeout_ms = timeout_ms,
            .body_size_max = TEXT_SIZE_MAX,
        };
        if (!http_client_open(&options, &clients.clients[i], error)) {
            clients_close(&clients);
            return false;
        }
    }
    *out_clients = clients;
    return true;
}

static bool thread_open(void *service, void **out_state, struct error *error)
{
    struct service_clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        abort();
    if (!clients_open(service, TIMEOUT_MS, clients, error)) {
        free(clients);
        return false;
    }
    *out_state = clients;
    return true;
}

static void thread_close(void *service, void *state)
{
    (void)service;
    clients_close(state);
    free(state);
}

static bool get(struct http_client *client, const char *path, struct http_client_answer *out_answer)
{
    const struct http_client_call call = {.method = "GET", .path = path};
    struct error error = {0};
    return http_client_do(client, &call, out_answer, &error);
}

/* ---- Handlers ---- */

/* All of them live: what does not answer here does not answer at all. */
static void handle_live(struct http_request *request)
{
    const struct serve_ops *ops = http_request_service(request);
    struct service_clients *clients = http_request_thread(request);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(1000);
    bool is_live = true;
    for (size_t i = 0; i < ops->count; i++) {
        CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
        bool is_ok = get(clients->clients[i], "/livez", &answer) && answer.status == 200;
        is_live = is_live && is_ok;
        ignore_failure(buffer_append_format(&text, NULL, "%s %s\n", ops->services[i].name,
                                            is_ok ? "ok" : "does not answer"));
    }
    http_answer_text(request, is_live ? 200 : 503, buffer_text(&text));
}

/* What the service itself says, under its name. */
static bool add_readiness(json_t *services, const char *name, struct http_client *client)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    json_t *report = NULL;
    struct error error = {0};
    bool is_ready = get(client, "/readyz", &answer) && answer.status == 200;
    if (!json_parse(answer.body.bytes, answer.body.size, &report, &error)) {
        report = json_object_make();
        json_set_bool(report, "ready", false);
        json_set_text(report, "reason", "it does not answer");
        is_ready = false;
    }
    json_set_take(services, name, report);
    return is_ready;
}

static void handle_ready(struct http_request *request)
{
    const struct serve_ops *ops = http_request_service(request);
    struct service_clients *clients = http_request_thread(request);
    json_t *services = json_object_make();
    bool is_ready = true;
    for (size_t i = 0; i < ops->count; i++)
        is_ready = add_readiness(services, ops->services[i].name, clients->clients[i]) && is_ready;
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_bool(json, "ready", is_ready);
    json_set_take(json, "services", services);
    http_answer_json(request, is_ready ? 200 : 503, json);
}

/* A service that does not answer is missing from the text: its absence is what alerts see. */
static void handle_metrics(struct http_request *request)
{
    const struct serve_ops *ops = http_request_service(request);
    struct service_clients *clients = http_request_thread(request);
    struct http_client_answer answers[SERVE_OPS_SERVICES_MAX] = {0};
    const char *texts[SERVE_OPS_SERVICES_MAX + 1] = {NULL};
    size_t count = 0;
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer own = BUFFER_WITH_MAX(TEXT_SIZE_MAX);
    CLEANUP(buffer_finish)
    struct buffer merged = BUFFER_WITH_MAX(TEXT_SIZE_MAX * METRICS_MERGE_TEXTS_MAX);
    for (size_t i = 0; i < ops->count; i++) {
        if (get(clients->clients[i], "/metrics", &answers[i]) && answers[i].status == 200)
            texts[count++] = buffer_text(&answers[i].body);
    }
    bool succeeded = metrics_format(ops->metrics, &own, &error);
    texts[count++] = buffer_text(&own);
    if (succeeded && metrics_merge(texts, count, &merged, &error))
        http_answer_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                          buffer_text(&merged), merged.size);
    else
        http_answer_error(request, &error);
    for (size_t i = 0; i < ops->count; i++)
        http_client_answer_finish(&answers[i]);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/livez", .handle = handle_live, .serves_head = true},
    {.method = "GET", .path = "/readyz", .handle = handle_ready, .serves_head = true},
    {.method = "GET", .path = "/metrics", .handle = handle_metrics, .serves_head = true},
    {0},
};

/* ---- Opening ---- */

bool serve_ops_open(const char *listen, const struct serve_ops_service *services, size_t count,
                    struct serve_ops **out_ops, struct error *error)
{
    assert(count < METRICS_MERGE_TEXTS_MAX);
    CLEANUP(serve_ops_closep) struct serve_ops *ops = calloc(1, sizeof *ops);
    if (ops == NULL)
        abort();
    ops->services = services;
    ops->count = count;
    ops->metrics = metrics_open("serve");
    metrics_register(ops->metrics, families);
    for (size_t i = 0; i < count; i++) /* there from the start, for rates over it */
        metrics_add(ops->metrics, &families[FAMILY_RESTARTS],
                    (const char *const[]){services[i].name}, 0);
    if (!clients_open(ops, READY_TIMEOUT_MS, &ops->watcher, error))
        return false;
    const struct http_server_options options = {
        .listen = listen,
        .routes = routes,
        .service = ops,
        .thread_open = thread_open,
        .thread_close = thread_close,
        .thread_count = 2,
        .limits = HTTP_LIMITS_STANDARD,
        .is_quiet = true,
    };
    if (!http_server_open(&options, &ops->server, error))
        return error_prefix(error, "ops.listen");
    *out_ops = ops;
    ops = NULL;
    return true;
}

const char *serve_ops_address(const struct serve_ops *ops)
{
    return http_server_address(ops->server);
}

bool serve_ops_is_ready(struct serve_ops *ops, size_t index)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    return get(ops->watcher.clients[index], "/readyz", &answer) && answer.status == 200;
}

void serve_ops_count_restart(struct serve_ops *ops, size_t index)
{
    metrics_add(ops->metrics, &families[FAMILY_RESTARTS],
                (const char *const[]){ops->services[index].name}, 1);
}

void serve_ops_close(struct serve_ops *ops)
{
    if (ops == NULL)
        return;
    http_server_close(ops->server);
    clients_close(&ops->watcher);
    metrics_close(ops->metrics);
    free(ops);
}

void serve_ops_closep(struct serve_ops **ops)
{
    serve_ops_close(*ops);
}
