#include "services/auth/passwords.h"

#include "base/id.h"
#include "base/text.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PASSES 2
#define MEMORY_BYTES (19U * 1024 * 1024)

/* Of hashes from elsewhere: checking one must not be an attack. */
#define MEMORY_KIB_MAX (256 * 1024)
#define PASSES_MAX 16
#define LANES_MAX 16

bool password_hash(const char *password, char out_hash[USER_PASSWORD_HASH_SIZE],
                   struct error *error)
{
    char hash[crypto_pwhash_STRBYTES];
    static_assert(sizeof hash <= USER_PASSWORD_HASH_SIZE, "the store keeps a whole hash");
    if (sodium_init() < 0)
        return error_set(error, ERROR_INTERNAL, "libsodium cannot be initialised");
    if (crypto_pwhash_str_alg(hash, password, strlen(password), PASSES, MEMORY_BYTES,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return error_set(error, ERROR_UNAVAILABLE, "no memory to hash a password");
    memset(out_hash, 0, USER_PASSWORD_HASH_SIZE);
    memcpy(out_hash, hash, sizeof hash);
    return true;
}

bool password_verify(const char *hash, const char *password)
{
    return sodium_init() >= 0 && strlen(hash) < crypto_pwhash_STRBYTES &&
           crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}

bool password_is_outdated(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, PASSES, MEMORY_BYTES) != 0;
}

/* "name=number" and what ends it. */
static bool take_number(const char **at, const char *name, char end, uint64_t most)
{
    if (!text_starts_with(*at, name))
        return false;
    const char *digits = *at + strlen(name);
    size_t length = strspn(digits, "0123456789");
    char text[12];
    if (length == 0 || length >= sizeof text || digits[length] != end)
        return false;
    memcpy(text, digits, length);
    text[length] = '\0';
    uint64_t number = 0;
    *at = digits + length + 1;
    return text_parse_count(text, most, &number, NULL) && number != 0;
}

bool password_check_hash(const char *hash, struct error *error)
{
    const char *at = hash;
    if (text_starts_with(at, "$argon2id$"))
        at += strlen("$argon2id$");
    else if (text_starts_with(at, "$argon2i$"))
        at += strlen("$argon2i$");
    else
        return error_set(error, ERROR_BAD_INPUT, "not a hash of Argon2 ($argon2id$…)");
    if (strlen(hash) >= crypto_pwhash_STRBYTES || !take_number(&at, "v=", '$', 19) ||
        !take_number(&at, "m=", ',', MEMORY_KIB_MAX) || !take_number(&at, "t=", ',', PASSES_MAX) ||
        !take_number(&at, "p=", '$', LANES_MAX) || strchr(at, '$') == NULL)
        return error_set(error, ERROR_BAD_INPUT,
                         "the hash is malformed, or costs more than 256 MiB, 16 passes and 16 "
                         "lanes");
    return true;
}

bool password_hash_nobody(char out_hash[USER_PASSWORD_HASH_SIZE], struct error *error)
{
    struct id random = id_make_random();
    return password_hash(random.text, out_hash, error);
}
