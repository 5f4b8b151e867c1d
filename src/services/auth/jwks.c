/* GET /.well-known/jwks.json: the keys that tokens are verified with. */

#include "services/auth/auth_internal.h"

#include <stdio.h>

void auth_jwks(struct http_request *request)
{
    CLEANUP(buffer_finish) struct buffer jwks = BUFFER_WITH_MAX(KEYS_JWKS_SIZE_MAX);
    struct error error = {0};
    if (!key_ring_format_jwks(auth_keys(request), &jwks, &error)) {
        http_answer_error(request, &error);
        return;
    }
    char cache_control[48];
    snprintf(cache_control, sizeof cache_control, "public, max-age=%lld",
             (long long)(KEYS_PUBLICATION_MS / 1000));
    http_answer_header(request, "Cache-Control", cache_control);
    http_answer_bytes(request, 200, "application/json", buffer_text(&jwks), jwks.size);
}
