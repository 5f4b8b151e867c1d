#include "net/token.h"

#include "base/json.h"
#include "model/failure.h"
#include "support/cmocka_all.h"
#include <cjose/cjose.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct keys {
    struct token_key *key, *other;
    struct token_keys *set; /* of `key` alone */
    char token[TOKEN_SIZE_MAX + 1];
};

static struct token_keys *set_of(const struct token_key *const *keys, size_t count)
{
    struct error error = {0};
    struct token_keys *set = NULL;
    struct buffer text = BUFFER_WITH_MAX(TOKEN_KEYS_SIZE_MAX);
    assert_true(token_keys_format(keys, count, &text, &error));
    assert_null(strstr(buffer_text(&text), "\"d\""));
    assert_true(token_keys_parse(text.bytes, text.size, &set, &error));
    buffer_finish(&text);
    return set;
}

static void sign(const struct token_key *key, const char *subject, char *out_token)
{
    struct error error = {0};
    json_t *claims = json_object_make();
    json_set_text(claims, "sub", subject);
    struct buffer token = BUFFER_WITH_MAX(TOKEN_SIZE_MAX);
    assert_true(token_sign(key, claims, &token, &error));
    memcpy(out_token, buffer_text(&token), token.size + 1);
    buffer_finish(&token);
    json_decref(claims);
}

static int setup(void **state)
{
    static struct keys keys;
    struct error error = {0};
    assert_true(token_key_make(&keys.key, &error));
    assert_true(token_key_make(&keys.other, &error));
    keys.set = set_of((const struct token_key *const[]){keys.key}, 1);
    sign(keys.key, "me", keys.token);
    *state = &keys;
    return 0;
}

static int teardown(void **state)
{
    struct keys *keys = *state;
    token_key_close(keys->key);
    token_key_close(keys->other);
    token_keys_close(keys->set);
    return 0;
}

static void assert_denied(const struct keys *keys, const char *token)
{
    struct error error = {0};
    json_t *claims = NULL;
    if (token_verify(keys->set, token, &claims, &error))
        fail_msg("taken: %s", token);
    assert_null(claims);
    assert_int_equal(error.kind, ERROR_DENIED);
    assert_ptr_equal(error.failure, &FAILURE_INVALID_TOKEN);
}

/* A token of any header and claims, with a signature that the caller makes. */
static void compose(const char *header, const char *claims, const char *signature,
                    char out_token[TOKEN_SIZE_MAX])
{
    const char *const texts[] = {header, claims};
    size_t size = 0;
    for (size_t i = 0; i < 2; i++) {
        sodium_bin2base64(out_token + size, TOKEN_SIZE_MAX - size, (const unsigned char *)texts[i],
                          strlen(texts[i]), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        size = strlen(out_token);
        out_token[size++] = '.';
    }
    snprintf(out_token + size, TOKEN_SIZE_MAX - size, "%s", signature);
}

static void what_was_signed_is_verified(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    json_t *claims = NULL;
    assert_true(token_verify(keys->set, keys->token, &claims, &error));
    assert_string_equal(json_string_value(json_object_get(claims, "sub")), "me");
    json_decref(claims);
}

static void a_saved_key_is_the_same_key(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    struct token_key *loaded = NULL;
    struct buffer jwk = BUFFER_WITH_MAX(4096);
    assert_true(token_key_save(keys->key, &jwk, &error));
    assert_true(token_key_load(jwk.bytes, jwk.size, &loaded, &error));
    assert_string_equal(token_key_id(loaded), token_key_id(keys->key));
    assert_int_equal(strlen(token_key_id(loaded)), 22);
    char token[TOKEN_SIZE_MAX + 1];
    json_t *claims = NULL;
    sign(loaded, "again", token);
    assert_true(token_verify(keys->set, token, &claims, &error));
    json_decref(claims);
    token_key_close(loaded);
    buffer_finish(&jwk);
}

static void what_is_no_private_key_is_not_loaded(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    struct token_key *loaded = NULL;
    struct buffer public = BUFFER_WITH_MAX(4096);
    assert_true(
        token_keys_format((const struct token_key *const[]){keys->key}, 1, &public, &error));
    const char *const texts[] = {
        "",
        "{}",
        "[]",
        "nonsense",
        buffer_text(&public),
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\"}",
        "{\"kty\":\"oct\",\"k\":\"AA\"}",
        /* One "=" in the middle of a coordinate. */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659=NpXW6pCyStikYjKIWI5a0\","
        "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_false(token_key_load(texts[i], strlen(texts[i]), &loaded, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    buffer_finish(&public);
}

static void an_unknown_key_is_told_apart(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    char token[TOKEN_SIZE_MAX + 1];
    json_t *claims = NULL;
    sign(keys->other, "me", token);
    assert_false(token_verify(keys->set, token, &claims, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    struct token_keys *both = set_of((const struct token_key *const[]){keys->key, keys->other}, 2);
    assert_int_equal(token_keys_count(both), 2);
    assert_true(token_verify(both, token, &claims, &error));
    json_decref(claims);
    token_keys_close(both);
}

static void an_unsigned_token_is_denied(void **state)
{
    const struct keys *keys = *state;
    char header[256], token[TOKEN_SIZE_MAX];
    static const char *const algorithms[] = {"none",  "None",  "es256", "ES256 ",
                                             "HS256", "ES384", ""};
    for (size_t i = 0; i < ARRAY_COUNT(algorithms); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithms[i],
                 token_key_id(keys->key));
        compose(header, "{\"sub\":\"me\"}", "", token);
        assert_denied(keys, token);
        compose(header, "{\"sub\":\"me\"}", strrchr(keys->token, '.') + 1, token);
        assert_denied(keys, token);
    }
}

/* The classical confusion: a MAC keyed with what everybody can read. */
static void a_mac_keyed_with_the_public_key_is_denied(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    char header[256], token[TOKEN_SIZE_MAX], text[64];
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    struct buffer public = BUFFER_WITH_MAX(4096);
    assert_true(
        token_keys_format((const struct token_key *const[]){keys->key}, 1, &public, &error));
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", token_key_id(keys->key));
    compose(header, "{\"sub\":\"me\"}", "", token);
    crypto_auth_hmacsha256_state hmac;
    crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)public.bytes, public.size);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)token, strlen(token) - 1);
    crypto_auth_hmacsha256_final(&hmac, mac);
    sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    compose(header, "{\"sub\":\"me\"}", text, token);
    assert_denied(keys, token);
    buffer_finish(&public);
}

/* The library alone would take it: the key fits and the signature is right. */
static void a_right_signature_of_another_algorithm_is_denied(void **state)
{
    const struct keys *keys = *state;
    static const char *const algorithms[] = {"ES256", "ES384", "ES512"};
    struct error error = {0};
    cjose_err cause;
    struct buffer jwk = BUFFER_WITH_MAX(4096);
    assert_true(token_key_save(keys->key, &jwk, &error));
    cjose_jwk_t *key = cjose_jwk_import(buffer_text(&jwk), jwk.size, &cause);
    for (size_t i = 0; i < ARRAY_COUNT(algorithms); i++) {
        const char *token = NULL;
        json_t *claims = NULL;
        cjose_header_t *header = cjose_header_new(&cause);
        assert_true(cjose_header_set(header, CJOSE_HDR_ALG, algorithms[i], &cause));
        assert_true(cjose_header_set(header, CJOSE_HDR_KID, token_key_id(keys->key), &cause));
        cjose_jws_t *jws = cjose_jws_sign(key, header, (const uint8_t *)"{}", 2, &cause);
        assert_true(cjose_jws_export(jws, &token, &cause));
        if (i == 0)
            assert_true(token_verify(keys->set, token, &claims, &error));
        else
            assert_denied(keys, token);
        json_decref(claims);
        cjose_jws_release(jws);
        cjose_header_release(header);
    }
    cjose_jwk_release(key);
    buffer_finish(&jwk);
}

/* Before its key is looked for: an unknown one would be asked for at auth. */
static void a_token_over_the_limit_is_denied_whoever_signed_it(void **state)
{
    const struct keys *keys = *state;
    char token[TOKEN_SIZE_MAX + 2];
    struct error error = {0};
    json_t *claims = NULL;
    sign(keys->other, "me", token);
    size_t size = strlen(token);
    memset(token + size, 'A', TOKEN_SIZE_MAX - size);
    token[TOKEN_SIZE_MAX] = '\0';
    assert_false(token_verify(keys->set, token, &claims, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    token[TOKEN_SIZE_MAX] = 'A';
    token[TOKEN_SIZE_MAX + 1] = '\0';
    assert_denied(keys, token);
}

static void a_changed_or_cut_token_is_denied(void **state)
{
    const struct keys *keys = *state;
    size_t size = strlen(keys->token);
    for (size_t i = 0; i < size; i++) {
        char token[TOKEN_SIZE_MAX + 1];
        memcpy(token, keys->token, size + 1);
        token[i] = '\0';
        assert_denied(keys, token);
    }
    /* One character each, in the claims and in the signature (but its last, whose low bits are
     * padding). */
    for (const char *at = strchr(keys->token, '.') + 1; at[1] != '\0'; at++) {
        char token[TOKEN_SIZE_MAX + 1];
        memcpy(token, keys->token, size + 1);
        char *changed = &token[at - keys->token];
        if (*changed == '.')
            continue;
        *changed = *changed == 'A' ? 'B' : 'A';
        assert_denied(keys, token);
    }
}

static void what_is_no_token_is_denied(void **state)
{
    const struct keys *keys = *state;
    static const char *const tokens[] = {"",        ".",     "..",          "a.b",
                                         "a.b.c.d", "a.b.c", "e30.e30.e30", " "};
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++)
        assert_denied(keys, tokens[i]);
    char header[256], token[TOKEN_SIZE_MAX];
    const char *signature = strrchr(keys->token, '.') + 1;
    compose("{\"alg\":\"ES256\"}", "{}", signature, token);
    assert_denied(keys, token); /* no kid */
    compose("{\"alg\":[\"ES256\"],\"kid\":\"x\"}", "{}", signature, token);
    assert_denied(keys, token);
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"crit\":[\"x\"]}",
             token_key_id(keys->key));
    compose(header, "{}", signature, token);
    assert_denied(keys, token);
    char *huge = malloc(1 << 20);
    memset(huge, 'a', (1 << 20) - 1);
    huge[(1 << 20) - 1] = '\0';
    assert_denied(keys, huge);
    free(huge);
}

static void a_key_set_is_read_with_care(void **state)
{
    const struct keys *keys = *state;
    struct error error = {0};
    struct token_keys *set = NULL;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (token_keys_parse(bad[i], strlen(bad[i]), &set, &error))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    static const char others[] =
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AA\",\"e\":\"AQAB\"},"
        "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"AA\"},3]}";
    assert_true(token_keys_parse(others, sizeof others - 1, &set, &error));
    assert_int_equal(token_keys_count(set), 0);
    token_keys_close(set);
    (void)keys;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_verified),
        cmocka_unit_test(a_saved_key_is_the_same_key),
        cmocka_unit_test(what_is_no_private_key_is_not_loaded),
        cmocka_unit_test(an_unknown_key_is_told_apart),
        cmocka_unit_test(an_unsigned_token_is_denied),
        cmocka_unit_test(a_mac_keyed_with_the_public_key_is_denied),
        cmocka_unit_test(a_right_signature_of_another_algorithm_is_denied),
        cmocka_unit_test(a_token_over_the_limit_is_denied_whoever_signed_it),
        cmocka_unit_test(a_changed_or_cut_token_is_denied),
        cmocka_unit_test(what_is_no_token_is_denied),
        cmocka_unit_test(a_key_set_is_read_with_care),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
