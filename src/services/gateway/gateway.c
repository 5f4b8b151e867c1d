#include "services/gateway/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/http_client.h"
#include "net/ops.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gateway_metrics.h"
#include <stdio.h>
#include <stdlib.h>

#define PUBLISHER_CLOSE_MS 2000
/* Row 3's rhythm, and how soon a transfer notices that its conversion is gone. */
#define TICK_INTERVAL_MAX_MS (10 * CLOCK_SECOND_MS)

static bool thread_open(void *service, void **out_state, struct error *error)
{
    (void)error;
    struct gateway_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        abort();
    /* Stores are opened by the first request that needs them: one that is down keeps nobody from
     * being told so. */
    thread->gateway = service;
    *out_state = thread;
    return true;
}

static void thread_close(void *service, void *state)
{
    (void)service;
    struct gateway_thread *thread = state;
    record_store_close(thread->records);
    blob_store_close(thread->blobs);
    http_client_close(thread->auth);
    free(thread);
}

static bool load(struct gateway *gateway, struct error *error)
{
    if (!config_load(gateway->config, gateway_options, &gateway->settings, error) ||
        !config_load(gateway->config, limits_options, &gateway->limits, error) ||
        !policy_load(gateway->config, &gateway->policy, error) ||
        !public_url_load(gateway->config, &gateway->public_url, error))
        return false;
    int64_t third_ms = gateway->policy.conversion.lease_ms / 3; /* so that one may be missed */
    gateway->tick_interval_ms = third_ms < TICK_INTERVAL_MAX_MS ? third_ms : TICK_INTERVAL_MAX_MS;
    return true;
}

static bool set_public_url(struct gateway *gateway, struct error *error)
{
    char url[PUBLIC_URL_SIZE];
    const char *address = http_server_address(gateway->server);
    if (gateway->public_url.text[0] != '\0')
        return true;
    /* Behind a Unix socket there is a proxy whose address we do not know. */
    if (address[0] == 'u')
        address = "localhost";
    snprintf(url, sizeof url, "http://%s", address);
    return public_url_parse(url, &gateway->public_url, error);
}

static bool listen_for(struct gateway *gateway, struct error *error)
{
    struct http_server_options options = {
        .listen = gateway->settings.listen,
        .routes = gateway_routes,
        .service = gateway,
        .thread_open = thread_open,
        .thread_close = thread_close,
        .observe = gateway_observe,
        .thread_count = (unsigned)gateway->settings.threads,
        .limits = HTTP_LIMITS_STANDARD,
    };
    options.limits.connections_max = (unsigned)gateway->settings.connections_max;
    options.limits.tick_interval_ms = gateway->tick_interval_ms;
    if (!http_server_open(&options, &gateway->server, error))
        return error_prefix(error, "gateway.listen");
    if (!set_public_url(gateway, error))
        return error_prefix(error, "gateway.public_url");
    log_info("listening", FIELD_TEXT("port", "gateway"),
             FIELD_TEXT("address", http_server_address(gateway->server)),
             FIELD_TEXT("public_url", gateway->public_url.text));
    return true;
}

static void gateway_close(void *state)
{
    struct gateway *gateway = state;
    gateway_metrics_close(gateway);
    http_server_close(gateway->server);
    tokens_close(gateway->tokens);
    erasure_finish(&gateway->erasure);
    cleaner_close(gateway->cleaner);
    publisher_close(gateway->publisher, PUBLISHER_CLOSE_MS);
    free(gateway);
}

static bool erase(void *context, const struct id *user_id)
{
    struct gateway *gateway = context;
    return erasure_run(&gateway->erasure, user_id);
}

/* After the cleaner, which the thread of the tokens wakes. */
static bool open_tokens(struct gateway *gateway, struct error *error)
{
    gateway->erasure = (struct erasure){
        .config = gateway->config, .policy = &gateway->policy, .cleaner = gateway->cleaner};
    return tokens_open(gateway->config, &gateway->settings, erase, gateway, &gateway->tokens,
                       error);
}

static bool open_all(struct gateway *gateway, struct error *error)
{
    http_client_prepare();
    return load(gateway, error) &&
           publisher_open(gateway->config, JOB_QUEUE_VIDEO, &gateway->publisher, error) &&
           cleaner_open(gateway->config, &gateway->policy, &gateway->cleaner, error) &&
           open_tokens(gateway, error) && listen_for(gateway, error);
}

static bool gateway_open(const struct config *config, struct ops *ops, void **out_state,
                         struct error *error)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL)
        abort();
    gateway->config = config;
    gateway_metrics_open(gateway, ops);
    if (!open_all(gateway, error)) {
        gateway_close(gateway);
        return false;
    }
    gateway_metrics_check(gateway);
    *out_state = gateway;
    return true;
}

static void gateway_drain(void *state, int64_t drain_max_ms)
{
    struct gateway *gateway = state;
    if (!http_server_drain(gateway->server, drain_max_ms))
        log_warning("transfers were cut off at the end of stop.drain_max");
}

const struct service gateway_service = {
    .name = "gateway",
    .summary =
        "Takes videos from clients and gives MP3s to their owners. Needs auth and the stores "
        "of\nrecords and blobs.",
    .open = gateway_open,
    .drain = gateway_drain,
    .close = gateway_close,
};
