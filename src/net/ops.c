#include "net/ops.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "net/background.h"
#include "net/http_server.h"
#include "net/metrics.h"
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECKS_MAX 16
#define METRICS_SIZE_MAX ((size_t)4 << 20)
/* One may wait for the checks, one for what /metrics collects; one is always free for /livez. */
#define THREADS 3
/* Results are kept so long, whoever asks how often: a probe must not become a load. */
#define RESULTS_KEPT_MS 1000
/* What has not answered by then is told as failed: a store that hangs is a longer wait than that of
 * who probes. */
#define WAIT_MS 2000
#define LATE_TEXT "no answer within 2 s"

struct result {
    struct ops *ops;
    const struct ops_check *check;
    struct background *look; /* owned */

    /* Guarded by ops->lock. */
    bool is_checked;
    int64_t checked_ms;
    bool is_ok;
    char reason[ERROR_TEXT_SIZE];
};

struct ops {
    /* Set by ops_open(), then read-only. */
    struct http_server *server;
    struct metrics *metrics;
    struct background *gathering; /* owned */

    atomic_bool is_ready;

    /* Held by who waits for what /metrics gathers. */
    pthread_mutex_t gathering_turn;

    /* Held by who waits for the checks: one at a time, and none during removal. */
    pthread_mutex_t turn;

    /* Written under both locks, read under either. */
    pthread_mutex_t lock;
    struct result *results[CHECKS_MAX]; /* owned */
    size_t result_count;
};

enum { FAMILY_BUILD, FAMILY_START, FAMILY_MEMORY, FAMILY_UP };

static const struct metric_family families[] = {
    [FAMILY_BUILD] = {.name = "tapedeck_build_info",
                      .type = METRIC_GAUGE,
                      .help = "Always 1; the version is a label.",
                      .labels = {"version"}},
    [FAMILY_START] = {.name = "tapedeck_start_time_seconds",
                      .type = METRIC_GAUGE,
                      .help = "When the process started, in seconds since 1970."},
    [FAMILY_MEMORY] = {.name = "tapedeck_resident_memory_bytes",
                       .type = METRIC_GAUGE,
                       .help = "Memory of the process that is in RAM."},
    [FAMILY_UP] = {.name = "tapedeck_dependency_up",
                   .type = METRIC_GAUGE,
                   .help = "1 where the last look at /readyz found the dependency usable.",
                   .labels = {"dependency"}},
    {0},
};

/* ---- Handlers ---- */

static void handle_live(struct http_request *request)
{
    http_answer_text(request, 200, "ok\n");
}

/* The gauge under the lock too, so that it says the same. */
static void set_result(struct result *result, bool is_ok, const char *reason)
{
    struct ops *ops = result->ops;
    result->is_ok = is_ok;
    text_copy(result->reason, sizeof result->reason, reason);
    metrics_set(ops->metrics, &families[FAMILY_UP], (const char *const[]){result->check->name},
                is_ok);
}

static void look(void *context)
{
    struct result *result = context;
    struct ops *ops = result->ops;
    struct error error = {0};
    bool is_ok = result->check->check(result->check->context, &error);
    pthread_mutex_lock(&ops->lock);
    set_result(result, is_ok, error.text);
    result->checked_ms = clock_boot_ms();
    result->is_checked = true;
    pthread_mutex_unlock(&ops->lock);
}

static void ask_where_due(struct result *result)
{
    struct ops *ops = result->ops;
    pthread_mutex_lock(&ops->lock);
    bool is_due = !result->is_checked || clock_boot_ms() - result->checked_ms >= RESULTS_KEPT_MS;
    pthread_mutex_unlock(&ops->lock);
    if (is_due)
        background_ask(result->look);
}

/* Once its answer comes, that is the result; until then others have not to wait for it again. */
static void wait_for(struct result *result)
{
    struct ops *ops = result->ops;
    if (background_wait(result->look, WAIT_MS))
        return;
    pthread_mutex_lock(&ops->lock);
    set_result(result, false, LATE_TEXT);
    pthread_mutex_unlock(&ops->lock);
}

/* While another request waits for the checks, this one has to do with the last results: probes of a
 * store that hangs must not hold every thread of the port, and /livez with them. */
static void run_checks(struct ops *ops)
{
    if (pthread_mutex_trylock(&ops->turn) != 0)
        return;
    for (size_t i = 0; i < ops->result_count; i++)
        ask_where_due(ops->results[i]);
    for (size_t i = 0; i < ops->result_count; i++)
        wait_for(ops->results[i]);
    pthread_mutex_unlock(&ops->turn);
}

static json_t *result_to_json(const struct result *result)
{
    json_t *json = json_object_make();
    json_set_text(json, "name", result->check->name);
    json_set_bool(json, "ok", result->is_ok);
    json_set_bool(json, "shared", result->check->is_shared);
    if (!result->is_ok)
        json_set_text(json, "reason", result->reason);
    return json;
}

static void handle_ready(struct http_request *request)
{
    struct ops *ops = http_request_service(request);
    json_t *checks = json_array_make();
    bool is_ready = atomic_load(&ops->is_ready);
    run_checks(ops);
    pthread_mutex_lock(&ops->lock);
    for (size_t i = 0; i < ops->result_count; i++) {
        const struct result *result = ops->results[i];
        is_ready = is_ready && (result->is_ok || result->check->is_shared);
        if (json_array_append_new(checks, result_to_json(result)) != 0)
            abort();
    }
    pthread_mutex_unlock(&ops->lock);
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_bool(json, "ready", is_ready);
    json_set_take(json, "checks", checks);
    http_answer_json(request, is_ready ? 200 : 503, json);
}

static void gather(void *context)
{
    metrics_gather(context);
}

/* What is not gathered in time, or while another request waits for it, is shown as it was last. */
static void gather_in_time(struct ops *ops)
{
    if (pthread_mutex_trylock(&ops->gathering_turn) != 0)
        return;
    background_ask(ops->gathering);
    background_wait(ops->gathering, WAIT_MS);
    pthread_mutex_unlock(&ops->gathering_turn);
}

static void handle_metrics(struct http_request *request)
{
    struct ops *ops = http_request_service(request);
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(METRICS_SIZE_MAX);
    gather_in_time(ops);
    if (!metrics_format(ops->metrics, &text, &error)) {
        http_answer_error(request, &error);
        return;
    }
    http_answer_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8", buffer_text(&text),
                      text.size);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/livez", .handle = handle_live, .serves_head = true},
    {.method = "GET", .path = "/readyz", .handle = handle_ready, .serves_head = true},
    {.method = "GET", .path = "/metrics", .handle = handle_metrics, .serves_head = true},
    {0},
};

/* ---- Opening ---- */

/* proc(5): the second number of statm is resident pages. */
static void collect_memory(void *context, struct metrics *metrics)
{
    char text[128] = "";
    char *rest = text;
    uint64_t pages = 0;
    CLEANUP(file_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    (void)context;
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return;
    strsep(&rest, " ");
    if (rest != NULL && text_parse_count(strsep(&rest, " "), INT64_MAX, &pages, NULL))
        metrics_set(metrics, &families[FAMILY_MEMORY], NULL,
                    (double)pages * (double)sysconf(_SC_PAGESIZE));
}

bool ops_open(const char *listen, const char *service, struct ops **out_ops, struct error *error)
{
    CLEANUP(ops_closep) struct ops *ops = calloc(1, sizeof *ops);
    if (ops == NULL)
        abort();
    pthread_mutex_init(&ops->gathering_turn, NULL);
    pthread_mutex_init(&ops->turn, NULL);
    pthread_mutex_init(&ops->lock, NULL);
    ops->metrics = metrics_open(service);
    metrics_register(ops->metrics, families);
    metrics_collect(ops->metrics, collect_memory, NULL);
    ops->gathering = background_open(gather, ops->metrics);
    metrics_set(ops->metrics, &families[FAMILY_BUILD], (const char *const[]){TAPEDECK_VERSION}, 1);
    metrics_set(ops->metrics, &families[FAMILY_START], NULL, (double)clock_wall_ms() / 1000);
    const struct http_server_options options = {
        .listen = listen,
        .routes = routes,
        .service = ops,
        .thread_count = THREADS,
        .limits = HTTP_LIMITS_STANDARD,
        .is_quiet = true,
    };
    if (!http_server_open(&options, &ops->server, error))
        return error_prefix(error, "operations port");
    *out_ops = ops;
    ops = NULL;
    return true;
}

const char *ops_address(const struct ops *ops)
{
    return http_server_address(ops->server);
}

struct metrics *ops_metrics(struct ops *ops)
{
    return ops->metrics;
}

static void lock_results(struct ops *ops)
{
    pthread_mutex_lock(&ops->turn);
    pthread_mutex_lock(&ops->lock);
}

static void unlock_results(struct ops *ops)
{
    pthread_mutex_unlock(&ops->lock);
    pthread_mutex_unlock(&ops->turn);
}

static struct result *result_create(struct ops *ops, const struct ops_check *check)
{
    struct result *result = calloc(1, sizeof *result);
    if (result == NULL)
        abort();
    result->ops = ops;
    result->check = check;
    result->look = background_open(look, result);
    return result;
}

static void result_destroy(struct result *result)
{
    background_close(result->look);
    free(result);
}

void ops_add_checks(struct ops *ops, const struct ops_check *checks)
{
    lock_results(ops);
    for (; checks->name != NULL; checks++) {
        assert(ops->result_count < CHECKS_MAX);
        ops->results[ops->result_count++] = result_create(ops, checks);
    }
    unlock_results(ops);
}

static bool is_of(const struct ops_check *checks, const struct ops_check *check)
{
    for (; checks->name != NULL; checks++) {
        if (checks == check)
            return true;
    }
    return false;
}

void ops_remove_checks(struct ops *ops, const struct ops_check *checks)
{
    struct result *removed[CHECKS_MAX];
    size_t removed_count = 0;
    size_t kept = 0;
    lock_results(ops);
    for (size_t i = 0; i < ops->result_count; i++) {
        if (is_of(checks, ops->results[i]->check))
            removed[removed_count++] = ops->results[i];
        else
            ops->results[kept++] = ops->results[i];
    }
    ops->result_count = kept;
    unlock_results(ops);
    /* Without the locks: each may still look, and sets its result then. */
    for (size_t i = 0; i < removed_count; i++)
        result_destroy(removed[i]);
}

void ops_set_ready(struct ops *ops, bool is_ready)
{
    atomic_store(&ops->is_ready, is_ready);
}

void ops_close(struct ops *ops)
{
    if (ops == NULL)
        return;
    http_server_close(ops->server);
    background_close(ops->gathering);
    for (size_t i = 0; i < ops->result_count; i++)
        result_destroy(ops->results[i]);
    metrics_close(ops->metrics);
    pthread_mutex_destroy(&ops->lock);
    pthread_mutex_destroy(&ops->turn);
    pthread_mutex_destroy(&ops->gathering_turn);
    free(ops);
}

void ops_closep(struct ops **ops)
{
    ops_close(*ops);
}
