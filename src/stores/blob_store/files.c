#include "stores/blob_store/files.h"

#include "stores/shared/data_folder.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a blob that is removed while it is opened is looked for again. */
#define OPEN_TRIES_MAX 20

/* Every descriptor stays open from writer_open on: what is removed meanwhile is then written, and
 * finished, without a name, and comes back under none. */
struct files_writer {
    struct blob_writer base;
    struct id id;
    int folder_fd;
    int fd; /* holds the flock */
    int note_fd;
    struct files_note note;
    uint64_t end;
    bool is_named; /* both names survive a power loss */
    bool is_lost;  /* a flush failed: what it should have written may be gone */
};

struct files_reader {
    struct blob_reader base;
    struct id id;
    int fd;
    uint64_t size_bytes;
};

static bool files_open(const struct config *config, struct blob_store **out_store,
                       struct error *error)
{
    struct files_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->base.backend = &blob_store_files;
    CLEANUP(blob_store_closep) struct blob_store *owned = &store->base;
    const char *data_dir = NULL;
    if (!data_folder_make(config, &data_dir, error) ||
        !files_make_folders(data_dir, store->root, error))
        return false;
    *out_store = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static void files_close(struct blob_store *store)
{
    free(files_store_of(store));
}

static bool files_check(struct blob_store *store, struct error *error)
{
    return files_check_folders(files_store_of(store)->root, error);
}

/* Folders need none. */
static bool files_need_no_index(struct blob_store *store, struct error *error)
{
    (void)store;
    (void)error;
    return true;
}

static struct files_writer *writer_of(struct blob_writer *writer)
{
    assert(writer->backend == &blob_store_files);
    return (struct files_writer *)writer;
}

static void files_writer_close(struct blob_writer *writer)
{
    struct files_writer *files = writer_of(writer);
    file_close(files->note_fd);
    file_close(files->fd);
    file_close(files->folder_fd);
    free(files);
}

/* Opened and locked, and still what the name leads to: a removal may have come in between. */
static bool lock_blob(struct files_writer *writer, bool *out_is_current, struct error *error)
{
    struct stat opened;
    struct stat named;
    writer->fd =
        openat(writer->folder_fd, writer->id.text, O_RDWR | O_CREAT | O_CLOEXEC, FILES_MODE);
    if (writer->fd < 0)
        return files_fail(error, errno, "open", &writer->id);
    if (flock(writer->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return error_set(error, ERROR_CONFLICT, "blob %s has another writer", writer->id.text);
        return files_fail(error, errno, "lock", &writer->id);
    }
    if (fstat(writer->fd, &opened) != 0)
        return files_fail(error, errno, "look at", &writer->id);
    *out_is_current = fstatat(writer->folder_fd, writer->id.text, &named, 0) == 0 &&
                      named.st_ino == opened.st_ino;
    writer->end = (uint64_t)opened.st_size;
    return true;
}

static bool open_blob(struct files_writer *writer, struct error *error)
{
    for (int i = 0; i < OPEN_TRIES_MAX; i++) {
        bool is_current = false;
        if (!lock_blob(writer, &is_current, error))
            return false;
        if (is_current)
            return true;
        file_close(writer->fd);
        writer->fd = -1;
    }
    return error_set(error, ERROR_CONFLICT, "blob %s is being removed", writer->id.text);
}

/* From here on the blob is unfinished, and of this generation. */
static bool open_note(struct files_writer *writer, int64_t generation, struct error *error)
{
    char name[FILES_NAME_SIZE];
    struct files_note before;
    files_note_name(&writer->id, name);
    writer->note_fd = openat(writer->folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, FILES_MODE);
    if (writer->note_fd < 0)
        return files_fail(error, errno, "note", &writer->id);
    if (!files_note_read(writer->note_fd, &before, error))
        return false;
    if (before.generation > generation)
        return error_set(error, ERROR_CONFLICT, "a newer upload writes blob %s", writer->id.text);
    writer->note = (struct files_note){.generation = generation, .size_bytes = -1};
    return files_note_write(writer->note_fd, &writer->note, error) ||
           files_fail(error, errno, "note", &writer->id);
}

static bool files_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                              int64_t generation, struct blob_writer **out_writer,
                              struct error *error)
{
    struct files_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        abort();
    *writer = (struct files_writer){
        .base.backend = &blob_store_files,
        .id = *id,
        .folder_fd = -1,
        .fd = -1,
        .note_fd = -1,
    };
    CLEANUP(blob_writer_closep) struct blob_writer *owned = &writer->base;
    if (!files_make_folder(files_store_of(store)->root, kind, id, &writer->folder_fd, error) ||
        !open_blob(writer, error) || !open_note(writer, generation, error))
        return false;
    *out_writer = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static bool files_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes,
                               size_t size, struct error *error)
{
    struct files_writer *files = writer_of(writer);
    if (offset > files->end)
        return error_set(error, ERROR_BAD_INPUT, "blob %s ends before offset %llu", files->id.text,
                         (unsigned long long)offset);
    if (!file_write_at(files->fd, bytes, size, offset, error))
        return files_fail(error, errno, "write", &files->id);
    if (offset + size > files->end)
        files->end = offset + size;
    return true;
}

static bool sync_names(struct files_writer *writer, struct error *error)
{
    if (!writer->is_named && !files_sync_folder(writer->folder_fd, error))
        return false;
    writer->is_named = true;
    return true;
}

static bool files_writer_flush(struct blob_writer *writer, struct error *error)
{
    struct files_writer *files = writer_of(writer);
    /* The kernel tells once of pages that it could not write, then takes them for written. */
    if (files->is_lost)
        return error_set(error, ERROR_UNAVAILABLE, "blob %s: an earlier flush failed",
                         files->id.text);
    /* A delayed allocation can still find no room. */
    files->is_lost = !file_sync(files->fd, error);
    if (files->is_lost)
        return files_fail(error, errno, "flush", &files->id);
    return sync_names(files, error);
}

static bool check_still_there(const struct files_writer *writer, struct error *error)
{
    struct stat status;
    if (fstat(writer->fd, &status) != 0)
        return files_fail(error, errno, "look at", &writer->id);
    return status.st_nlink != 0 ||
           error_set(error, ERROR_CONFLICT, "blob %s was removed meanwhile", writer->id.text);
}

static bool set_size(struct files_writer *writer, uint64_t size, struct error *error)
{
    if (size > writer->end)
        return error_set(error, ERROR_BAD_INPUT, "blob %s has %llu bytes, not %llu",
                         writer->id.text, (unsigned long long)writer->end,
                         (unsigned long long)size);
    if (size < writer->end && ftruncate(writer->fd, (off_t)size) != 0)
        return files_fail(error, errno, "cut", &writer->id);
    writer->end = size;
    return true;
}

/* In any order: only the record, written after this, says that the blob is finished. */
static bool files_writer_finish(struct blob_writer *writer, uint64_t size,
                                const struct blob_metadata *metadata, struct error *error)
{
    struct files_writer *files = writer_of(writer);
    if (!check_still_there(files, error) || !set_size(files, size, error))
        return false;
    files->note.size_bytes = (int64_t)size;
    files->note.metadata = *metadata;
    if (!files_note_write(files->note_fd, &files->note, error))
        return files_fail(error, errno, "note", &files->id);
    return files_writer_flush(writer, error) && file_sync(files->note_fd, error);
}

static struct files_reader *reader_of(struct blob_reader *reader)
{
    assert(reader->backend == &blob_store_files);
    return (struct files_reader *)reader;
}

static void files_reader_close(struct blob_reader *reader)
{
    file_close(reader_of(reader)->fd);
    free(reader_of(reader));
}

static bool open_finished(int folder_fd, const struct id *id, int *out_fd,
                          struct files_note *out_note, struct error *error)
{
    char name[FILES_NAME_SIZE];
    struct stat status;
    files_note_name(id, name);
    CLEANUP(file_closep) int note_fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (note_fd < 0)
        return files_fail(error, errno, "open", id);
    if (!files_note_read(note_fd, out_note, error))
        return false;
    if (out_note->size_bytes < 0)
        return error_set(error, ERROR_NOT_FOUND, "blob %s is not finished", id->text);
    CLEANUP(file_closep) int fd = openat(folder_fd, id->text, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return files_fail(error, errno, "open", id);
    if (status.st_size < out_note->size_bytes)
        return error_set(error, ERROR_INTERNAL, "blob %s has %lld bytes, its note says %lld",
                         id->text, (long long)status.st_size, (long long)out_note->size_bytes);
    *out_fd = fd;
    fd = -1; /* the caller's now */
    return true;
}

static bool files_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                              struct blob_reader **out_reader, uint64_t *out_size,
                              struct blob_metadata *out_metadata, struct error *error)
{
    CLEANUP(file_closep) int folder_fd = -1;
    int fd = -1;
    struct files_note note;
    if (!files_open_folder(files_store_of(store)->root, kind, id, &folder_fd, error) ||
        !open_finished(folder_fd, id, &fd, &note, error))
        return false;
    struct files_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        abort();
    *reader = (struct files_reader){
        .base.backend = &blob_store_files,
        .id = *id,
        .fd = fd,
        .size_bytes = (uint64_t)note.size_bytes,
    };
    *out_reader = &reader->base;
    *out_size = reader->size_bytes;
    *out_metadata = note.metadata;
    return true;
}

static bool files_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes,
                              size_t size, size_t *out_size, struct error *error)
{
    const struct files_reader *files = reader_of(reader);
    uint64_t left = offset < files->size_bytes ? files->size_bytes - offset : 0;
    size_t wanted = size < left ? size : (size_t)left;
    size_t got = 0;
    if (wanted != 0 && !file_read_at(files->fd, out_bytes, wanted, offset, &got, error))
        return error_prefix(error, "blob %s", files->id.text);
    if (got < wanted)
        return error_set(error, ERROR_INTERNAL, "blob %s has become shorter", files->id.text);
    *out_size = got;
    return true;
}

static bool unlink_name(int folder_fd, const char *name, bool *was_there, const struct id *id,
                        struct error *error)
{
    if (unlinkat(folder_fd, name, 0) == 0)
        *was_there = true;
    else if (errno != ENOENT)
        return files_fail(error, errno, "remove", id);
    return true;
}

/* The note first: what a crash leaves is an unfinished blob, which the next removal finds. */
static bool files_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                         struct error *error)
{
    char name[FILES_NAME_SIZE];
    CLEANUP(file_closep) int folder_fd = -1;
    bool was_there = false;
    struct error cause = {0};
    files_note_name(id, name);
    if (!files_open_folder(files_store_of(store)->root, kind, id, &folder_fd, &cause))
        return cause.kind == ERROR_NOT_FOUND || error_set(error, cause.kind, "%s", cause.text);
    if (!unlink_name(folder_fd, name, &was_there, id, error) ||
        !unlink_name(folder_fd, id->text, &was_there, id, error))
        return false;
    return !was_there || file_sync(folder_fd, error);
}

static bool files_space(struct blob_store *store, bool *out_is_known, uint64_t *out_bytes,
                        struct error *error)
{
    if (!file_free_space(files_store_of(store)->root, out_bytes, error))
        return false;
    *out_is_known = true;
    return true;
}

const struct blob_store_backend blob_store_files = {
    .name = "files",
    .open = files_open,
    .close = files_close,
    .check = files_check,
    .check_indexes = files_need_no_index,
    .migrate = files_need_no_index,
    .writer_open = files_writer_open,
    .writer_write = files_writer_write,
    .writer_flush = files_writer_flush,
    .writer_finish = files_writer_finish,
    .writer_close = files_writer_close,
    .reader_open = files_reader_open,
    .reader_read = files_reader_read,
    .reader_close = files_reader_close,
    .remove = files_remove,
    .space = files_space,
    .scan = files_scan,
    .backup = files_backup,
};
