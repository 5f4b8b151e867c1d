/* POST /login: handed on to auth, so that clients need to know one address only. */

#include "services/gateway/gateway.h"

#include "base/log.h"
#include "net/http_client.h"
#include "services/common/gateway_key.h"
#include <stdio.h>
#include <string.h>

#define LOGIN_TIMEOUT_MS 15000
#define HEADER_SIZE 8192
#define HEADERS_MAX 5

/* "Name: value" of headers to send; borrowed by the call. */
struct header_list {
    char texts[HEADERS_MAX][HEADER_SIZE];
    const char *pointers[HEADERS_MAX + 1];
    size_t count;
};

static bool add_header(struct header_list *list, const char *name, const char *value)
{
    char *text = list->texts[list->count];
    if (value == NULL)
        return true;
    if (snprintf(text, HEADER_SIZE, "%s: %s", name, value) >= HEADER_SIZE)
        return false;
    list->pointers[list->count++] = text;
    return true;
}

static const char *client_address(const struct http_request *request)
{
    const char *forwarded = http_request_last_header(request, "X-Forwarded-For");
    if (!gateway_of(request)->settings.trusts_forwarded_for || forwarded == NULL)
        return http_request_remote_address(request);
    /* Only the last entry is the proxy's word; those before it are the client's. */
    const char *comma = strrchr(forwarded, ',');
    const char *last = comma != NULL ? comma + 1 : forwarded;
    return last + strspn(last, " ");
}

static bool call_auth(struct http_request *request, struct http_client_answer *out_answer,
                      struct error *error)
{
    struct gateway_thread *thread = http_request_thread(request);
    const struct http_client_options options = {
        .base_url = thread->gateway->settings.auth_url,
        .ca_file = thread->gateway->settings.auth_ca_file,
        .timeout_ms = LOGIN_TIMEOUT_MS,
    };
    if (thread->auth == NULL && !http_client_open(&options, &thread->auth, error))
        return false;
    char key[GATEWAY_KEY_SIZE];
    if (!gateway_key_load(thread->gateway->config, key, error))
        return error_prefix(error, "auth.gateway_key_file");
    static _Thread_local struct header_list list;
    list = (struct header_list){.count = 0};
    if (!add_header(&list, "Authorization", http_request_header(request, "Authorization")) ||
        !add_header(&list, "Accept", http_request_header(request, "Accept")) ||
        !add_header(&list, GATEWAY_CLIENT_HEADER, client_address(request)) ||
        !add_header(&list, GATEWAY_KEY_HEADER, key))
        return error_set(error, ERROR_TOO_LARGE, "a header of the login is too long");
    const struct http_client_call call = {
        .method = "POST", .path = "/login", .headers = list.pointers};
    bool is_answered = http_client_do(thread->auth, &call, out_answer, error);
    list = (struct header_list){.count = 0}; /* credentials were in it */
    return is_answered;
}

static void pass_on(struct http_request *request, const struct http_client_answer *answer)
{
    char seconds[24];
    switch (answer->status) {
    case 200:
        http_answer_header(request, "Cache-Control", "no-store");
        http_answer_bytes(request, 200, answer->content_type, buffer_text(&answer->body),
                          answer->body.size);
        break;
    case 401:
        http_answer_header(request, "WWW-Authenticate",
                           "Basic realm=\"tapedeck\", charset=\"UTF-8\"");
        http_answer_failure(request, &FAILURE_INVALID_CREDENTIALS, NULL);
        break;
    case 429:
        snprintf(seconds, sizeof seconds, "%lld",
                 (long long)(answer->retry_after_s > 0 ? answer->retry_after_s : 5));
        http_answer_header(request, "Retry-After", seconds);
        http_answer_failure(request, &FAILURE_TOO_MANY_REQUESTS, NULL);
        break;
    default:
        log_warning("auth refused a login", FIELD_COUNT("status", answer->status));
        http_answer_failure(request, &FAILURE_AUTH_UNAVAILABLE, NULL);
        break;
    }
}

static void log_in(struct http_request *request)
{
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    struct error error = {0};
    if (call_auth(request, &answer, &error)) {
        pass_on(request, &answer);
    } else if (error.kind == ERROR_TOO_LARGE) {
        http_answer_failure(request, &FAILURE_HEADERS_TOO_LARGE, NULL);
    } else {
        log_warning("auth does not answer a login", FIELD_TEXT("reason", error.text));
        http_answer_failure(request, &FAILURE_AUTH_UNAVAILABLE, NULL);
    }
}

void gateway_login(struct http_request *request)
{
    struct gateway *gateway = gateway_of(request);
    if (http_request_header(request, "Authorization") == NULL) {
        http_answer_header(request, "WWW-Authenticate",
                           "Basic realm=\"tapedeck\", charset=\"UTF-8\"");
        http_answer_failure(request, &FAILURE_MISSING_CREDENTIALS, NULL);
        return;
    }
    /* Logins wait for hashes; half of the threads stay free of them, whatever comes. */
    unsigned long long open = atomic_fetch_add(&gateway->logins_open, 1);
    if (open < gateway->settings.threads / 2)
        log_in(request);
    else
        http_answer_failure(request, &FAILURE_AUTH_UNAVAILABLE,
                            "Too many logins at once; try again in a few seconds.");
    atomic_fetch_sub(&gateway->logins_open, 1);
}
