#include "services/common/gateway_key.h"

#include "base/file.h"
#include "base/id.h"
#include "stores/shared/data_folder.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SIZE_MIN 16

struct gateway_key_settings {
    const char *file;
};

const struct config_option gateway_key_options[] = {
    {
        .name = "auth.gateway_key_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct gateway_key_settings, file, const char *),
        .standard = "",
        .help = "File with the secret that gateways show to auth, the same for all of them; where "
                "it is not given, `gateway.key` in data.dir, made when it is first needed.",
    },
    {0},
};

static bool load(const char *path, char out_key[GATEWAY_KEY_SIZE], struct error *error)
{
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(GATEWAY_KEY_SIZE);
    if (!file_load(path, &text, error))
        return false;
    const char *key = buffer_text(&text);
    size_t size = strcspn(key, "\r\n");
    for (size_t i = 0; i < size; i++)
        if (key[i] <= ' ' || key[i] >= 0x7f)
            size = 0;
    if (size < SIZE_MIN || size >= GATEWAY_KEY_SIZE)
        return error_set(error, ERROR_BAD_INPUT,
                         "%s: a line of 16 to 256 visible ASCII characters is expected", path);
    memcpy(out_key, key, size);
    out_key[size] = '\0';
    sodium_memzero(text.bytes, text.size);
    return true;
}

static bool make(const char *path, struct error *error)
{
    unsigned char random[24];
    char key[2 * sizeof random + 2];
    random_fill(random, sizeof random);
    sodium_bin2hex(key, sizeof key, random, sizeof random);
    strncat(key, "\n", 2);
    return file_save(path, 0600, key, strlen(key), error);
}

static bool find(const struct config *config, char out_path[FILE_PATH_SIZE], bool *out_is_named,
                 struct error *error)
{
    struct gateway_key_settings settings = {0};
    const char *data = NULL;
    if (!config_load(config, gateway_key_options, &settings, error) ||
        !data_folder_get(config, &data, error))
        return false;
    *out_is_named = settings.file[0] != '\0';
    return *out_is_named ? file_path(out_path, error, "%s", settings.file)
                         : file_path(out_path, error, "%s/gateway.key", data);
}

bool gateway_key_load(const struct config *config, char out_key[GATEWAY_KEY_SIZE],
                      struct error *error)
{
    const char *data = NULL;
    char path[FILE_PATH_SIZE];
    bool is_named = false;
    struct error cause = {0};
    if (!find(config, path, &is_named, error))
        return false;
    if (is_named)
        return load(path, out_key, error);
    if (!data_folder_make(config, &data, error))
        return false;
    if (load(path, out_key, &cause))
        return true;
    if (cause.kind != ERROR_NOT_FOUND) {
        *error = cause;
        return false;
    }
    /* Two that make it at once: both read what was renamed into place last. */
    return make(path, error) && load(path, out_key, error);
}

bool gateway_key_read(const struct config *config, char out_key[GATEWAY_KEY_SIZE],
                      struct error *error)
{
    char path[FILE_PATH_SIZE];
    bool is_named = false;
    return find(config, path, &is_named, error) && load(path, out_key, error);
}

bool gateway_key_check(const struct config *config, struct error *error)
{
    char path[FILE_PATH_SIZE];
    char key[GATEWAY_KEY_SIZE];
    bool is_named = false;
    struct error cause = {0};
    if (!find(config, path, &is_named, error))
        return false;
    bool is_usable = load(path, key, &cause);
    sodium_memzero(key, sizeof key);
    if (is_usable)
        return file_check_secret(path, error);
    if (!is_named && cause.kind == ERROR_NOT_FOUND)
        return true;
    *error = cause;
    return false;
}

bool gateway_key_is_equal(const char *a, const char *b)
{
    unsigned char hash_a[crypto_generichash_BYTES], hash_b[crypto_generichash_BYTES];
    if (a == NULL || b == NULL)
        return false;
    crypto_generichash(hash_a, sizeof hash_a, (const unsigned char *)a, strlen(a), NULL, 0);
    crypto_generichash(hash_b, sizeof hash_b, (const unsigned char *)b, strlen(b), NULL, 0);
    return sodium_memcmp(hash_a, hash_b, sizeof hash_a) == 0;
}
