#include "stores/blob_store/files.h"

#include "base/json.h"
#include "model/failure.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_SIZE 256
#define FOLDERS 256
#define ID_LENGTH (sizeof(struct id) - 1)

static const char *const kind_folders[] = {[BLOB_VIDEO] = "videos", [BLOB_MP3] = "mp3s"};

struct files_store *files_store_of(struct blob_store *store)
{
    assert(store->backend == &blob_store_files);
    return (struct files_store *)store;
}

void files_note_name(const struct id *id, char out_name[FILES_NAME_SIZE])
{
    snprintf(out_name, FILES_NAME_SIZE, "%s.note", id->text);
}

bool files_fail(struct error *error, int errno_value, const char *what, const struct id *id)
{
    if (errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG)
        return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_DISK_FULL, "%s blob %s: no room",
                                 what, id->text);
    return error_set_errno(error, errno_value, "%s blob %s", what, id->text);
}

bool files_make_folders(const char *data_dir, char out_root[FILE_PATH_SIZE], struct error *error)
{
    if (!file_path(out_root, error, "%s/blobs", data_dir))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(kind_folders); i++) {
        char path[FILE_PATH_SIZE];
        if (!file_path(path, error, "%s/%s", out_root, kind_folders[i]) ||
            !file_make_folder(path, FILES_FOLDER_MODE, error))
            return false;
    }
    return file_sync_folder(out_root, error) && file_sync_folder(data_dir, error);
}

static bool folder_path(const char *root, enum blob_kind kind, const struct id *id,
                        char out_path[FILE_PATH_SIZE], struct error *error)
{
    return file_path(out_path, error, "%s/%s/%s", root, kind_folders[kind],
                     id->text + ID_LENGTH - 2);
}

/* A disk that is not mounted holds no blobs, and says nothing about any. */
static bool check_kind(const char *root, enum blob_kind kind, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/%s", root, kind_folders[kind]))
        return false;
    if (access(path, W_OK | X_OK) == 0)
        return true;
    if (errno == ENOENT)
        return error_set(error, ERROR_UNAVAILABLE, "%s is not there: is its disk mounted?", path);
    return error_set(error, ERROR_UNAVAILABLE, "write to %s: %s", path, strerror(errno));
}

bool files_check_folders(const char *root, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(kind_folders); i++)
        if (!check_kind(root, (enum blob_kind)i, error))
            return false;
    return true;
}

bool files_open_folder(const char *root, enum blob_kind kind, const struct id *id, int *out_fd,
                       struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!folder_path(root, kind, id, path, error))
        return false;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int reason = errno;
        return (reason != ENOENT || check_kind(root, kind, error)) &&
               error_set_errno(error, reason, "open %s", path);
    }
    *out_fd = fd;
    return true;
}

bool files_make_folder(const char *root, enum blob_kind kind, const struct id *id, int *out_fd,
                       struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!folder_path(root, kind, id, path, error))
        return false;
    if (mkdir(path, FILES_FOLDER_MODE) != 0 && errno != EEXIST) {
        int reason = errno;
        return (reason != ENOENT || check_kind(root, kind, error)) &&
               files_fail(error, reason, "make the folder of", id);
    }
    return files_open_folder(root, kind, id, out_fd, error);
}

/* The folder's own name too: another writer may have made it and not come so far yet. */
bool files_sync_folder(int folder_fd, struct error *error)
{
    CLEANUP(file_closep) int kind_fd = openat(folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (kind_fd < 0)
        return error_set_errno(error, errno, "open a folder of blobs");
    return file_sync(folder_fd, error) && file_sync(kind_fd, error);
}

static bool note_parse(const char *bytes, size_t size, struct files_note *out_note)
{
    CLEANUP(json_decrefp) json_t *json = NULL;
    struct files_note note = {.size_bytes = -1};
    if (!json_parse(bytes, size, &json, NULL) || !json_is_object(json))
        return false;
    struct blob_metadata *metadata = &note.metadata;
    if (!json_get_integer(json, "generation", JSON_REQUIRED, 0, INT64_MAX, &note.generation,
                          NULL) ||
        !json_get_integer(json, "size", JSON_OPTIONAL, 0, INT64_MAX, &note.size_bytes, NULL) ||
        !json_get_id(json, "conversion", JSON_OPTIONAL, &metadata->conversion_id, NULL) ||
        !json_get_id(json, "owner", JSON_OPTIONAL, &metadata->owner_id, NULL))
        return false;
    *out_note = note;
    return true;
}

bool files_note_read(int fd, struct files_note *out_note, struct error *error)
{
    char bytes[NOTE_SIZE];
    size_t size = 0;
    if (!file_read_at(fd, bytes, sizeof bytes, 0, &size, error))
        return false;
    if (!note_parse(bytes, size, out_note))
        *out_note = (struct files_note){.size_bytes = -1};
    return true;
}

bool files_note_write(int fd, const struct files_note *note, struct error *error)
{
    CLEANUP(json_decrefp) json_t *json = json_object_make();
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(NOTE_SIZE);
    json_set_integer(json, "generation", note->generation);
    if (note->size_bytes >= 0) {
        const struct blob_metadata *metadata = &note->metadata;
        json_set_integer(json, "size", note->size_bytes);
        json_set_id(json, "conversion", &metadata->conversion_id);
        json_set_id(json, "owner", &metadata->owner_id);
    }
    if (!json_format(json, &text, error))
        return false;
    char bytes[NOTE_SIZE];
    memset(bytes, ' ', sizeof bytes);
    memcpy(bytes, text.bytes, text.size);
    bytes[NOTE_SIZE - 1] = '\n';
    return file_write_at(fd, bytes, sizeof bytes, 0, error);
}

/* The id that a file's name begins with, where it is a blob's or its note's. */
static bool id_of_name(const char *name, struct id *out_id)
{
    size_t length = strspn(name, "0123456789abcdef");
    if (length != ID_LENGTH || (name[length] != '\0' && strcmp(name + length, ".note") != 0))
        return false;
    memcpy(out_id->text, name, ID_LENGTH);
    out_id->text[ID_LENGTH] = '\0';
    return true;
}

/* Keeps the smallest ids in order, each once. */
static void keep_id(struct id *ids, size_t *count, size_t limit, const struct id *id)
{
    size_t low = 0;
    size_t high = *count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(ids[middle].text, id->text);
        if (order == 0)
            return;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == limit)
        return;
    size_t after = *count - low;
    if (*count == limit)
        after--; /* the last falls out */
    else
        ++*count;
    memmove(&ids[low + 1], &ids[low], after * sizeof *ids);
    ids[low] = *id;
}

static void close_folderp(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static bool scan_folder(const char *path, const struct id *after_id, size_t limit,
                        struct id *out_ids, size_t *count, struct error *error)
{
    CLEANUP(close_folderp) DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == ENOENT || error_set_errno(error, errno, "open %s", path);
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL; errno = 0) {
        struct id id;
        if (id_of_name(entry->d_name, &id) && strcmp(id.text, after_id->text) > 0)
            keep_id(out_ids, count, limit, &id);
    }
    return errno == 0 || error_set_errno(error, errno, "read %s", path);
}

/* Goes through all names for each page: it is for a person who waits, not for a service. */
bool files_scan(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
                size_t limit, struct id *out_ids, size_t *out_count, struct error *error)
{
    size_t count = 0;
    for (unsigned i = 0; i < FOLDERS; i++) {
        char path[FILE_PATH_SIZE];
        if (!file_path(path, error, "%s/%s/%02x", files_store_of(store)->root, kind_folders[kind],
                       i) ||
            !scan_folder(path, after_id, limit, out_ids, &count, error))
            return false;
    }
    *out_count = count;
    return true;
}

/* By sendfile(), since copy_file_range() does not lead from one disk to another. */
static bool copy_bytes(int from_fd, int to_fd, const struct id *id, struct error *error)
{
    for (;;) {
        ssize_t copied = sendfile(to_fd, from_fd, NULL, (size_t)64 * 1024 * 1024);
        if (copied == 0)
            return file_sync(to_fd, error);
        if (copied < 0 && errno != EINTR)
            return files_fail(error, errno, "copy", id);
    }
}

static bool copy_file(int from_folder, int to_folder, const char *name, const struct id *id,
                      struct error *error)
{
    CLEANUP(file_closep) int from_fd = openat(from_folder, name, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0)
        return files_fail(error, errno, "copy", id);
    CLEANUP(file_closep)
    int to_fd = openat(to_folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILES_MODE);
    if (to_fd < 0)
        return files_fail(error, errno, "copy", id);
    return copy_bytes(from_fd, to_fd, id, error);
}

/* A finished blob's file is only ever written again by an upload that lost its record's last step,
 * with the same bytes: it can be shared. */
static bool link_or_copy(int from_folder, int to_folder, const struct id *id, struct error *error)
{
    if (linkat(from_folder, id->text, to_folder, id->text, 0) == 0 || errno == EEXIST)
        return true;
    return copy_file(from_folder, to_folder, id->text, id, error);
}

static bool read_note(int folder_fd, const struct id *id, struct files_note *out_note,
                      struct error *error)
{
    char name[FILES_NAME_SIZE];
    files_note_name(id, name);
    CLEANUP(file_closep) int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return files_fail(error, errno, "open", id);
    return files_note_read(fd, out_note, error);
}

bool files_backup(struct blob_store *store, enum blob_kind kind, const struct id *id,
                  const char *folder, struct error *error)
{
    char root[FILE_PATH_SIZE];
    char name[FILES_NAME_SIZE];
    CLEANUP(file_closep) int from_folder = -1;
    CLEANUP(file_closep) int to_folder = -1;
    struct files_note note;
    files_note_name(id, name);
    if (!files_open_folder(files_store_of(store)->root, kind, id, &from_folder, error) ||
        !read_note(from_folder, id, &note, error) || !files_make_folders(folder, root, error) ||
        !files_make_folder(root, kind, id, &to_folder, error))
        return false;
    bool has_bytes = note.size_bytes >= 0 ? link_or_copy(from_folder, to_folder, id, error)
                                          : copy_file(from_folder, to_folder, id->text, id, error);
    return has_bytes && copy_file(from_folder, to_folder, name, id, error) &&
           files_sync_folder(to_folder, error);
}
