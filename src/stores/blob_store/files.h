#pragma once

/* How the files backend lays a blob out; shared by files*.c alone.
 *
 *   data.dir/blobs/videos/3f/66f0…3f        the bytes
 *   data.dir/blobs/videos/3f/66f0…3f.note   what is known of them, JSON
 *
 * The folder is named by the id's last two digits, which spread evenly: the first ones are a time.
 * The note holds the newest writer's generation and, once finished, size, conversion and owner:
 * without a size the blob is unfinished. It is always written as one block of one length, so that
 * nobody reads half of one. */

#include "stores/blob_store/backend.h"

#include "base/file.h"

#define FILES_FOLDER_MODE 0700
#define FILES_MODE 0600
#define FILES_NAME_SIZE (sizeof(struct id) + sizeof ".note")

struct files_store {
    struct blob_store base;
    char root[FILE_PATH_SIZE]; /* data.dir/blobs */
};

struct files_note {
    int64_t generation;
    int64_t size_bytes; /* -1: unfinished */
    struct blob_metadata metadata;
};

struct files_store *files_store_of(struct blob_store *store);

/* data.dir/blobs and what lies right below it, durably. */
MUST_CHECK bool files_make_folders(const char *data_dir, char out_root[FILE_PATH_SIZE],
                                   struct error *error);
/* All of that is still there, and can be written to. */
MUST_CHECK bool files_check_folders(const char *root, struct error *error);
/* The folder that the blob lies in, opened; the caller's. ERROR_NOT_FOUND: there is none yet.
 * ERROR_UNAVAILABLE: what it would lie in is gone, such as a disk that is not mounted. */
MUST_CHECK bool files_open_folder(const char *root, enum blob_kind kind, const struct id *id,
                                  int *out_fd, struct error *error);
MUST_CHECK bool files_make_folder(const char *root, enum blob_kind kind, const struct id *id,
                                  int *out_fd, struct error *error);
/* The names in it survive a power loss. */
MUST_CHECK bool files_sync_folder(int folder_fd, struct error *error);
void files_note_name(const struct id *id, char out_name[FILES_NAME_SIZE]);

/* As error_set_errno(), but a disk without room is FAILURE_DISK_FULL. */
bool files_fail(struct error *error, int errno_value, const char *what, const struct id *id);

/* What a crash cut short reads as a note of generation 0, unfinished. */
MUST_CHECK bool files_note_read(int fd, struct files_note *out_note, struct error *error);
MUST_CHECK bool files_note_write(int fd, const struct files_note *note, struct error *error);

bool files_scan(struct blob_store *store, enum blob_kind kind, const struct id *after_id,
                size_t limit, struct id *out_ids, size_t *out_count, struct error *error);
bool files_backup(struct blob_store *store, enum blob_kind kind, const struct id *id,
                  const char *folder, struct error *error);
