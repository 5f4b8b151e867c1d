#include "services/common/probes.h"

#include "base/log.h"
#include "net/metrics.h"
#include "services/common/records.h"
#include "stores/blob_store/blob_store.h"
#include <pthread.h>
#include <stdatomic.h>

/* One store with its lock, so that one that hangs holds up no question to another. */
struct store {
    pthread_mutex_t lock;

    /* Guarded by lock. */
    const struct config *config; /* NULL while nothing is to be asked */
    enum job_queue_name queue_name;
    struct record_store *records; /* owned; as all, NULL until it is first asked for */
    struct blob_store *blobs;     /* owned */
    struct job_queue *queue;      /* owned */
};

enum { RECORDS, BLOBS, QUEUE, STORE_COUNT };

/* Static, since a scrape can come while the service closes: the port ends after it. */
static struct store stores[STORE_COUNT] = {
    [RECORDS] = {.lock = PTHREAD_MUTEX_INITIALIZER},
    [BLOBS] = {.lock = PTHREAD_MUTEX_INITIALIZER},
    [QUEUE] = {.lock = PTHREAD_MUTEX_INITIALIZER},
};
static atomic_bool has_met_records; /* they could be worked with at least once */
static bool uses_blobs;             /* of the thread that opens and closes */

static bool open_records(struct store *store, struct error *error)
{
    return store->records != NULL || record_store_open(store->config, &store->records, error);
}

static bool check_records(struct store *store, struct error *error)
{
    if (!open_records(store, error) || !record_store_check(store->records, error))
        return false;
    atomic_store(&has_met_records, true);
    return true;
}

static bool check_blobs(struct store *store, struct error *error)
{
    return (store->blobs != NULL || blob_store_open(store->config, &store->blobs, error)) &&
           blob_store_check(store->blobs, error);
}

static bool open_queue(struct store *store, struct error *error)
{
    return store->queue != NULL ||
           job_queue_open(store->config, store->queue_name, &store->queue, error);
}

static bool check_queue(struct store *store, struct error *error)
{
    return open_queue(store, error) && job_queue_check(store->queue, error);
}

struct probe {
    struct store *store;
    bool (*run)(struct store *store, struct error *error);
};

static bool run_probe(void *context, struct error *error)
{
    const struct probe *probe = context;
    struct store *store = probe->store;
    pthread_mutex_lock(&store->lock);
    bool is_well = store->config != NULL ? probe->run(store, error)
                                         : error_set(error, ERROR_UNAVAILABLE, "closing");
    pthread_mutex_unlock(&store->lock);
    return is_well;
}

/* A process that has never seen a store that it can work with, as one of a newer version beside
 * replicas of the older one before `tapedeck migrate` has run, is not ready; those are. Once it
 * has, a store that hangs is not waited for here. */
static bool run_schema_probe(void *context, struct error *error)
{
    return atomic_load(&has_met_records) || run_probe(context, error);
}

static struct probe records_probe = {&stores[RECORDS], check_records};
static struct probe blobs_probe = {&stores[BLOBS], check_blobs};
static struct probe queue_probe = {&stores[QUEUE], check_queue};

static const struct ops_check checks[] = {
    {.name = "records", .check = run_probe, .context = &records_probe, .is_shared = true},
    {.name = "schema", .check = run_schema_probe, .context = &records_probe},
    {.name = "queue", .check = run_probe, .context = &queue_probe, .is_shared = true},
    {0},
};
static const struct ops_check blob_checks[] = {
    {.name = "blobs", .check = run_probe, .context = &blobs_probe, .is_shared = true},
    {0},
};

/* ---- Gauges ---- */

enum { OVERDUE, LENGTH };

static const struct metric_family families[] = {
    [OVERDUE] =
        {
            .name = "tapedeck_overdue_seconds",
            .type = METRIC_GAUGE,
            .help = "Age of the oldest record that waits for this role past its due time: the "
                    "alert that shows every silent stall.",
            .labels = {"role"},
        },
    [LENGTH] =
        {
            .name = "tapedeck_queue_length",
            .type = METRIC_GAUGE,
            .help = "Messages that wait in the queue.",
            .labels = {"queue"},
        },
    {0},
};

static const enum conversion_role roles[] = {CONVERSION_DUE_CONVERT, CONVERSION_DUE_NOTIFY,
                                             CONVERSION_DUE_CLEAN};

/* A gauge whose store does not answer keeps its last value; /readyz says why. */
static void collect_overdue(struct store *store, struct metrics *metrics, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        double seconds;
        const char *role = conversion_role_name(roles[i]);
        if (open_records(store, error) &&
            records_overdue_seconds(store->records, roles[i], &seconds, error))
            metrics_set(metrics, &families[OVERDUE], &role, seconds);
    }
}

static void collect_length(struct store *store, struct metrics *metrics, struct error *error)
{
    uint64_t length;
    const char *queue = job_queue_name_text(store->queue_name);
    if (open_queue(store, error) && job_queue_length(store->queue, &length, error))
        metrics_set(metrics, &families[LENGTH], &queue, (double)length);
}

struct gauge {
    struct store *store;
    void (*collect)(struct store *store, struct metrics *metrics, struct error *error);
};

static void collect(void *context, struct metrics *metrics)
{
    const struct gauge *gauge = context;
    struct store *store = gauge->store;
    struct error error = {0};
    pthread_mutex_lock(&store->lock);
    if (store->config != NULL)
        gauge->collect(store, metrics, &error);
    pthread_mutex_unlock(&store->lock);
    if (error.kind != ERROR_NONE)
        log_debug("gauges not read", FIELD_TEXT("reason", error.text));
}

/* The queue first: the records may hang. */
static struct gauge gauges[] = {
    {&stores[QUEUE], collect_length},
    {&stores[RECORDS], collect_overdue},
};

void probes_open(const struct config *config, const struct probes_plan *plan, struct ops *ops)
{
    for (size_t i = 0; i < STORE_COUNT; i++) {
        pthread_mutex_lock(&stores[i].lock);
        stores[i].config = config;
        stores[i].queue_name = plan->queue;
        pthread_mutex_unlock(&stores[i].lock);
    }
    uses_blobs = plan->uses_blobs;
    ops_add_checks(ops, checks);
    if (uses_blobs)
        ops_add_checks(ops, blob_checks);
    metrics_register(ops_metrics(ops), families);
    for (size_t i = 0; i < ARRAY_COUNT(gauges); i++)
        metrics_collect(ops_metrics(ops), collect, &gauges[i]);
}

static void close_store(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->config = NULL;
    job_queue_close(store->queue);
    blob_store_close(store->blobs);
    record_store_close(store->records);
    store->queue = NULL;
    store->blobs = NULL;
    store->records = NULL;
    pthread_mutex_unlock(&store->lock);
}

void probes_close(struct ops *ops)
{
    if (uses_blobs)
        ops_remove_checks(ops, blob_checks);
    ops_remove_checks(ops, checks);
    for (size_t i = 0; i < STORE_COUNT; i++)
        close_store(&stores[i]);
}
