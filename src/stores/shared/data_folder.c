#include "stores/shared/data_folder.h"

#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define USER_ENTRY_SIZE 4096

struct data_folder_settings {
    const char *path;
};

static bool check_path(const char *path, struct error *error)
{
    return path[0] != '\0' || error_set(error, ERROR_BAD_INPUT, "name a folder");
}

const struct config_option data_folder_options[] = {
    {
        .name = "data.dir",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct data_folder_settings, path, const char *),
        .standard = "/var/lib/tapedeck",
        .check = check_path,
        .help = "Folder of the embedded backends: databases, blobs, mail. Made where it is "
                "missing; must lie on a local disk.",
    },
    {0},
};

bool data_folder_get(const struct config *config, const char **out_path, struct error *error)
{
    struct data_folder_settings settings = {0};
    if (!config_load(config, data_folder_options, &settings, error))
        return false;
    *out_path = settings.path;
    return true;
}

static bool sync_parent(const char *path, struct error *error)
{
    char parent[FILE_PATH_SIZE];
    return file_path(parent, error, "%s/..", path) && file_sync_folder(parent, error);
}

void data_folder_name_user(uid_t user, char out_name[DATA_FOLDER_USER_SIZE])
{
    char strings[USER_ENTRY_SIZE];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(user, &entry, strings, sizeof strings, &found) == 0 && found != NULL)
        text_copy(out_name, DATA_FOLDER_USER_SIZE, found->pw_name);
    else
        snprintf(out_name, DATA_FOLDER_USER_SIZE, "#%u", user);
}

static bool refuse_owner(const char *path, uid_t owner, struct error *error)
{
    char name[DATA_FOLDER_USER_SIZE];
    data_folder_name_user(owner, name);
    return error_set(error, ERROR_DENIED,
                     "%.80s belongs to the user %s: run this as that user, as in: sudo -u '%s' "
                     "tapedeck ...",
                     path, name, name);
}

bool data_folder_check(const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0 && errno == ENOENT)
        return error_set(error, ERROR_UNAVAILABLE,
                         "there is no folder %.80s: is data.dir right? `tapedeck serve` and "
                         "`tapedeck migrate` make it",
                         path);
    if (stat(path, &status) != 0)
        return error_set_errno(error, errno, "%.150s", path);
    if (!S_ISDIR(status.st_mode))
        return error_set(error, ERROR_BAD_INPUT, "%.150s is not a folder", path);
    if (status.st_uid != geteuid())
        return refuse_owner(path, status.st_uid, error);
    if ((status.st_mode & S_IWOTH) != 0)
        return error_set(error, ERROR_DENIED,
                         "%.80s can be written to by everybody: name another folder, or: chmod 700 "
                         "%.80s",
                         path, path);
    if (access(path, W_OK | X_OK) != 0)
        return error_set(error, ERROR_UNAVAILABLE, "%.150s cannot be written to: %s", path,
                         strerror(errno));
    return true;
}

/* What may be in it when a store of ours first looks. */
static bool has_ours(const char *path)
{
    static const char *const names[] = {"lock",  "records.db", "queue.db", "users.db",
                                        "blobs", "mail",       "keys",     "gateway.key"};
    char file[FILE_PATH_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (file_path(file, NULL, "%s/%s", path, names[i]) && access(file, F_OK) == 0)
            return true;
    }
    return false;
}

/* But for what file systems put there themselves. */
static bool is_empty(const char *path, bool *out_is_empty, struct error *error)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return error_set_errno(error, errno, "open %.150s", path);
    *out_is_empty = true;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        *out_is_empty &= entry->d_name[0] == '.' || strcmp(entry->d_name, "lost+found") == 0;
    closedir(folder);
    return true;
}

/* A name that was meant otherwise, such as data.dir=/home/me. What another process of ours begins
 * to make meanwhile is seen by the later of the two looks. */
static bool check_ours(const char *path, struct error *error)
{
    bool is_free = false;
    if (!data_folder_check(path, error) || !is_empty(path, &is_free, error))
        return false;
    return is_free || has_ours(path) ||
           error_set(error, ERROR_CONFLICT,
                     "%.150s holds other things: name a folder that is new or empty", path);
}

bool data_folder_make(const struct config *config, const char **out_path, struct error *error)
{
    const char *path = NULL;
    if (!data_folder_get(config, &path, error))
        return false;
    if (access(path, F_OK) != 0 &&
        (!file_make_folder(path, FOLDER_MODE, error) || !sync_parent(path, error)))
        return error_prefix(error, "data.dir");
    if (!check_ours(path, error))
        return error_prefix(error, "data.dir");
    *out_path = path;
    return true;
}
