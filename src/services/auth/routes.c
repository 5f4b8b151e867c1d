/* The tour: what auth can be asked for, and which file answers it. */

#include "services/auth/auth_internal.h"

#define BODY_IGNORED_MAX 4096

const struct http_route auth_routes[] = {
    {
        .method = "POST",
        .path = "/login",
        .handle = auth_login,
        .body = HTTP_BODY_SMALL,
        .body_size_max = BODY_IGNORED_MAX,
    },
    {
        .method = "POST",
        .path = "/validate",
        .handle = auth_validate,
        .body = HTTP_BODY_SMALL,
        .body_size_max = BODY_IGNORED_MAX,
    },
    {
        .method = "GET",
        .path = "/.well-known/jwks.json",
        .handle = auth_jwks,
        .serves_head = true,
        .is_quiet = true,
    },

    /* For gateways, which show the secret that they share with us. */
    {.method = "GET", .path = "/revocations", .handle = auth_revocations, .is_quiet = true},
    {
        .method = "POST",
        .path = "/erased",
        .handle = auth_erased,
        .body = HTTP_BODY_SMALL,
        .body_size_max = 4096,
    },
    {0},
};
