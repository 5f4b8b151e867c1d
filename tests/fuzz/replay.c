#include "base/buffer.h"
#include "base/file.h"
#include "fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Gives every file of the folders to the target. A missing folder is an empty one. */

#define INPUT_SIZE_MAX ((size_t)1 << 20)

static bool replay_file(const char *folder, const char *name, struct error *error)
{
    char path[FILE_PATH_SIZE];
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(INPUT_SIZE_MAX);
    if (!file_path(path, error, "%s/%s", folder, name) || !file_load(path, &bytes, error))
        return false;
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput((const uint8_t *)buffer_text(&bytes), bytes.size);
    return true;
}

static bool replay_folder(const char *folder, size_t *count, struct error *error)
{
    DIR *listing = opendir(folder);
    bool is_replayed = true;
    if (listing == NULL)
        return true;
    for (struct dirent *entry; is_replayed && (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        is_replayed = replay_file(folder, entry->d_name, error);
        ++*count;
    }
    closedir(listing);
    return is_replayed;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (!replay_folder(argv[i], &count, &error)) {
            fprintf(stderr, "%s\n", error.text);
            return 1;
        }
    }
    printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
