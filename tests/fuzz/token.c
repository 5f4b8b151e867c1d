#include "net/token.h"

#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Whatever the bytes are, the key has not signed them. They are also read as a key set and as a
 * private key. */

/* RFC 7515, appendix A.3. */
static const char private_key[] = "{\"kty\":\"EC\",\"crv\":\"P-256\","
                                  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
                                  "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}";

static struct token_keys *make_keys(void)
{
    struct error error = {0};
    CLEANUP(token_key_closep) struct token_key *key = NULL;
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(TOKEN_KEYS_SIZE_MAX);
    struct token_keys *keys = NULL;
    must(token_key_load(private_key, sizeof private_key - 1, &key, &error));
    must(token_keys_format((const struct token_key *const[]){key}, 1, &text, &error));
    must(token_keys_parse(text.bytes, text.size, &keys, &error));
    return keys;
}

static void read_as_keys(const uint8_t *bytes, size_t size, const char *text)
{
    struct error error = {0};
    CLEANUP(token_keys_closep) struct token_keys *keys = NULL;
    CLEANUP(token_key_closep) struct token_key *key = NULL;
    json_t *claims = NULL;
    if (token_keys_parse(bytes, size, &keys, &error))
        must(!token_verify(keys, text, &claims, &error));
    else
        must(error.kind == ERROR_BAD_INPUT);
    if (!token_key_load(text, size, &key, &error))
        must(error.kind == ERROR_BAD_INPUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct token_keys *keys; /* until the process ends */
    struct error error = {0};
    json_t *claims = NULL;
    if (keys == NULL)
        keys = make_keys();
    char *text = fuzz_text(bytes, size);
    must(!token_verify(keys, text, &claims, &error));
    must(error.kind == ERROR_DENIED || error.kind == ERROR_NOT_FOUND);
    read_as_keys(bytes, size, text);
    free(text);
    return 0;
}
