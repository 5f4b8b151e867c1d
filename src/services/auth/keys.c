#include "services/auth/keys.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"
#include "net/token.h"
#include "stores/shared/data_folder.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX 8192
#define FILE_ENDING ".key.json"
#define LOOK_INTERVAL_MS CLOCK_SECOND_MS
/* What clocks may differ by, and what claims_from_json() forgives. */
#define LEEWAY_MS (2 * CLOCK_MINUTE_MS)

struct keys_settings {
    const char *folder; /* "": `keys` in data.dir */
    int64_t token_lifetime_ms;
};

const struct config_option keys_options[] = {
    {
        .name = "auth.keys_dir",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct keys_settings, folder, const char *),
        .standard = "",
        .help = "Folder of the keys that sign tokens, shared by all of auth's replicas; where it "
                "is not given, `keys` in data.dir.",
    },
    {
        .name = "auth.token_lifetime",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct keys_settings, token_lifetime_ms, int64_t),
        .standard = "24h",
        .least = 1000,
        .most = 30 * (uint64_t)CLOCK_DAY_MS,
        .help = "How long a token is good for.",
    },
    {0},
};

struct dated_key {
    int64_t created_ms;
    struct token_key *key; /* owned */
};

/* By time, oldest first. */
struct key_list {
    struct dated_key keys[KEYS_MAX];
    size_t count;
    size_t left_out_count; /* files that could not be read */
};

struct key_ring {
    char folder[FILE_PATH_SIZE];
    int64_t token_lifetime_ms;
    int64_t looked_at_ms;           /* boot time */
    struct key_list list;           /* owned */
    struct token_keys *public_keys; /* owned: the same keys, for verifying */
};

static void key_list_clear(struct key_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        token_key_close(list->keys[i].key);
    list->count = 0;
}

static bool load_settings(const struct config *config, struct keys_settings *out_settings,
                          char out_folder[FILE_PATH_SIZE], struct error *error)
{
    const char *data = NULL;
    if (!config_load(config, keys_options, out_settings, error))
        return false;
    if (out_settings->folder[0] != '\0')
        return file_path(out_folder, error, "%s", out_settings->folder);
    return data_folder_make(config, &data, error) && file_path(out_folder, error, "%s/keys", data);
}

static bool load_key(const char *path, struct dated_key *out_key, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(FILE_SIZE_MAX);
    CLEANUP(buffer_finish) struct buffer jwk = BUFFER_WITH_MAX(FILE_SIZE_MAX);
    CLEANUP(json_decrefp) json_t *json = NULL;
    return file_load(path, &text, error) &&
           json_parse(buffer_text(&text), text.size, &json, error) &&
           json_get_integer(json, "created_at_ms", JSON_REQUIRED, 0, INT64_MAX,
                            &out_key->created_ms, error) &&
           json_format(json_object_get(json, "key"), &jwk, error) &&
           token_key_load(buffer_text(&jwk), jwk.size, &out_key->key, error);
}

static bool is_key_file(const char *name)
{
    size_t size = strlen(name);
    return size > strlen(FILE_ENDING) && name[0] != '.' &&
           strcmp(name + size - strlen(FILE_ENDING), FILE_ENDING) == 0;
}

static void add_sorted(struct key_list *list, struct dated_key key)
{
    size_t at = list->count;
    for (; at > 0 && list->keys[at - 1].created_ms > key.created_ms; at--)
        list->keys[at] = list->keys[at - 1];
    list->keys[at] = key;
    list->count++;
}

/* Every thread has a ring, but the folder is one: files that were told of, by whichever ring. As
 * many as at the last look are the same ones, nearly always. */
static atomic_size_t told_count;

static bool is_told(size_t left_out_count)
{
    size_t told = left_out_count - 1;
    return !atomic_compare_exchange_strong(&told_count, &told, left_out_count);
}

static void forget_told(size_t left_out_count)
{
    if (atomic_load(&told_count) > left_out_count)
        atomic_store(&told_count, left_out_count);
}

/* A file that is none of ours, or half of one, must not end all logins: it is left out. */
static void add_file(struct key_list *list, const char *folder, const char *name)
{
    char path[FILE_PATH_SIZE];
    struct dated_key key = {0};
    struct error error = {0};
    if (list->count == KEYS_MAX)
        error_set(&error, ERROR_TOO_LARGE, "there are more than %d keys", KEYS_MAX);
    else if (file_path(path, &error, "%s/%s", folder, name) && load_key(path, &key, &error)) {
        add_sorted(list, key);
        return;
    }
    if (error.kind == ERROR_NOT_FOUND || is_told(++list->left_out_count))
        return;
    log_error("a signing key is left out", FIELD_TEXT("file", name),
              FIELD_TEXT("reason", error.text));
}

static bool load_folder(const char *folder, struct key_list *out_list, struct error *error)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return error_set_errno(error, errno, "open %s", folder);
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        if (is_key_file(entry->d_name))
            add_file(out_list, folder, entry->d_name);
    closedir(directory);
    forget_told(out_list->left_out_count);
    return true;
}

static bool make_key(const char *folder, char out_key_id[KEYS_ID_SIZE], struct error *error)
{
    static_assert(TOKEN_KEY_ID_SIZE <= KEYS_ID_SIZE, "a key's id fits");
    CLEANUP(token_key_closep) struct token_key *key = NULL;
    CLEANUP(buffer_finish) struct buffer jwk = BUFFER_WITH_MAX(FILE_SIZE_MAX);
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(FILE_SIZE_MAX);
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    json_t *key_json = NULL;
    char path[FILE_PATH_SIZE];
    if (!token_key_make(&key, error) || !token_key_save(key, &jwk, error) ||
        !json_parse(buffer_text(&jwk), jwk.size, &key_json, error))
        return false;
    json_set_integer(json, "created_at_ms", clock_wall_ms());
    json_set_take(json, "key", key_json);
    if (!json_format(json, &text, error) ||
        !file_path(path, error, "%s/%s" FILE_ENDING, folder, token_key_id(key)) ||
        !file_save(path, 0600, buffer_text(&text), text.size, error))
        return false;
    snprintf(out_key_id, KEYS_ID_SIZE, "%s", token_key_id(key));
    return true;
}

/* When the key began, or begins, to sign: at once where there was none before it. */
static int64_t signs_from_ms(const struct key_list *list, size_t index)
{
    return list->keys[index].created_ms + (index == 0 ? 0 : KEYS_PUBLICATION_MS);
}

static size_t signing_index(const struct key_list *list)
{
    size_t index = list->count - 1;
    while (index > 0 && signs_from_ms(list, index) > clock_wall_ms())
        index--;
    return index;
}

/* The oldest key, once the one after it has signed for so long that no token of the oldest lives.
 * That the folder may be read-only to us is no reason to complain: another replica's is not. */
static void remove_ended(const char *folder, struct key_list *list, int64_t token_lifetime_ms)
{
    while (list->count > 1 &&
           signs_from_ms(list, 1) + token_lifetime_ms + LEEWAY_MS < clock_wall_ms()) {
        char path[FILE_PATH_SIZE];
        const char *key_id = token_key_id(list->keys[0].key);
        if (file_path(path, NULL, "%s/%s" FILE_ENDING, folder, key_id) && unlink(path) == 0)
            log_info("signing key removed: its last token has ended", FIELD_TEXT("key", key_id));
        token_key_close(list->keys[0].key);
        list->count--;
        memmove(&list->keys[0], &list->keys[1], list->count * sizeof list->keys[0]);
    }
}

bool keys_rotate(const struct config *config, char out_key_id[KEYS_ID_SIZE], struct error *error)
{
    struct keys_settings settings = {0};
    char folder[FILE_PATH_SIZE];
    CLEANUP(key_list_clear) struct key_list list = {0};
    if (!load_settings(config, &settings, folder, error) ||
        !file_make_folder(folder, 0700, error) || !data_folder_check(folder, error) ||
        !load_folder(folder, &list, error))
        return false;
    remove_ended(folder, &list, settings.token_lifetime_ms);
    if (list.count == KEYS_MAX)
        return error_set(error, ERROR_TOO_LARGE,
                         "%d keys are kept for tokens that may still live: rotate again later",
                         KEYS_MAX);
    return make_key(folder, out_key_id, error);
}

static bool check_file(const char *folder, const char *name, struct error *error)
{
    char path[FILE_PATH_SIZE];
    struct dated_key key = {0};
    if (!file_path(path, error, "%s/%s", folder, name))
        return false;
    if (!load_key(path, &key, error))
        return error_prefix(error, "%s", path);
    token_key_close(key.key);
    return file_check_secret(path, error);
}

bool keys_check(const struct config *config, struct error *error)
{
    struct keys_settings settings = {0};
    char folder[FILE_PATH_SIZE];
    if (!load_settings(config, &settings, folder, error))
        return false;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return errno == ENOENT || error_set_errno(error, errno, "open %s", folder);
    bool are_well = true;
    for (const struct dirent *entry = readdir(directory); are_well && entry != NULL;
         entry = readdir(directory))
        are_well = !is_key_file(entry->d_name) || check_file(folder, entry->d_name, error);
    closedir(directory);
    return are_well;
}

static bool is_same(const struct key_list *a, const struct key_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(token_key_id(a->keys[i].key), token_key_id(b->keys[i].key)) != 0)
            return false;
    return true;
}

static bool format_public(const struct key_list *list, struct buffer *out_json, struct error *error)
{
    const struct token_key *keys[KEYS_MAX];
    for (size_t i = 0; i < list->count; i++)
        keys[i] = list->keys[i].key;
    return token_keys_format(keys, list->count, out_json, error);
}

static bool look(struct key_ring *ring, struct error *error)
{
    CLEANUP(key_list_clear) struct key_list list = {0};
    if (!load_folder(ring->folder, &list, error))
        return false;
    remove_ended(ring->folder, &list, ring->token_lifetime_ms);
    if (list.count == 0)
        return error_set(error, ERROR_UNAVAILABLE, "no signing key in %s", ring->folder);
    ring->looked_at_ms = clock_boot_ms();
    if (is_same(&list, &ring->list))
        return true;

    CLEANUP(buffer_finish) struct buffer jwks = BUFFER_WITH_MAX(KEYS_JWKS_SIZE_MAX);
    struct token_keys *public_keys = NULL;
    if (!format_public(&list, &jwks, error) ||
        !token_keys_parse(buffer_text(&jwks), jwks.size, &public_keys, error))
        return false;
    token_keys_close(ring->public_keys);
    ring->public_keys = public_keys;
    key_list_clear(&ring->list);
    ring->list = list;
    list.count = 0; /* the ring's now */
    return true;
}

/* A folder that cannot be read for a while (a network file system) ends nothing: the keys that are
 * known go on. */
static bool look_again(struct key_ring *ring, struct error *error)
{
    if (ring->list.count != 0 && clock_boot_ms() - ring->looked_at_ms < LOOK_INTERVAL_MS)
        return true;
    struct error cause = {0};
    if (look(ring, &cause))
        return true;
    if (ring->list.count != 0) {
        log_warning("cannot look for signing keys", FIELD_TEXT("reason", cause.text));
        ring->looked_at_ms = clock_boot_ms();
        return true;
    }
    *error = cause;
    return false;
}

bool key_ring_open(const struct config *config, struct key_ring **out_ring, struct error *error)
{
    struct key_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        abort();
    CLEANUP(key_ring_closep) struct key_ring *owned = ring;
    struct keys_settings settings = {0};
    CLEANUP(key_list_clear) struct key_list list = {0};
    if (!load_settings(config, &settings, ring->folder, error) ||
        !file_make_folder(ring->folder, 0700, error) || !load_folder(ring->folder, &list, error))
        return error_prefix(error, "signing keys");
    ring->token_lifetime_ms = settings.token_lifetime_ms;
    char key_id[KEYS_ID_SIZE];
    if (list.count == 0) {
        if (!make_key(ring->folder, key_id, error))
            return error_prefix(error, "first signing key");
        log_info("first signing key made", FIELD_TEXT("key", key_id));
    }
    if (!look(ring, error))
        return error_prefix(error, "signing keys");
    *out_ring = ring;
    owned = NULL; /* the caller's now */
    return true;
}

void key_ring_close(struct key_ring *ring)
{
    if (ring == NULL)
        return;
    token_keys_close(ring->public_keys);
    key_list_clear(&ring->list);
    free(ring);
}

void key_ring_closep(struct key_ring **ring)
{
    key_ring_close(*ring);
}

bool key_ring_sign(struct key_ring *ring, const struct claims *claims, struct buffer *out_token,
                   struct error *error)
{
    if (!look_again(ring, error))
        return false;
    CLEANUP(json_decrefp) json_t *json = claims_to_json(claims);
    return token_sign(ring->list.keys[signing_index(&ring->list)].key, json, out_token, error);
}

bool key_ring_verify(struct key_ring *ring, const char *token, struct claims *out_claims,
                     struct error *error)
{
    if (!look_again(ring, error))
        return false;
    CLEANUP(json_decrefp) json_t *json = NULL;
    if (token_verify(ring->public_keys, token, &json, error))
        return claims_from_json(json, clock_wall_ms() / 1000, out_claims, error);
    if (error->kind == ERROR_NOT_FOUND)
        return error_set_failure(error, ERROR_DENIED, &FAILURE_INVALID_TOKEN,
                                 "signed with a key that is not ours");
    return false;
}

bool key_ring_format_jwks(struct key_ring *ring, struct buffer *out_json, struct error *error)
{
    return look_again(ring, error) && format_public(&ring->list, out_json, error);
}

int64_t key_ring_token_lifetime_ms(const struct key_ring *ring)
{
    return ring->token_lifetime_ms;
}
