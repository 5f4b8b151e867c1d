#include "services/auth/auth_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/failure.h"
#include "services/common/gateway_key.h"

/* claims_from_json() forgives a minute. */
#define LEEWAY_MS CLOCK_MINUTE_MS

static struct auth_thread *thread_of(const struct http_request *request)
{
    return http_request_thread(request);
}

struct auth *auth_of(const struct http_request *request)
{
    return http_request_service(request);
}

struct key_ring *auth_keys(const struct http_request *request)
{
    return thread_of(request)->keys;
}

struct user_store *auth_users(struct http_request *request)
{
    struct auth_thread *thread = thread_of(request);
    struct error error = {0};
    if (thread->users == NULL && !user_store_open(thread->auth->config, &thread->users, &error)) {
        log_warning("the store of users failed", FIELD_TEXT("reason", error.text));
        http_answer_failure(request, &FAILURE_STORE_UNAVAILABLE, NULL);
    }
    return thread->users;
}

bool auth_is_gateway(const struct http_request *request)
{
    const char *shown = http_request_header(request, GATEWAY_KEY_HEADER);
    if (shown == NULL)
        return false;
    char key[GATEWAY_KEY_SIZE];
    struct error error = {0};
    if (!gateway_key_load(auth_of(request)->config, key, &error)) {
        log_error("the gateways' secret cannot be read", FIELD_TEXT("reason", error.text));
        return false;
    }
    return gateway_key_is_equal(shown, key);
}

bool auth_tokens_since(const struct http_request *request, struct user_store *users,
                       int64_t *out_since_ms, struct error *error)
{
    int64_t now_ms = 0;
    if (!user_store_now(users, &now_ms, error))
        return false;
    *out_since_ms = now_ms - key_ring_token_lifetime_ms(auth_keys(request)) - LEEWAY_MS;
    return true;
}
