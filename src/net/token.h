#pragma once

/* Tokens: JWTs (RFC 7519) signed with ES256 (RFC 7518 §3.4), and the keys they are signed with. The
 * only door to cjose. What the claims mean is model/claims.h's.
 *
 * One algorithm is known. A token's header is checked before anything else is looked at: `alg` must
 * be exactly ES256, so that neither "none" nor a MAC keyed with a public key is ever tried. */

#include "base/buffer.h"
#include "base/error.h"
#include <jansson.h>
#include <stddef.h>

#define TOKEN_SIZE_MAX 4096
#define TOKEN_KEY_ID_SIZE 32      /* with the NUL */
#define TOKEN_KEYS_MAX 16         /* of one set */
#define TOKEN_KEYS_SIZE_MAX 16384 /* of a set as JSON */

/* ---- Signing keys: auth's alone ---- */

struct token_key; /* immutable */

MUST_CHECK bool token_key_make(struct token_key **out_key, struct error *error);
/* A private JWK, as token_key_save() wrote it. ERROR_BAD_INPUT: it is no P-256 private key. */
MUST_CHECK bool token_key_load(const char *jwk, size_t size, struct token_key **out_key,
                               struct error *error);
/* Appends the private JWK (RFC 7517): a secret, for a file of mode 0600. */
MUST_CHECK bool token_key_save(const struct token_key *key, struct buffer *out_jwk,
                               struct error *error);
/* From its thumbprint (RFC 7638), of which it is the first 16 bytes: the same wherever the same key
 * is loaded. */
const char *token_key_id(const struct token_key *key);
void token_key_close(struct token_key *key); /* NULL is fine */
void token_key_closep(struct token_key **key);

/* Appends {"keys":[…]} with the public halves (RFC 7517 §5). */
MUST_CHECK bool token_keys_format(const struct token_key *const *keys, size_t count,
                                  struct buffer *out_jwks, struct error *error);

/* Appends the compact form. ERROR_TOO_LARGE past TOKEN_SIZE_MAX. */
MUST_CHECK bool token_sign(const struct token_key *key, const json_t *claims,
                           struct buffer *out_token, struct error *error);

/* ---- Verifying: whoever has the public keys ---- */

struct token_keys; /* immutable: may be used by any number of threads at once */

/* A JWKS from a peer. Keys of other kinds or uses are left out. ERROR_BAD_INPUT: it is none, or
 * larger than the maxima. */
MUST_CHECK bool token_keys_parse(const void *jwks, size_t size, struct token_keys **out_keys,
                                 struct error *error);
size_t token_keys_count(const struct token_keys *keys);
void token_keys_close(struct token_keys *keys); /* NULL is fine */
void token_keys_closep(struct token_keys **keys);

/* *out_claims is the caller's: what the key signed, not yet what claims_from_json() accepts.
 * ERROR_NOT_FOUND: no key of that `kid` is in the set (fetch it anew, then ask again).
 * ERROR_DENIED with FAILURE_INVALID_TOKEN: anything else that is wrong with the token. */
MUST_CHECK bool token_verify(const struct token_keys *keys, const char *token, json_t **out_claims,
                             struct error *error);
