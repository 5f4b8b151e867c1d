#include "net/token.h"

#include "base/json.h"
#include "model/failure.h"
#include <cjose/cjose.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "ES256"
#define KEY_ID_BYTES 16
#define PEER_KEY_ID_SIZE 128 /* other makers name their keys as they like */
#define JWK_SIZE_MAX 2048
#define HEADER_SIZE_MAX 1024
#define COORDINATE_TEXT_SIZE 43 /* 32 bytes as base64url */

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct token_key {
    cjose_jwk_t *jwk; /* owned */
    char id[TOKEN_KEY_ID_SIZE];
};

struct public_key {
    char id[PEER_KEY_ID_SIZE];
    cjose_jwk_t *jwk; /* owned */
};

struct token_keys {
    struct public_key keys[TOKEN_KEYS_MAX];
    size_t count;
};

static bool set_cjose_error(struct error *error, enum error_kind kind, const char *what,
                            const cjose_err *cause)
{
    return error_set(error, kind, "%s: %s", what,
                     cause->message != NULL ? cause->message : "no reason given");
}

/* ---- Keys ---- */

/* The public members, with `d` where it is private. */
static bool jwk_to_json(const cjose_jwk_t *jwk, bool is_private, json_t **out_json,
                        struct error *error)
{
    cjose_err cause = {0};
    char *text = cjose_jwk_to_json(jwk, is_private, &cause);
    if (text == NULL)
        return set_cjose_error(error, ERROR_INTERNAL, "write a key", &cause);
    bool is_parsed = json_parse(text, strlen(text), out_json, error);
    sodium_memzero(text, strlen(text));
    cjose_get_dealloc()(text);
    return is_parsed;
}

/* RFC 7638 §3: the required members in this order, without space. */
static bool make_key_id(const cjose_jwk_t *jwk, char out_id[TOKEN_KEY_ID_SIZE], struct error *error)
{
    char x[64] = "", y[64] = "";
    unsigned char digest[crypto_hash_sha256_BYTES];
    CLEANUP(json_decrefp) json_t *json = NULL;
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(JWK_SIZE_MAX);
    if (!jwk_to_json(jwk, false, &json, error) ||
        !json_get_text(json, "x", JSON_REQUIRED, x, sizeof x, error) ||
        !json_get_text(json, "y", JSON_REQUIRED, y, sizeof y, error) ||
        !buffer_append_format(&text, error,
                              "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y))
        return false;
    crypto_hash_sha256(digest, (const unsigned char *)text.bytes, text.size);
    sodium_bin2base64(out_id, TOKEN_KEY_ID_SIZE, digest, KEY_ID_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return true;
}

/* Takes the JWK, even where it fails. */
static bool key_from_jwk(cjose_jwk_t *jwk, struct token_key **out_key, struct error *error)
{
    struct token_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        abort();
    key->jwk = jwk;
    if (!make_key_id(jwk, key->id, error)) {
        token_key_close(key);
        return false;
    }
    *out_key = key;
    return true;
}

bool token_key_make(struct token_key **out_key, struct error *error)
{
    cjose_err cause = {0};
    cjose_jwk_t *jwk = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &cause);
    if (jwk == NULL)
        return set_cjose_error(error, ERROR_INTERNAL, "make a key", &cause);
    return key_from_jwk(jwk, out_key, error);
}

static bool has_text(const json_t *json, const char *member, const char *wanted)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text != NULL && strcmp(text, wanted) == 0;
}

/* RFC 7518 §6.2.1.2: of full size, without padding. Over anything else the library may abort
 * (0.6.2: an assertion on where a "=" stands). */
static bool has_coordinate(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text != NULL && strlen(text) == COORDINATE_TEXT_SIZE &&
           strspn(text, base64url) == COORDINATE_TEXT_SIZE;
}

static bool is_p256(const json_t *json)
{
    return has_text(json, "kty", "EC") && has_text(json, "crv", "P-256");
}

static bool has_point(const json_t *json)
{
    return has_coordinate(json, "x") && has_coordinate(json, "y");
}

bool token_key_load(const char *jwk, size_t size, struct token_key **out_key, struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = NULL;
    if (size > JWK_SIZE_MAX || !json_parse(jwk, size, &json, error) || !is_p256(json) ||
        !has_point(json) || !has_coordinate(json, "d"))
        return error_set(error, ERROR_BAD_INPUT, "it is no private P-256 key as JWK");
    cjose_err cause = {0};
    cjose_jwk_t *imported = cjose_jwk_import_json(json, &cause);
    if (imported == NULL)
        return set_cjose_error(error, ERROR_BAD_INPUT, "read a key", &cause);
    return key_from_jwk(imported, out_key, error);
}

bool token_key_save(const struct token_key *key, struct buffer *out_jwk, struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = NULL;
    if (!jwk_to_json(key->jwk, true, &json, error))
        return false;
    json_set_text(json, "kid", key->id);
    json_set_text(json, "alg", ALGORITHM);
    json_set_text(json, "use", "sig");
    return json_format(json, out_jwk, error);
}

const char *token_key_id(const struct token_key *key)
{
    return key->id;
}

void token_key_close(struct token_key *key)
{
    if (key == NULL)
        return;
    cjose_jwk_release(key->jwk);
    free(key);
}

void token_key_closep(struct token_key **key)
{
    token_key_close(*key);
}

bool token_keys_format(const struct token_key *const *keys, size_t count, struct buffer *out_jwks,
                       struct error *error)
{
    json_t *list = json_array_make();
    CLEANUP(json_decrefp) json_t *set = json_object_make();
    json_set_take(set, "keys", list);
    for (size_t i = 0; i < count; i++) {
        json_t *json = NULL;
        if (!jwk_to_json(keys[i]->jwk, false, &json, error))
            return false;
        json_set_text(json, "kid", keys[i]->id);
        json_set_text(json, "alg", ALGORITHM);
        json_set_text(json, "use", "sig");
        if (json_array_append_new(list, json) != 0)
            abort();
    }
    return json_format(set, out_jwks, error);
}

/* ---- Signing ---- */

static bool sign_text(const struct token_key *key, const struct buffer *claims,
                      struct buffer *out_token, struct error *error)
{
    cjose_err cause = {0};
    const char *compact = NULL;
    cjose_jws_t *jws = NULL;
    cjose_header_t *header = cjose_header_new(&cause);
    bool is_signed = header != NULL && cjose_header_set(header, CJOSE_HDR_ALG, ALGORITHM, &cause) &&
                     cjose_header_set(header, CJOSE_HDR_KID, key->id, &cause) &&
                     cjose_header_set(header, "typ", "JWT", &cause);
    if (is_signed)
        jws =
            cjose_jws_sign(key->jwk, header, (const uint8_t *)claims->bytes, claims->size, &cause);
    is_signed = jws != NULL && cjose_jws_export(jws, &compact, &cause);
    if (!is_signed)
        set_cjose_error(error, ERROR_INTERNAL, "sign a token", &cause);
    else if (strlen(compact) > TOKEN_SIZE_MAX)
        is_signed = error_set(error, ERROR_TOO_LARGE, "a token of %zu bytes, limit %d",
                              strlen(compact), TOKEN_SIZE_MAX);
    else
        is_signed = buffer_append_text(out_token, compact, error);
    cjose_jws_release(jws);
    cjose_header_release(header);
    return is_signed;
}

bool token_sign(const struct token_key *key, const json_t *claims, struct buffer *out_token,
                struct error *error)
{
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(TOKEN_SIZE_MAX);
    return json_format(claims, &text, error) && sign_text(key, &text, out_token, error);
}

/* ---- Key sets ---- */

static bool may_verify(const json_t *json)
{
    return is_p256(json) &&
           (json_object_get(json, "alg") == NULL || has_text(json, "alg", ALGORITHM)) &&
           (json_object_get(json, "use") == NULL || has_text(json, "use", "sig")) &&
           json_is_string(json_object_get(json, "kid"));
}

static bool add_key(struct token_keys *keys, json_t *json, struct error *error)
{
    struct public_key *key = &keys->keys[keys->count];
    cjose_err cause = {0};
    if (!json_get_text(json, "kid", JSON_REQUIRED, key->id, sizeof key->id, error))
        return false;
    if (!has_point(json))
        return error_set(error, ERROR_BAD_INPUT, "a public key without its point");
    json_object_del(json, "d"); /* a private half has no business here */
    key->jwk = cjose_jwk_import_json(json, &cause);
    if (key->jwk == NULL)
        return set_cjose_error(error, ERROR_BAD_INPUT, "read a public key", &cause);
    keys->count++;
    return true;
}

bool token_keys_parse(const void *jwks, size_t size, struct token_keys **out_keys,
                      struct error *error)
{
    CLEANUP(json_decrefp) json_t *set = NULL;
    if (size > TOKEN_KEYS_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "a key set of %zu bytes, limit %d", size,
                         TOKEN_KEYS_SIZE_MAX);
    if (!json_parse(jwks, size, &set, error))
        return error_prefix(error, "key set");
    const json_t *list = json_object_get(set, "keys");
    if (!json_is_array(list) || json_array_size(list) > TOKEN_KEYS_MAX)
        return error_set(error, ERROR_BAD_INPUT, "a key set must have at most %d keys",
                         TOKEN_KEYS_MAX);
    CLEANUP(token_keys_closep) struct token_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        abort();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *json = json_array_get(list, i);
        if (may_verify(json) && !add_key(keys, json, error))
            return error_prefix(error, "key set");
    }
    *out_keys = keys;
    keys = NULL;
    return true;
}

size_t token_keys_count(const struct token_keys *keys)
{
    return keys->count;
}

void token_keys_close(struct token_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->count; i++)
        cjose_jwk_release(keys->keys[i].jwk);
    free(keys);
}

void token_keys_closep(struct token_keys **keys)
{
    token_keys_close(*keys);
}

/* ---- Verifying ---- */

static bool deny(struct error *error, const char *why)
{
    return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN, "the token %s", why);
}

/* Three parts of base64url and two dots: *out_size is that of the first. */
static bool is_compact(const char *token, size_t *out_header_size)
{
    size_t sizes[3];
    for (size_t i = 0; i < 3; i++) {
        sizes[i] = strspn(token, base64url);
        token += sizes[i];
        if (sizes[i] == 0 || *token != (i < 2 ? '.' : '\0'))
            return false;
        token++;
    }
    *out_header_size = sizes[0];
    return true;
}

/* What must be known before any key is touched. */
static bool check_header(const char *token, char out_key_id[PEER_KEY_ID_SIZE], struct error *error)
{
    size_t size, decoded_size;
    char decoded[HEADER_SIZE_MAX], algorithm[16] = "";
    CLEANUP(json_decrefp) json_t *header = NULL;
    if (strnlen(token, TOKEN_SIZE_MAX + 1) > TOKEN_SIZE_MAX || !is_compact(token, &size))
        return deny(error, "is no compact JWS");
    if (sodium_base642bin((unsigned char *)decoded, sizeof decoded, token, size, NULL,
                          &decoded_size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        !json_parse(decoded, decoded_size, &header, NULL) || !json_is_object(header))
        return deny(error, "has a malformed header");
    if (!json_get_text(header, "alg", JSON_REQUIRED, algorithm, sizeof algorithm, NULL) ||
        strcmp(algorithm, ALGORITHM) != 0)
        return deny(error, "is not signed with " ALGORITHM);
    if (json_object_get(header, "crit") != NULL)
        return deny(error, "asks for an extension that is unknown");
    if (!json_get_text(header, "kid", JSON_REQUIRED, out_key_id, PEER_KEY_ID_SIZE, NULL))
        return deny(error, "does not name its key");
    return true;
}

static const struct public_key *find_key(const struct token_keys *keys, const char *id)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->keys[i].id, id) == 0)
            return &keys->keys[i];
    }
    return NULL;
}

bool token_verify(const struct token_keys *keys, const char *token, json_t **out_claims,
                  struct error *error)
{
    char key_id[PEER_KEY_ID_SIZE] = "";
    if (!check_header(token, key_id, error))
        return false;
    const struct public_key *key = find_key(keys, key_id);
    if (key == NULL)
        return error_set(error, ERROR_NOT_FOUND, "no key is known by the id that the token names");

    cjose_err cause = {0};
    uint8_t *claims = NULL;
    size_t size = 0;
    json_t *json = NULL;
    cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &cause);
    bool is_verified = jws != NULL && cjose_jws_verify(jws, key->jwk, &cause) &&
                       cjose_jws_get_plaintext(jws, &claims, &size, &cause);
    bool is_object = is_verified && json_parse(claims, size, &json, NULL) && json_is_object(json);
    cjose_jws_release(jws);
    if (!is_object) {
        json_decref(json);
        return deny(error, is_verified ? "has malformed claims" : "has a wrong signature");
    }
    *out_claims = json;
    return true;
}
