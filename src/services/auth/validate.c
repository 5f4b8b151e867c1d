/* POST /validate: a token in, its claims out, checked against the account as it is now. */

#include "services/auth/auth_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"

/* NULL: the account stands behind the token. */
static const struct failure *check_account(struct user_store *users, const struct claims *claims)
{
    struct user user;
    struct error error = {0};
    if (!user_store_find_by_id(users, &claims->user_id, &user, &error)) {
        if (error.kind == ERROR_NOT_FOUND)
            return &FAILURE_INVALID_TOKEN;
        log_warning("the store of users failed", FIELD_TEXT("reason", error.text));
        return &FAILURE_STORE_UNAVAILABLE;
    }
    if (user.is_disabled)
        return &FAILURE_NOT_ALLOWED;
    return claims->epoch < user.epoch ? &FAILURE_INVALID_TOKEN : NULL;
}

void auth_validate(struct http_request *request)
{
    const char *token = http_request_bearer_token(request);
    if (token == NULL) {
        http_answer_failure(request, &FAILURE_MISSING_CREDENTIALS, NULL);
        return;
    }
    struct claims claims;
    struct error error = {0};
    if (!key_ring_verify(auth_keys(request), token, &claims, &error)) {
        http_answer_error(request, &error);
        return;
    }
    struct user_store *users = auth_users(request);
    if (users == NULL)
        return;
    const struct failure *failure = check_account(users, &claims);
    if (failure != NULL) {
        http_answer_failure(request, failure, NULL);
        return;
    }
    CLEANUP(json_decrefp) json_t *json = claims_to_json(&claims);
    http_answer_header(request, "Cache-Control", "no-store");
    http_answer_json(request, 200, json);
}
