/* POST /erased: a gateway has found nothing left of what these erased accounts owned. Each is
 * dropped once its last token has ended, since nobody would refuse its tokens then; gateways say it
 * again as long as it is there. */

#include "services/auth/auth_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"

static bool drop(struct user_store *users, const struct id *id, int64_t tokens_since_ms,
                 struct error *error)
{
    struct user user;
    if (!user_store_find_by_id(users, id, &user, error))
        return error->kind == ERROR_NOT_FOUND;
    if (user.erased_at_ms == 0 || user.erased_at_ms >= tokens_since_ms)
        return true;
    if (!user_store_remove(users, id, user.version, error))
        return error->kind == ERROR_CONFLICT; /* another gateway said it at the same time */
    log_info("erased account dropped", FIELD_TEXT("user", id->text));
    return true;
}

static bool drop_all(struct http_request *request, struct user_store *users, const json_t *list,
                     struct error *error)
{
    int64_t since_ms = 0;
    if (!auth_tokens_since(request, users, &since_ms, error))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct id id;
        const char *text = json_string_value(json_array_get(list, i));
        if (!id_parse(text != NULL ? text : "", &id, error) || !drop(users, &id, since_ms, error))
            return false;
    }
    return true;
}

void auth_erased(struct http_request *request)
{
    size_t size = 0;
    const void *body = http_request_body(request, &size);
    CLEANUP(json_decrefp) json_t *json = NULL;
    struct error error = {0};
    if (!auth_is_gateway(request)) {
        http_answer_failure(request, &FAILURE_NOT_ALLOWED, NULL);
        return;
    }
    struct user_store *users = auth_users(request);
    if (users == NULL)
        return;
    if (json_parse(body, size, &json, &error) &&
        drop_all(request, users, json_object_get(json, "erased"), &error))
        http_answer_empty(request, 204);
    else
        http_answer_error(request, &error);
}
