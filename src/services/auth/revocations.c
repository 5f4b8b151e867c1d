/* GET /revocations: the accounts whose epoch was raised within the life of a token, and those that
 * are being erased. Tokens of a smaller epoch are refused by gateways; what the erased own they
 * delete, and tell erased.c. */

#include "services/auth/auth_internal.h"

#include "base/json.h"
#include "model/failure.h"
#include <stdlib.h>

static void add_users(json_t *list, const struct user *users, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_object_make();
        json_set_text(entry, "sub", users[i].id.text);
        json_set_integer(entry, "epoch", users[i].epoch);
        if (users[i].erased_at_ms != 0)
            json_set_integer(entry, "erased_at_ms", users[i].erased_at_ms);
        json_array_append_new(list, entry);
    }
}

static bool collect(struct user_store *store, int64_t since_ms, json_t *list, struct error *error)
{
    struct user *users = calloc(USER_STORE_LIMIT_MAX, sizeof *users);
    if (users == NULL)
        abort();
    struct id after = {{0}};
    size_t count = 0;
    bool is_read;
    do {
        is_read =
            user_store_revoked(store, since_ms, &after, USER_STORE_LIMIT_MAX, users, &count, error);
        if (is_read && count != 0) {
            add_users(list, users, count);
            after = users[count - 1].id;
        }
    } while (is_read && count == USER_STORE_LIMIT_MAX);
    free(users);
    return is_read;
}

void auth_revocations(struct http_request *request)
{
    if (!auth_is_gateway(request)) {
        http_answer_failure(request, &FAILURE_NOT_ALLOWED, NULL);
        return;
    }
    struct user_store *users = auth_users(request);
    if (users == NULL)
        return;
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_t *list = json_array_make();
    json_set_take(json, "revocations", list);
    int64_t since_ms = 0;
    struct error error = {0};
    if (!auth_tokens_since(request, users, &since_ms, &error) ||
        !collect(users, since_ms, list, &error)) {
        http_answer_error(request, &error);
        return;
    }
    http_answer_header(request, "Cache-Control", "no-store");
    http_answer_json(request, 200, json);
}
