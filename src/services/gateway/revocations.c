#include "services/gateway/revocations.h"

#include "base/json.h"
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct revocation *first = a;
    const struct revocation *second = b;
    return strcmp(first->user_id.text, second->user_id.text);
}

static bool parse_entry(const json_t *json, struct revocation *out, struct error *error)
{
    int64_t erased_at_ms = 0;
    if (!json_get_integer(json, "erased_at_ms", JSON_OPTIONAL, 0, INT64_MAX, &erased_at_ms, error))
        return false;
    out->is_erased = erased_at_ms != 0;
    return json_get_id(json, "sub", JSON_REQUIRED, &out->user_id, error) &&
           json_get_integer(json, "epoch", JSON_REQUIRED, 0, INT64_MAX, &out->epoch, error);
}

bool revocations_parse(const void *json, size_t size, struct revocations *out, struct error *error)
{
    CLEANUP(json_decrefp) json_t *parsed = NULL;
    if (!json_parse(json, size, &parsed, error))
        return error_prefix(error, "revocations");
    const json_t *list = json_object_get(parsed, "revocations");
    if (!json_is_array(list))
        return error_set(error, ERROR_BAD_INPUT, "revocations: a list is expected");
    size_t count = json_array_size(list);
    if (count > REVOCATIONS_MAX)
        return error_set(error, ERROR_TOO_LARGE, "revocations: %zu, limit %d", count,
                         REVOCATIONS_MAX);
    CLEANUP(revocations_finish)
    struct revocations revocations = {
        .entries = calloc(count + 1, sizeof(struct revocation)),
        .count = count,
    };
    if (revocations.entries == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!parse_entry(json_array_get(list, i), &revocations.entries[i], error))
            return error_prefix(error, "revocations");
    qsort(revocations.entries, count, sizeof *revocations.entries, compare);
    *out = revocations;
    revocations.entries = NULL; /* the caller's now */
    return true;
}

bool revocations_refuse(const struct revocations *revocations, const struct claims *claims)
{
    if (revocations->count == 0)
        return false;
    const struct revocation wanted = {.user_id = claims->user_id};
    const struct revocation *found = bsearch(&wanted, revocations->entries, revocations->count,
                                             sizeof *revocations->entries, compare);
    return found != NULL && claims->epoch < found->epoch;
}

void revocations_finish(struct revocations *revocations)
{
    free(revocations->entries);
    *revocations = (struct revocations){0};
}
