#pragma once

/* The keys that tokens are signed with: one file each in auth.keys_dir, which all of auth's
 * replicas share. Used by auth, and by `tapedeck keys rotate`.
 *
 * A new key is published (in the JWKS) for KEYS_PUBLICATION_MS before it signs, so that gateways
 * know it by then; the first of all signs at once. A key that another has replaced still verifies
 * until the last token that it signed has ended; then its file is removed. */

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"
#include "model/claims.h"
#include <stdint.h>

#define KEYS_MAX 16 /* in one folder; rotating past that is refused */
#define KEYS_PUBLICATION_MS INT64_C(60000)
#define KEYS_ID_SIZE 32 /* a key's `kid`, with the NUL */
#define KEYS_JWKS_SIZE_MAX 16384

extern const struct config_option keys_options[]; /* auth.keys_dir, auth.token_lifetime */

/* A new key file beside the others; running services notice it. ERROR_TOO_LARGE: there are KEYS_MAX
 * that tokens may still need. */
MUST_CHECK bool keys_rotate(const struct config *config, char out_key_id[KEYS_ID_SIZE],
                            struct error *error);

/* Each file there is a key, and closed to others; makes nothing, and needs none to be there yet. */
MUST_CHECK bool keys_check(const struct config *config, struct error *error);

struct key_ring; /* not thread-safe: one per thread */

/* Makes the folder and the first key where there is none. */
MUST_CHECK bool key_ring_open(const struct config *config, struct key_ring **out_ring,
                              struct error *error);
void key_ring_close(struct key_ring *ring); /* NULL is fine */
void key_ring_closep(struct key_ring **ring);

/* Each looks at the folder again where the last look is older than a second. */
MUST_CHECK bool key_ring_sign(struct key_ring *ring, const struct claims *claims,
                              struct buffer *out_token, struct error *error);
/* ERROR_DENIED with FAILURE_INVALID_TOKEN. */
MUST_CHECK bool key_ring_verify(struct key_ring *ring, const char *token, struct claims *out_claims,
                                struct error *error);
/* The public halves (RFC 7517 §5). */
MUST_CHECK bool key_ring_format_jwks(struct key_ring *ring, struct buffer *out_json,
                                     struct error *error);

int64_t key_ring_token_lifetime_ms(const struct key_ring *ring);
