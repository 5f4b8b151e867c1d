#include "services/auth/auth.h"

#include "base/log.h"
#include "net/http_address.h"
#include "net/http_metrics.h"
#include "net/ops.h"
#include "services/auth/auth_internal.h"
#include "services/auth/passwords.h"
#include "services/common/gateway_key.h"
#include <sodium.h>
#include <stdlib.h>

/* Logins wait for their turn in pool threads; beside them some stay free for everything else. */
#define LOGINS_WAITING_MAX 8
#define OTHER_THREADS 4

const struct config_option auth_options[] = {
    {
        .name = "auth.listen",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct auth_settings, listen, const char *),
        .standard = "127.0.0.1:5000",
        .check = http_address_check,
        .help = "Where gateways reach auth: address:port, [v6]:port or unix:/path. Port 0 picks "
                "one; the log line `listening` names it.",
    },
    {
        .name = "auth.hashes_at_once",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct auth_settings, hashes_at_once, uint64_t),
        .standard = "2",
        .least = 1,
        .most = 64,
        .help = "Passwords that are hashed in parallel, 19 MiB each; logins past that wait.",
    },
    {
        .name = "auth.failed_logins_max",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct auth_settings, failed_logins_max, uint64_t),
        .standard = "10",
        .least = 1,
        .most = 1000000,
        .help = "Failed logins of one email from one address within five minutes; ten times as "
                "many of one address, twenty times as many of one email. Past it, 429.",
    },
    {0},
};

static const struct metric_family login_counter[] = {
    {
        .name = "tapedeck_logins_total",
        .type = METRIC_COUNTER,
        .help = "Logins by their outcome.",
        .labels = {"outcome"},
    },
    {0},
};

void auth_count_login(struct auth *auth, const char *outcome)
{
    metrics_add(ops_metrics(auth->ops), &login_counter[0], (const char *const[]){outcome}, 1);
}

static void observe(void *service, const struct http_observation *observation)
{
    struct auth *auth = service;
    http_metrics_observe(ops_metrics(auth->ops), observation);
}

static void thread_close(void *service, void *state)
{
    (void)service;
    struct auth_thread *thread = state;
    user_store_close(thread->users);
    key_ring_close(thread->keys);
    free(thread);
}

static bool thread_open(void *service, void **out_state, struct error *error)
{
    struct auth *auth = service;
    struct auth_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        abort();
    thread->auth = auth;
    if (!key_ring_open(auth->config, &thread->keys, error)) {
        free(thread);
        return false;
    }
    *out_state = thread;
    return true;
}

static void auth_close(void *state)
{
    struct auth *auth = state;
    ops_remove_checks(auth->ops, auth->checks);
    http_server_close(auth->server);
    throttle_destroy(auth->throttle);
    hash_gate_finish(&auth->gate);
    free(auth);
}

/* What must be there before a pool of threads looks for it at once: the first signing key and the
 * gateways' secret. */
static bool make_secrets(struct auth *auth, struct error *error)
{
    CLEANUP(key_ring_closep) struct key_ring *ring = NULL;
    if (!key_ring_open(auth->config, &ring, error))
        return false;
    char key[GATEWAY_KEY_SIZE];
    struct error cause = {0};
    /* Logins do without it; only revocations need it. */
    if (!gateway_key_load(auth->config, key, &cause))
        log_error("gateways will not learn of revoked tokens: auth.gateway_key_file",
                  FIELD_TEXT("reason", cause.text));
    sodium_memzero(key, sizeof key);
    return password_hash_nobody(auth->nobody_hash, error);
}

static bool listen_for(struct auth *auth, struct error *error)
{
    struct http_server_options options = {
        .listen = auth->settings.listen,
        .routes = auth_routes,
        .service = auth,
        .thread_open = thread_open,
        .thread_close = thread_close,
        .observe = observe,
        .thread_count =
            (unsigned)auth->settings.hashes_at_once + LOGINS_WAITING_MAX + OTHER_THREADS,
        .limits = HTTP_LIMITS_STANDARD,
    };
    if (!http_server_open(&options, &auth->server, error))
        return error_prefix(error, "auth.listen");
    log_info("listening", FIELD_TEXT("port", "auth"),
             FIELD_TEXT("address", http_server_address(auth->server)));
    return true;
}

/* A handle of its own each time: checks run in threads of the operations port. */
static bool check_users(void *context, struct error *error)
{
    struct auth *auth = context;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!user_store_open(auth->config, &users, error) || !user_store_check(users, error))
        return false;
    atomic_store(&auth->has_met_users, true);
    return true;
}

/* Not shared, as that of services/common/probes.c: a replica of a newer version that has never seen
 * accounts of its schema is not ready, beside those of the older one that are. */
static bool check_schema(void *context, struct error *error)
{
    struct auth *auth = context;
    return atomic_load(&auth->has_met_users) || check_users(auth, error);
}

static bool auth_open(const struct config *config, struct ops *ops, void **out_state,
                      struct error *error)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL)
        abort();
    auth->config = config;
    auth->ops = ops;
    auth->checks[0] = (struct ops_check){
        .name = "users", .check = check_users, .context = auth, .is_shared = true};
    auth->checks[1] = (struct ops_check){.name = "schema", .check = check_schema, .context = auth};
    if (!config_load(config, auth_options, &auth->settings, error)) {
        free(auth);
        return false;
    }
    hash_gate_init(&auth->gate, auth->settings.hashes_at_once, LOGINS_WAITING_MAX);
    auth->throttle = throttle_create(auth->settings.failed_logins_max);
    http_metrics_register(ops_metrics(ops));
    metrics_register(ops_metrics(ops), login_counter);
    ops_add_checks(ops, auth->checks);
    if (!make_secrets(auth, error) || !listen_for(auth, error)) {
        auth_close(auth);
        return false;
    }
    *out_state = auth;
    return true;
}

static void auth_drain(void *state, int64_t drain_max_ms)
{
    struct auth *auth = state;
    if (!http_server_drain(auth->server, drain_max_ms))
        log_warning("requests were cut off at the end of stop.drain_max");
}

const struct service auth_service = {
    .name = "auth",
    .summary =
        "Logs users in and signs their tokens. Needs the store of users and its signing keys.",
    .open = auth_open,
    .drain = auth_drain,
    .close = auth_close,
};
