/* POST /login: Basic credentials in, a token out. An unknown user, a disabled one and a wrong
 * password get the same answer after the same work. */

#include "services/auth/auth_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"
#include "services/auth/basic_credentials.h"
#include "services/auth/passwords.h"
#include "services/common/gateway_key.h"
#include <stdio.h>
#include <string.h>

#define HASH_WAIT_MAX_MS 5000
#define TOKEN_SIZE_MAX_HERE 4096

static const char *client_address(const struct http_request *request)
{
    const char *told = http_request_header(request, GATEWAY_CLIENT_HEADER);
    if (told != NULL && auth_is_gateway(request))
        return told;
    return http_request_remote_address(request);
}

static void refuse(struct http_request *request, const struct failure *failure)
{
    if (failure->http_status == 401)
        http_answer_header(request, "WWW-Authenticate",
                           "Basic realm=\"tapedeck\", charset=\"UTF-8\"");
    http_answer_failure(request, failure, NULL);
}

/* False where there is no such user; then *out_user has a hash that nothing fits. */
static bool find_user(struct http_request *request, struct user_store *users, const char *email,
                      struct user *out_user, bool *out_has_failed)
{
    char checked[CLAIMS_EMAIL_SIZE];
    struct error error = {0};
    *out_has_failed = false;
    if (accounts_check_email(email, checked, &error) &&
        user_store_find_by_email(users, checked, out_user, &error) &&
        out_user->password_hash[0] != '\0')
        return true;
    *out_has_failed =
        error.kind != ERROR_NONE && error.kind != ERROR_NOT_FOUND && error.kind != ERROR_BAD_INPUT;
    if (*out_has_failed) {
        log_warning("the store of users failed", FIELD_TEXT("reason", error.text));
        http_answer_failure(request, &FAILURE_STORE_UNAVAILABLE, NULL);
    }
    *out_user = (struct user){0};
    memcpy(out_user->password_hash, auth_of(request)->nobody_hash, sizeof out_user->password_hash);
    return false;
}

/* Parameters move on; whoever logs in brings the password that the new hash needs. A failure is
 * tried again at the next login. */
static void upgrade_hash(struct user_store *users, struct user *user, const char *password)
{
    struct error error = {0};
    if (!password_is_outdated(user->password_hash))
        return;
    if (password_hash(password, user->password_hash, &error) &&
        user_store_update(users, user, &error))
        log_info("password hash upgraded", FIELD_TEXT("user", user->id.text));
    else
        log_warning("password hash not upgraded", FIELD_TEXT("user", user->id.text),
                    FIELD_TEXT("reason", error.text));
}

static void answer_token(struct http_request *request, const struct user *user)
{
    struct key_ring *keys = auth_keys(request);
    int64_t now_s = clock_wall_ms() / 1000;
    struct claims claims = {
        .user_id = user->id,
        .is_admin = user->is_admin,
        .epoch = user->epoch,
        .issued_at_s = now_s,
        .expires_at_s = now_s + key_ring_token_lifetime_ms(keys) / 1000,
        .token_id = id_make_random(),
    };
    memcpy(claims.email, user->email, sizeof claims.email);
    CLEANUP(buffer_finish) struct buffer token = BUFFER_WITH_MAX(TOKEN_SIZE_MAX_HERE);
    struct error error = {0};
    http_answer_header(request, "Cache-Control", "no-store");
    if (!key_ring_sign(keys, &claims, &token, &error)) {
        log_error("cannot sign a token", FIELD_TEXT("reason", error.text));
        http_answer_failure(request, &FAILURE_AUTH_UNAVAILABLE, NULL);
        return;
    }
    const char *accept = http_request_header(request, "Accept");
    if (accept == NULL || strstr(accept, "application/json") == NULL) {
        http_answer_text(request, 200, buffer_text(&token));
        return;
    }
    char expires_at[CLOCK_TEXT_SIZE];
    clock_format_seconds(claims.expires_at_s * 1000, expires_at);
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_set_text(json, "token", buffer_text(&token));
    json_set_text(json, "token_type", "Bearer");
    json_set_text(json, "expires_at", expires_at);
    http_answer_json(request, 200, json);
}

enum check { CHECK_RIGHT, CHECK_WRONG, CHECK_NOT_MADE };

static enum check check_password(struct http_request *request, struct user_store *users,
                                 struct basic_credentials *credentials, struct user *out_user)
{
    struct auth *auth = auth_of(request);
    bool has_failed = false;
    bool is_known = find_user(request, users, credentials->email, out_user, &has_failed);
    if (has_failed)
        return CHECK_NOT_MADE;
    if (!hash_gate_enter(&auth->gate, HASH_WAIT_MAX_MS)) {
        http_answer_failure(request, &FAILURE_AUTH_UNAVAILABLE,
                            "Too many logins at once; try again in a few seconds.");
        return CHECK_NOT_MADE;
    }
    bool fits = password_verify(out_user->password_hash, credentials->password);
    bool is_right = fits && is_known && !out_user->is_disabled && out_user->erased_at_ms == 0;
    if (is_right)
        upgrade_hash(users, out_user, credentials->password);
    hash_gate_leave(&auth->gate);
    return is_right ? CHECK_RIGHT : CHECK_WRONG;
}

static void log_in(struct http_request *request, struct basic_credentials *credentials)
{
    struct auth *auth = auth_of(request);
    const char *address = client_address(request);
    struct user_store *users = auth_users(request);
    if (users == NULL)
        return;
    for (char *at = credentials->email; *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    int64_t wait_ms = 0;
    if (!throttle_begin(auth->throttle, credentials->email, address, clock_boot_ms(), &wait_ms)) {
        char wait_s[24];
        snprintf(wait_s, sizeof wait_s, "%lld", (long long)(wait_ms + 999) / 1000);
        http_answer_header(request, "Retry-After", wait_s);
        auth_count_login(auth, "throttled");
        refuse(request, &FAILURE_TOO_MANY_REQUESTS);
        return;
    }
    struct user user;
    enum check check = check_password(request, users, credentials, &user);
    if (check != CHECK_WRONG)
        throttle_take_back(auth->throttle, credentials->email, address);
    if (check == CHECK_RIGHT) {
        auth_count_login(auth, "right");
        answer_token(request, &user);
    } else if (check == CHECK_WRONG) {
        auth_count_login(auth, "wrong");
        refuse(request, &FAILURE_INVALID_CREDENTIALS);
    }
}

void auth_login(struct http_request *request)
{
    const char *header = http_request_header(request, "Authorization");
    CLEANUP(basic_credentials_wipe) struct basic_credentials credentials = {.email = ""};
    struct error error = {0};
    if (header == NULL)
        refuse(request, &FAILURE_MISSING_CREDENTIALS);
    else if (!basic_credentials_parse(header, &credentials, &error))
        refuse(request, &FAILURE_INVALID_CREDENTIALS);
    else
        log_in(request, &credentials);
}
