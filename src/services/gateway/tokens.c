#include "services/gateway/tokens.h"

#include "base/clock.h"
#include "base/condition.h"
#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"
#include "net/http_client.h"
#include "net/token.h"
#include "services/common/gateway_key.h"
#include "services/gateway/revocations.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS_INTERVAL_MS (60 * CLOCK_SECOND_MS)
#define RETRY_INTERVAL_MS CLOCK_SECOND_MS /* as long as no keys are known */
/* Services are started at the same time: auth may be a little later than we are. */
#define START_PATIENCE_MS (5 * CLOCK_SECOND_MS)
#define VERIFY_WAIT_MAX_MS (3 * CLOCK_SECOND_MS)
#define CALL_TIMEOUT_MS (5 * CLOCK_SECOND_MS)
#define ERASE_TIME_MAX_MS (2 * CLOCK_SECOND_MS)
#define ERASED_AT_ONCE 100
#define ERASED_SIZE_MAX 4096 /* what auth takes */
#define ANSWER_SIZE_MAX (16U * 1024 * 1024)

/* Shared by the verifications that run while a newer set arrives. */
struct key_set {
    struct token_keys *keys; /* owned */
    unsigned references;     /* guarded by the lock of the tokens */
};

struct tokens {
    /* Set by tokens_open(), then read-only. */
    const struct config *config;
    tokens_erase *erase;
    void *erase_context;
    int64_t interval_ms; /* of the revocations; and between two fetches of the keys, however unknown
                            one is */
    uint64_t waiting_max;
    pthread_t thread;

    /* The thread alone. */
    struct http_client *client; /* owned */
    int64_t revocations_due_ms; /* boot time */
    int64_t opened_ms;          /* boot time */
    bool knows_revocations;
    bool is_failing;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;         /* for all who wait; by CLOCK_MONOTONIC */
    struct key_set *set;            /* one reference is ours; NULL: not known yet */
    struct revocations revocations; /* owned */
    int64_t keys_due_ms;            /* boot time */
    int64_t keys_fetched_ms;        /* when they were last asked for */
    uint64_t fetches;               /* ended, well or not */
    uint64_t waiting;               /* for one to end */
    bool is_wanted;                 /* somebody waits for a fetch of the keys */
    bool is_closing;
    struct error why_unknown; /* as long as there is no set */
};

static void release(struct tokens *tokens, struct key_set *set)
{
    if (set == NULL)
        return;
    pthread_mutex_lock(&tokens->lock);
    bool is_last = --set->references == 0;
    pthread_mutex_unlock(&tokens->lock);
    if (is_last) {
        token_keys_close(set->keys);
        free(set);
    }
}

static bool call_auth(struct tokens *tokens, const struct http_client_call *call, int status,
                      struct http_client_answer *out_answer, struct error *error)
{
    if (!http_client_do(tokens->client, call, out_answer, error))
        return error_prefix(error, "%s %s of auth", call->method, call->path);
    if (out_answer->status != status)
        return error_set(error, ERROR_UNAVAILABLE, "%s %s of auth: status %d", call->method,
                         call->path, out_answer->status);
    return true;
}

/* Calls with the secret that gateways share with auth. ERROR_DENIED: auth has another one. */
static bool call_auth_as_gateway(struct tokens *tokens, struct http_client_call call, int status,
                                 struct http_client_answer *out_answer, struct error *error)
{
    char key[GATEWAY_KEY_SIZE];
    if (!gateway_key_load(tokens->config, key, error))
        return error_prefix(error, "auth.gateway_key_file");
    char header[sizeof GATEWAY_KEY_HEADER + sizeof key + 4];
    snprintf(header, sizeof header, "%s: %s", GATEWAY_KEY_HEADER, key);
    call.headers = (const char *const[]){header, NULL};
    bool is_well = call_auth(tokens, &call, status, out_answer, error);
    if (!is_well && out_answer->status == 403)
        return error_set(error, ERROR_DENIED, "%s", GATEWAY_KEY_REFUSED);
    return is_well;
}

static bool fetch_keys(struct tokens *tokens, struct error *error)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    struct key_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        abort();
    set->references = 1;
    const struct http_client_call call = {.method = "GET", .path = "/.well-known/jwks.json"};
    if (!call_auth(tokens, &call, 200, &answer, error) ||
        !token_keys_parse(buffer_text(&answer.body), answer.body.size, &set->keys, error)) {
        free(set);
        return false;
    }
    pthread_mutex_lock(&tokens->lock);
    struct key_set *old = tokens->set;
    tokens->set = set;
    pthread_mutex_unlock(&tokens->lock);
    release(tokens, old);
    return true;
}

static bool fetch_revocations(struct tokens *tokens, struct error *error)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    const struct http_client_call call = {.method = "GET", .path = "/revocations"};
    struct revocations revocations = {0};
    if (!call_auth_as_gateway(tokens, call, 200, &answer, error) ||
        !revocations_parse(buffer_text(&answer.body), answer.body.size, &revocations, error))
        return false;
    pthread_mutex_lock(&tokens->lock);
    struct revocations old = tokens->revocations;
    tokens->revocations = revocations;
    pthread_mutex_unlock(&tokens->lock);
    revocations_finish(&old);
    return true;
}

static bool tell_erased(struct tokens *tokens, json_t *list, struct error *error)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(ERASED_SIZE_MAX);
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_take(json, "erased", json_incref(list));
    if (!json_format(json, &body, error))
        return false;
    const struct http_client_call call = {
        .method = "POST", .path = "/erased", .body = body.bytes, .body_size = body.size};
    return call_auth_as_gateway(tokens, call, 204, &answer, error);
}

/* Nobody but this thread changes the revocations, so that it reads them without the lock. What is
 * not done within the time goes on with the next list. */
static bool erase_accounts(struct tokens *tokens, struct error *error)
{
    const struct revocations *revocations = &tokens->revocations;
    int64_t end_ms = clock_boot_ms() + ERASE_TIME_MAX_MS;
    CLEANUP(json_decrefp) json_t *list = json_array_make();
    for (size_t i = 0; i < revocations->count && clock_boot_ms() < end_ms; i++) {
        const struct revocation *entry = &revocations->entries[i];
        if (!entry->is_erased || !tokens->erase(tokens->erase_context, &entry->user_id))
            continue;
        json_array_append_new(list, json_string(entry->user_id.text));
        if (json_array_size(list) < ERASED_AT_ONCE)
            continue;
        if (!tell_erased(tokens, list, error))
            return false;
        json_array_clear(list);
    }
    return json_array_size(list) == 0 || tell_erased(tokens, list, error);
}

static bool is_starting(const struct tokens *tokens)
{
    return !tokens->knows_revocations && clock_boot_ms() - tokens->opened_ms < START_PATIENCE_MS;
}

static void note_outcome(struct tokens *tokens, bool is_well, const struct error *error)
{
    if (!is_well && error->kind == ERROR_UNAVAILABLE && is_starting(tokens))
        return;
    if (!is_well && !tokens->is_failing)
        log_warning("auth does not answer: tokens are checked by what is known",
                    FIELD_TEXT("reason", error->text));
    if (is_well && tokens->is_failing)
        log_info("auth answers again");
    tokens->is_failing = !is_well;
}

static void end_fetch(struct tokens *tokens, bool is_well, const struct error *error)
{
    pthread_mutex_lock(&tokens->lock);
    int64_t interval_ms = is_well               ? KEYS_INTERVAL_MS
                          : tokens->set == NULL ? RETRY_INTERVAL_MS
                                                : tokens->interval_ms;
    tokens->keys_due_ms = clock_boot_ms() + interval_ms;
    tokens->fetches++;
    tokens->is_wanted = false;
    if (!is_well)
        tokens->why_unknown = *error;
    pthread_cond_broadcast(&tokens->changed);
    pthread_mutex_unlock(&tokens->lock);
}

static bool look_for_revocations(struct tokens *tokens, int64_t now_ms, struct error *error)
{
    bool is_well = fetch_revocations(tokens, error);
    tokens->knows_revocations = tokens->knows_revocations || is_well;
    tokens->revocations_due_ms =
        now_ms + (tokens->knows_revocations ? tokens->interval_ms : RETRY_INTERVAL_MS);
    if (!tokens->knows_revocations)
        end_fetch(tokens, false, error);
    return is_well && erase_accounts(tokens, error);
}

static bool is_keys_due(struct tokens *tokens, int64_t now_ms)
{
    pthread_mutex_lock(&tokens->lock);
    bool is_due = tokens->keys_due_ms <= now_ms || tokens->is_wanted;
    if (is_due)
        tokens->keys_fetched_ms = now_ms;
    pthread_mutex_unlock(&tokens->lock);
    return is_due;
}

/* Revocations first: as long as there never was a list of them, no token is accepted. A gateway
 * whose secret is wrong would otherwise let disabled users in without anybody noticing. */
static void fetch_due(struct tokens *tokens)
{
    int64_t now_ms = clock_boot_ms();
    bool is_well = true;
    struct error error = {0};
    if (tokens->revocations_due_ms <= now_ms)
        is_well = look_for_revocations(tokens, now_ms, &error);
    if (tokens->knows_revocations && is_keys_due(tokens, now_ms)) {
        struct error keys_error = {0};
        bool has_keys = fetch_keys(tokens, &keys_error);
        end_fetch(tokens, has_keys, &keys_error);
        if (is_well && !has_keys)
            error = keys_error;
        is_well = is_well && has_keys;
    }
    note_outcome(tokens, is_well, &error);
}

/* False: it closes. */
static bool wait_for_due(struct tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    int64_t due_ms = tokens->revocations_due_ms;
    if (tokens->knows_revocations && tokens->keys_due_ms < due_ms)
        due_ms = tokens->keys_due_ms;
    int64_t wait_ms = due_ms - clock_boot_ms();
    struct timespec deadline = condition_deadline(wait_ms > 0 ? wait_ms : 0);
    int outcome = 0;
    while (!tokens->is_closing && !tokens->is_wanted && outcome == 0)
        outcome = pthread_cond_timedwait(&tokens->changed, &tokens->lock, &deadline);
    bool goes_on = !tokens->is_closing;
    pthread_mutex_unlock(&tokens->lock);
    return goes_on;
}

static void *tokens_main(void *context)
{
    struct tokens *tokens = context;
    do
        fetch_due(tokens);
    while (wait_for_due(tokens));
    return NULL;
}

static void destroy(struct tokens *tokens)
{
    release(tokens, tokens->set);
    revocations_finish(&tokens->revocations);
    http_client_close(tokens->client);
    pthread_cond_destroy(&tokens->changed);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

bool tokens_open(const struct config *config, const struct gateway_settings *settings,
                 tokens_erase *erase, void *erase_context, struct tokens **out_tokens,
                 struct error *error)
{
    const struct http_client_options options = {
        .base_url = settings->auth_url,
        .ca_file = settings->auth_ca_file,
        .timeout_ms = CALL_TIMEOUT_MS,
        .body_size_max = ANSWER_SIZE_MAX,
    };
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL)
        abort();
    tokens->config = config;
    tokens->opened_ms = clock_boot_ms();
    tokens->erase = erase;
    tokens->erase_context = erase_context;
    tokens->interval_ms = settings->auth_interval_ms;
    tokens->waiting_max = settings->threads / 4; /* and half may wait for logins */
    pthread_mutex_init(&tokens->lock, NULL);
    condition_init(&tokens->changed);
    error_set(&tokens->why_unknown, ERROR_UNAVAILABLE, "auth was not asked yet");
    bool is_open = http_client_open(&options, &tokens->client, error);
    if (is_open && pthread_create(&tokens->thread, NULL, tokens_main, tokens) != 0)
        is_open = error_set(error, ERROR_UNAVAILABLE, "cannot start the thread of the tokens");
    if (!is_open) {
        destroy(tokens);
        return error_prefix(error, "gateway.auth_url");
    }
    *out_tokens = tokens;
    return true;
}

void tokens_close(struct tokens *tokens)
{
    if (tokens == NULL)
        return;
    condition_raise(&tokens->changed, &tokens->lock, &tokens->is_closing);
    pthread_join(tokens->thread, NULL);
    destroy(tokens);
}

bool tokens_check(struct tokens *tokens, struct error *error)
{
    pthread_mutex_lock(&tokens->lock);
    bool is_known = tokens->set != NULL;
    if (!is_known)
        *error = tokens->why_unknown;
    pthread_mutex_unlock(&tokens->lock);
    return is_known;
}

static struct key_set *take_set(struct tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    struct key_set *set = tokens->set;
    if (set != NULL)
        set->references++;
    pthread_mutex_unlock(&tokens->lock);
    return set;
}

/* False: the keys were asked for just now, so that asking again would not help; or as many as may
 * wait already. Anybody can name an unknown key: those who do must not hold every thread. */
static bool wait_for_fetch(struct tokens *tokens)
{
    struct timespec deadline = condition_deadline(VERIFY_WAIT_MAX_MS);
    pthread_mutex_lock(&tokens->lock);
    bool may_ask =
        tokens->waiting < tokens->waiting_max &&
        (tokens->set == NULL || clock_boot_ms() - tokens->keys_fetched_ms >= tokens->interval_ms);
    uint64_t fetches = tokens->fetches;
    int outcome = 0;
    if (may_ask && tokens->set != NULL) {
        tokens->is_wanted = true;
        pthread_cond_broadcast(&tokens->changed);
    }
    tokens->waiting += may_ask;
    while (may_ask && tokens->fetches == fetches && !tokens->is_closing && outcome == 0)
        outcome = pthread_cond_timedwait(&tokens->changed, &tokens->lock, &deadline);
    tokens->waiting -= may_ask;
    bool has_come = tokens->fetches != fetches;
    pthread_mutex_unlock(&tokens->lock);
    return has_come;
}

/* ERROR_NOT_FOUND: signed with a key that is not known (yet). */
static bool verify_once(struct tokens *tokens, const char *token, struct claims *out_claims,
                        struct error *error)
{
    struct key_set *set = take_set(tokens);
    if (set == NULL)
        return error_set(error, ERROR_NOT_FOUND, "no keys are known yet");
    CLEANUP(json_decrefp) json_t *json = NULL;
    bool is_signed = token_verify(set->keys, token, &json, error);
    release(tokens, set);
    return is_signed && claims_from_json(json, clock_wall_ms() / 1000, out_claims, error);
}

bool tokens_verify(struct tokens *tokens, const char *token, struct claims *out_claims,
                   struct error *error)
{
    struct claims claims;
    struct error cause = {0};
    bool is_verified = verify_once(tokens, token, &claims, &cause);
    if (!is_verified && cause.kind == ERROR_NOT_FOUND && wait_for_fetch(tokens))
        is_verified = verify_once(tokens, token, &claims, &cause);
    if (!is_verified && cause.kind == ERROR_NOT_FOUND && !tokens_check(tokens, &cause))
        return error_set_failure(error, ERROR_UNAVAILABLE, &FAILURE_AUTH_UNAVAILABLE, "%s",
                                 cause.text);
    if (!is_verified)
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN, "%s", cause.text);

    pthread_mutex_lock(&tokens->lock);
    bool is_revoked = revocations_refuse(&tokens->revocations, &claims);
    pthread_mutex_unlock(&tokens->lock);
    if (is_revoked)
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN, "revoked");
    *out_claims = claims;
    return true;
}
