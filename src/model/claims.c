#include "model/claims.h"

#include "base/json.h"
#include "model/failure.h"
#include <string.h>

/* Clocks of hosts that check tokens may differ from auth's by so much. */
#define LEEWAY_S 60

/* Far beyond any token's life; keeps the sums below from overflowing. */
#define TIME_MAX_S (INT64_MAX / 2)

json_t *claims_to_json(const struct claims *claims)
{
    json_t *json = json_object_make();
    json_set_text(json, "iss", CLAIMS_ISSUER);
    json_set_text(json, "aud", CLAIMS_AUDIENCE);
    json_set_text(json, "sub", claims->user_id.text);
    json_set_text(json, "username", claims->email);
    json_set_bool(json, "admin", claims->is_admin);
    json_set_integer(json, "epoch", claims->epoch);
    json_set_integer(json, "iat", claims->issued_at_s);
    json_set_integer(json, "exp", claims->expires_at_s);
    json_set_text(json, "jti", claims->token_id.text);
    return json;
}

static bool check_text(const json_t *json, const char *member, const char *expected,
                       struct error *error)
{
    char text[32] = "";
    if (!json_get_text(json, member, JSON_REQUIRED, text, sizeof text, error))
        return false;
    if (strcmp(text, expected) != 0)
        return error_set(error, ERROR_DENIED, "member \"%s\" is not \"%s\"", member, expected);
    return true;
}

static bool read_claims(const json_t *json, struct claims *out_claims, struct error *error)
{
    return check_text(json, "iss", CLAIMS_ISSUER, error) &&
           check_text(json, "aud", CLAIMS_AUDIENCE, error) &&
           json_get_id(json, "sub", JSON_REQUIRED, &out_claims->user_id, error) &&
           json_get_text(json, "username", JSON_REQUIRED, out_claims->email,
                         sizeof out_claims->email, error) &&
           json_get_bool(json, "admin", JSON_REQUIRED, &out_claims->is_admin, error) &&
           json_get_integer(json, "epoch", JSON_REQUIRED, 0, INT64_MAX, &out_claims->epoch,
                            error) &&
           json_get_integer(json, "iat", JSON_REQUIRED, 0, TIME_MAX_S, &out_claims->issued_at_s,
                            error) &&
           json_get_integer(json, "exp", JSON_REQUIRED, 0, TIME_MAX_S, &out_claims->expires_at_s,
                            error) &&
           json_get_id(json, "jti", JSON_REQUIRED, &out_claims->token_id, error);
}

bool claims_from_json(const json_t *json, int64_t now_s, struct claims *out_claims,
                      struct error *error)
{
    struct claims claims = {0};
    struct error cause = {0};
    if (!read_claims(json, &claims, &cause))
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN, "token: %s",
                                 cause.text);
    if (now_s < claims.issued_at_s - LEEWAY_S)
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN,
                                 "token from the future: compare the hosts' clocks");
    if (now_s >= claims.expires_at_s + LEEWAY_S)
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN, "token has expired");
    *out_claims = claims;
    return true;
}
