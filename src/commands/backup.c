/* tapedeck backup: a copy of the embedded data, while it is used.
 *
 * The order makes the copy consistent. First the records; then the blobs that the copied records
 * name, which were there before them; mail last, so that no mail is missing that a record calls
 * sent. What the copy's records do not know yet, they will not miss. */

#include "commands/commands.h"
#include "commands/copy_files.h"
#include "commands/say.h"
#include "commands/session.h"
#include "commands/store_place.h"

#include "base/file.h"
#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/user_store/user_store.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: tapedeck backup DIR\n\n"
    "Copies what the embedded stores keep in data.dir into a new folder, while the system runs:\n"
    "records, messages, accounts, videos, MP3s, mail and keys. The folder is a data.dir itself: "
    "to\n"
    "restore, stop the system and put the copy in its place. On the same disk videos and MP3s are\n"
    "linked, which takes no room; copy the folder to another machine to be safe from the disk.\n"
    "DIR must be new or empty; it appears when the copy is whole. What is on servers is not "
    "copied,\n"
    "but named: it is backed up by their own tools.\n\n"
    "Example:\n"
    "  tapedeck backup --set data.dir=/var/lib/tapedeck /backup/tapedeck-$(date +%F)\n";

#define PAGE_RECORDS 100

struct backup {
    const struct session *session;
    const char *data;              /* data.dir */
    char folder[FILE_PATH_SIZE];   /* what is written to … */
    const char *wanted;            /* … and becomes this */
    struct config *records_config; /* owned: where the copied records are read */
    struct blob_store *blobs;      /* owned */
    bool has_blobs;                /* false: the store is a server of its own */
    size_t conversions, videos, mp3s, files;
};

static void backup_finish(struct backup *backup)
{
    blob_store_close(backup->blobs);
    config_close(backup->records_config);
}

/* A store that is a server is copied by that server's tools: said, and gone past. */
static bool is_server(const struct error *error)
{
    if (error->kind != ERROR_BAD_INPUT)
        return false;
    say("not copied: %s", error->text);
    return true;
}

/* The configuration with data.dir set to the copy. */
static bool open_copy_config(struct backup *backup, struct error *error)
{
    char assignment[FILE_PATH_SIZE + 16];
    const struct session *session = backup->session;
    struct command_line line = session->line;
    snprintf(assignment, sizeof assignment, "data.dir=%s", backup->folder);
    line.assignment_count = 0;
    for (size_t i = 0; i < session->line.assignment_count; i++) {
        if (strncmp(session->line.assignments[i], "data.dir=", strlen("data.dir=")) != 0)
            line.assignments[line.assignment_count++] = session->line.assignments[i];
    }
    if (line.assignment_count == COMMAND_LINE_ASSIGNMENTS_MAX)
        return error_set(error, ERROR_BAD_INPUT, "too many --set: use --config");
    line.assignments[line.assignment_count++] = assignment;
    line.assignments[line.assignment_count] = NULL;
    return command_line_open_config(session->invocation, &line, &backup->records_config, error);
}

static bool copy_databases(struct backup *backup, struct error *error)
{
    const struct config *config = backup->session->config;
    struct error cause = {0};
    bool has_records = record_store_backup(config, backup->folder, &cause);
    if ((!has_records && !is_server(&cause)) ||
        (!job_queue_backup(config, backup->folder, &cause) && !is_server(&cause)) ||
        (!user_store_backup(config, backup->folder, &cause) && !is_server(&cause))) {
        *error = cause;
        return false;
    }
    return has_records
               ? open_copy_config(backup, error)
               : command_line_open_config(backup->session->invocation, &backup->session->line,
                                          &backup->records_config, error);
}

/* ---- Blobs ---- */

static bool copy_blob(struct backup *backup, enum blob_kind kind, const struct id *id,
                      size_t *count, struct error *error)
{
    struct error cause = {0};
    if (!backup->has_blobs || id_is_none(id))
        return true;
    if (blob_store_backup(backup->blobs, kind, id, backup->folder, &cause)) {
        ++*count;
        return true;
    }
    /* Removed since its record was copied: its time had come, or its owner deleted it. */
    if (cause.kind == ERROR_NOT_FOUND)
        return true;
    backup->has_blobs = !is_server(&cause);
    if (!backup->has_blobs)
        return true;
    *error = cause;
    return false;
}

static bool copy_record_blobs(struct backup *backup, const struct conversion *record,
                              struct error *error)
{
    backup->conversions++;
    if (record->state == CONVERSION_DELETING)
        return true;
    bool has_video = !record->video.is_removed && record->foreign != CONVERSION_FOREIGN_MP3;
    return (!has_video || copy_blob(backup, BLOB_VIDEO, &record->id, &backup->videos, error)) &&
           copy_blob(backup, BLOB_MP3, &record->mp3.id, &backup->mp3s, error);
}

static bool copy_blobs(struct backup *backup, struct error *error)
{
    CLEANUP(record_store_closep) struct record_store *records = NULL;
    static struct conversion page[PAGE_RECORDS];
    struct id after = {0};
    size_t count = 0;
    backup->has_blobs = true;
    if (!record_store_open(backup->records_config, &records, error) ||
        !blob_store_open(backup->session->config, &backup->blobs, error))
        return false;
    do {
        if (!record_store_scan(records, &after, PAGE_RECORDS, page, &count, error))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (!copy_record_blobs(backup, &page[i], error))
                return false;
            after = page[i].id;
        }
    } while (count == PAGE_RECORDS);
    return true;
}

/* ---- The rest, and the whole ---- */

/* Without the folder, the stores may all be on servers: then it is not the folder that is wrong. */
static bool check_folder(const struct backup *backup, struct error *error)
{
    struct error cause = {0};
    bool has_server = false;
    if (data_folder_check(backup->data, &cause))
        return true;
    for (enum store_role role = 0; role < STORE_ROLE_COUNT; role++) {
        struct store_place place;
        if (!store_place_get(backup->session->config, role, &place, error))
            return false;
        if (place.is_server)
            say("not copied: %s: %s", place.what, place.text);
        has_server = has_server || place.is_server;
    }
    if (has_server && access(backup->data, F_OK) != 0)
        return error_set(error, ERROR_UNAVAILABLE,
                         "what is on servers is backed up by their own tools "
                         "(docs/operations.md, \"Back up and restore\"), and of what is embedded "
                         "there is nothing here: no folder %.80s",
                         backup->data);
    if (error != NULL)
        *error = cause;
    return false;
}

static bool copy_files_of_all(struct backup *backup, struct error *error)
{
    static const char *const folders[] = {"keys", "mail/new", "mail/cur"};
    char from[FILE_PATH_SIZE], to[FILE_PATH_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        if (!file_path(from, error, "%s/%s", backup->data, folders[i]) ||
            !file_path(to, error, "%s/%s", backup->folder, folders[i]) ||
            !copy_files_folder(from, to, &backup->files, error))
            return false;
    }
    return file_path(from, error, "%s/gateway.key", backup->data) &&
           file_path(to, error, "%s/gateway.key", backup->folder) &&
           copy_files_one(from, to, &backup->files, error);
}

static bool make_folder(struct backup *backup, struct error *error)
{
    if (!copy_files_is_free(backup->wanted))
        return error_set(error, ERROR_CONFLICT, "%.150s exists and is not empty: name a new folder",
                         backup->wanted);
    if (!file_path(backup->folder, error, "%s.partial", backup->wanted))
        return false;
    if (!copy_files_is_free(backup->folder))
        return error_set(error, ERROR_CONFLICT,
                         "%.150s is left of a backup that was killed, or of one that runs: remove "
                         "it if there is none",
                         backup->folder);
    return file_make_folder(backup->folder, 0700, error);
}

static bool give_name(const struct backup *backup, struct error *error)
{
    char parent[FILE_PATH_SIZE];
    if (!file_sync_folder(backup->folder, error))
        return false;
    if (rename(backup->folder, backup->wanted) != 0)
        return error_set_errno(error, errno, "rename %.150s", backup->folder);
    return file_path(parent, error, "%s/..", backup->wanted) && file_sync_folder(parent, error);
}

static bool run(struct backup *backup, struct error *error)
{
    if (!data_folder_get(backup->session->config, &backup->data, error) ||
        !check_folder(backup, error) || !make_folder(backup, error))
        return false;
    if (copy_databases(backup, error) && copy_blobs(backup, error) &&
        copy_files_of_all(backup, error) && give_name(backup, error))
        return true;
    copy_files_remove(backup->folder);
    return false;
}

int backup_run(const struct invocation *invocation)
{
    struct error error = {0};
    int status = COMMAND_FAILED;
    CLEANUP(session_finish) struct session session = {0};
    if (!session_open(invocation, help, &session, &status))
        return status;
    if (!session_has_arguments(&session, 1, "tapedeck backup DIR"))
        return COMMAND_USAGE;
    char *wanted = session.line.rest[0];
    if (wanted[0] == '\0')
        return session_usage(&session, "DIR is empty: name a new folder");
    for (size_t size = strlen(wanted); size > 1 && wanted[size - 1] == '/'; size--)
        wanted[size - 1] = '\0';
    CLEANUP(backup_finish) struct backup backup = {.session = &session, .wanted = wanted};
    if (!run(&backup, &error))
        return session_fail(&session, &error);
    printf("%s: %zu conversions, %zu videos, %zu MP3s, %zu other files\n", wanted,
           backup.conversions, backup.videos, backup.mp3s, backup.files);
    return COMMAND_OK;
}
