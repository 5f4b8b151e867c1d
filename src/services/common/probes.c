#include "services/common/probes.h"

#include "base/log.h"
#include "net/metrics.h"
#include "services/common/records.h"
#include "stores/blob_store/blob_store.h"
#include <pthread.h>

/* Static, since a scrape can come while the service closes: the port ends after it. */
static struct {
    pthread_mutex_t lock;

    /* Guarded by lock. */
    const struct config *config; /* NULL while nothing is to be asked */
    struct probes_plan plan;
    struct record_store *records; /* owned; as all, NULL until it is first asked for */
    struct blob_store *blobs;     /* owned */
    struct job_queue *queue;      /* owned */
    bool has_met_records;         /* they could be worked with at least once */
} probes = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool open_records(struct error *error)
{
    return probes.records != NULL || record_store_open(probes.config, &probes.records, error);
}

static bool check_records(struct error *error)
{
    if (!open_records(error) || !record_store_check(probes.records, error))
        return false;
    probes.has_met_records = true;
    return true;
}

/* A process that has never seen a store that it can work with, as one of a newer version beside
 * replicas of the older one before `tapedeck migrate` has run, is not ready; those are. */
static bool check_schema(struct error *error)
{
    return probes.has_met_records || check_records(error);
}

static bool check_blobs(struct error *error)
{
    return (probes.blobs != NULL || blob_store_open(probes.config, &probes.blobs, error)) &&
           blob_store_check(probes.blobs, error);
}

static bool open_queue(struct error *error)
{
    return probes.queue != NULL ||
           job_queue_open(probes.config, probes.plan.queue, &probes.queue, error);
}

static bool check_queue(struct error *error)
{
    return open_queue(error) && job_queue_check(probes.queue, error);
}

struct probe {
    bool (*run)(struct error *error);
};

static bool run_probe(void *context, struct error *error)
{
    const struct probe *probe = context;
    pthread_mutex_lock(&probes.lock);
    bool is_well =
        probes.config != NULL ? probe->run(error) : error_set(error, ERROR_UNAVAILABLE, "closing");
    pthread_mutex_unlock(&probes.lock);
    return is_well;
}

static struct probe records_probe = {check_records};
static struct probe blobs_probe = {check_blobs};
static struct probe schema_probe = {check_schema};
static struct probe queue_probe = {check_queue};

static const struct ops_check checks[] = {
    {.name = "records", .check = run_probe, .context = &records_probe, .is_shared = true},
    {.name = "schema", .check = run_probe, .context = &schema_probe},
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
static void collect_asked(struct metrics *metrics)
{
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        double seconds;
        const char *role = conversion_role_name(roles[i]);
        if (open_records(&error) &&
            records_overdue_seconds(probes.records, roles[i], &seconds, &error))
            metrics_set(metrics, &families[OVERDUE], &role, seconds);
    }
    uint64_t length;
    const char *queue = job_queue_name_text(probes.plan.queue);
    if (open_queue(&error) && job_queue_length(probes.queue, &length, &error))
        metrics_set(metrics, &families[LENGTH], &queue, (double)length);
    if (error.kind != ERROR_NONE)
        log_debug("gauges not read", FIELD_TEXT("reason", error.text));
}

static void collect(void *context, struct metrics *metrics)
{
    (void)context;
    pthread_mutex_lock(&probes.lock);
    if (probes.config != NULL)
        collect_asked(metrics);
    pthread_mutex_unlock(&probes.lock);
}

void probes_open(const struct config *config, const struct probes_plan *plan, struct ops *ops)
{
    pthread_mutex_lock(&probes.lock);
    probes.config = config;
    probes.plan = *plan;
    pthread_mutex_unlock(&probes.lock);
    ops_add_checks(ops, checks);
    if (plan->uses_blobs)
        ops_add_checks(ops, blob_checks);
    metrics_register(ops_metrics(ops), families);
    metrics_collect(ops_metrics(ops), collect, NULL);
}

void probes_close(struct ops *ops)
{
    if (probes.plan.uses_blobs)
        ops_remove_checks(ops, blob_checks);
    ops_remove_checks(ops, checks);
    pthread_mutex_lock(&probes.lock);
    probes.config = NULL;
    job_queue_close(probes.queue);
    blob_store_close(probes.blobs);
    record_store_close(probes.records);
    probes.queue = NULL;
    probes.blobs = NULL;
    probes.records = NULL;
    pthread_mutex_unlock(&probes.lock);
}
