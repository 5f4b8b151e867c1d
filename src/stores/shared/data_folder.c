#include "stores/shared/data_folder.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_MODE 0700

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

bool data_folder_make(const struct config *config, const char **out_path, struct error *error)
{
    const char *path = NULL;
    if (!data_folder_get(config, &path, error))
        return false;
    if (access(path, F_OK) != 0 &&
        (!file_make_folder(path, FOLDER_MODE, error) || !sync_parent(path, error)))
        return error_prefix(error, "data.dir");
    *out_path = path;
    return true;
}
