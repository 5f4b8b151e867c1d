#include "commands/copy_files.h"

#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t)16 << 20)
#define FOLDERS_AT_ONCE 16

static void folder_closep(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

bool copy_files_one(const char *from, const char *to, size_t *count, struct error *error)
{
    struct error cause = {0};
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(FILE_SIZE_MAX);
    if (!file_load(from, &bytes, &cause)) {
        if (cause.kind == ERROR_NOT_FOUND)
            return true;
        *error = cause;
        return false;
    }
    ++*count;
    return file_save(to, 0600, buffer_text(&bytes), bytes.size, error);
}

bool copy_files_folder(const char *from, const char *to, size_t *count, struct error *error)
{
    if (!file_make_folder(to, 0700, error))
        return false;
    CLEANUP(folder_closep) DIR *folder = opendir(from);
    if (folder == NULL)
        return errno == ENOENT || error_set_errno(error, errno, "open %.150s", from);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char from_path[FILE_PATH_SIZE];
        char to_path[FILE_PATH_SIZE];
        struct stat status;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        if (!file_path(from_path, error, "%s/%s", from, entry->d_name) ||
            !file_path(to_path, error, "%s/%s", to, entry->d_name) ||
            !copy_files_one(from_path, to_path, count, error))
            return false;
    }
    return file_sync_folder(to, error);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void copy_files_remove(const char *folder)
{
    ignore_failure(nftw(folder, remove_one, FOLDERS_AT_ONCE, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) ==
                   0);
}

bool copy_files_is_free(const char *path)
{
    CLEANUP(folder_closep) DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == ENOENT;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.' ||
            (entry->d_name[1] != '\0' && (entry->d_name[1] != '.' || entry->d_name[2] != '\0')))
            return false;
    }
    return true;
}
