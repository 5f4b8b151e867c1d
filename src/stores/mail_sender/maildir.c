/* Mail into a folder, for one machine without a mail server: data.dir/mail is a Maildir
 * (maildir(5): tmp, new, cur), which any mail program reads.
 *
 * A mail's file name is its key, and it is delivered by link(): so a repeat finds the name taken
 * and two senders cannot deliver twice. A reader moves mails from new to cur and appends ":2," and
 * flags to the name; such a one counts as delivered too. */

#include "stores/mail_sender/mail_sender.h"

#include "base/clock.h"
#include "base/file.h"
#include "stores/mail_sender/backend.h"
#include "stores/shared/data_folder.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define MAIL_MODE 0600
#define TEMPORARY_AGE_MAX_S (36 * 60 * 60) /* maildir(5) */

struct maildir_sender {
    struct mail_sender base;
    char path[FILE_PATH_SIZE];
    struct id mark; /* in the names of this sender's temporary files */
};

static struct maildir_sender *maildir_of(struct mail_sender *sender)
{
    assert(sender->backend == &mail_sender_maildir);
    return (struct maildir_sender *)sender;
}

static void folder_closep(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static bool make_folders(const struct maildir_sender *maildir, struct error *error)
{
    static const char *const names[] = {"tmp", "new", "cur"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char folder[FILE_PATH_SIZE];
        if (!file_path(folder, error, "%s/%s", maildir->path, names[i]) ||
            !file_make_folder(folder, FOLDER_MODE, error))
            return false;
    }
    return file_sync_folder(maildir->path, error);
}

static void maildir_close(struct mail_sender *sender)
{
    free(maildir_of(sender));
}

/* What a killed sender left behind, once no living one can still be writing it. */
static bool remove_old_temporaries(const struct maildir_sender *maildir, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/tmp", maildir->path))
        return false;
    CLEANUP(folder_closep) DIR *folder = opendir(path);
    if (folder == NULL)
        return error_set_errno(error, errno, "open %s", path);
    int64_t now_s = clock_wall_ms() / CLOCK_SECOND_MS;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && now_s - status.st_mtime > TEMPORARY_AGE_MAX_S)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    return true;
}

static bool maildir_open(const struct config *config, struct mail_sender **out_sender,
                         struct error *error)
{
    struct maildir_sender *maildir = calloc(1, sizeof *maildir);
    if (maildir == NULL)
        abort();
    maildir->base.backend = &mail_sender_maildir;
    maildir->mark = id_make_random();

    CLEANUP(mail_sender_closep) struct mail_sender *owned = &maildir->base;
    const char *data = NULL;
    if (!data_folder_make(config, &data, error) ||
        !file_path(maildir->path, error, "%s/mail", data) || !make_folders(maildir, error) ||
        !remove_old_temporaries(maildir, error))
        return false;
    *out_sender = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static bool maildir_check(struct mail_sender *sender, struct error *error)
{
    const struct maildir_sender *maildir = maildir_of(sender);
    char folder[FILE_PATH_SIZE];
    if (!file_path(folder, error, "%s/new", maildir->path))
        return false;
    if (access(folder, W_OK | X_OK) != 0)
        return error_set_errno(error, errno, "write to %s", folder);
    return true;
}

static bool is_same_mail(const char *name, const char *key)
{
    size_t length = strlen(key);
    return strncmp(name, key, length) == 0 && (name[length] == '\0' || name[length] == ':');
}

static bool find_in(const struct maildir_sender *maildir, const char *name, const char *key,
                    bool *out_is_there, struct error *error)
{
    char path[FILE_PATH_SIZE];
    if (!file_path(path, error, "%s/%s", maildir->path, name))
        return false;
    CLEANUP(folder_closep) DIR *folder = opendir(path);
    if (folder == NULL)
        return error_set_errno(error, errno, "open %s", path);
    *out_is_there = false;
    errno = 0;
    for (struct dirent *entry; !*out_is_there && (entry = readdir(folder)) != NULL;)
        *out_is_there = is_same_mail(entry->d_name, key);
    if (!*out_is_there && errno != 0)
        return error_set_errno(error, errno, "read %s", path);
    return true;
}

/* First `new`, then `cur`: a reader moves a mail from the one to the other, never back. */
static bool was_delivered(const struct maildir_sender *maildir, const char *key, bool *out_was,
                          struct error *error)
{
    static const char *const order[] = {"new", "cur"};
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        if (!find_in(maildir, order[i], key, out_was, error))
            return false;
        if (*out_was)
            return true;
    }
    return true;
}

static bool temporary_path(const struct maildir_sender *maildir, const char *key,
                           char out_path[FILE_PATH_SIZE], struct error *error)
{
    return file_path(out_path, error, "%s/tmp/%s.%s", maildir->path, key, maildir->mark.text);
}

static bool write_temporary(const char *path, const struct mail *mail, struct error *error)
{
    CLEANUP(file_closep)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MAIL_MODE);
    if (fd < 0)
        return error_set_errno(error, errno, "create %s", path);
    return file_write(fd, mail->bytes, mail->size, error) && file_sync(fd, error);
}

static bool deliver(const struct maildir_sender *maildir, const char *temporary, const char *key,
                    struct error *error)
{
    char path[FILE_PATH_SIZE];
    char folder[FILE_PATH_SIZE];
    if (!file_path(folder, error, "%s/new", maildir->path) ||
        !file_path(path, error, "%s/%s", folder, key))
        return false;
    /* EEXIST: another sender was faster with the same mail. */
    if (link(temporary, path) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "deliver %s", path);
    return file_sync_folder(folder, error);
}

/* A full disk is temporary here: the mail is tried again until notice_age_max. */
static bool as_temporary(struct error *error)
{
    error->kind = ERROR_UNAVAILABLE;
    return false;
}

static bool maildir_send(struct mail_sender *sender, const struct mail *mail, int timeout_ms,
                         mail_sender_may_send *may_send, void *context, struct error *error)
{
    (void)timeout_ms; /* a local disk has no time-out to set */
    const struct maildir_sender *maildir = maildir_of(sender);
    bool is_there = false;
    if (!was_delivered(maildir, mail->key, &is_there, error))
        return as_temporary(error);
    if (is_there)
        return true;

    char temporary[FILE_PATH_SIZE];
    if (!temporary_path(maildir, mail->key, temporary, error))
        return false;
    if (!write_temporary(temporary, mail, error)) {
        unlink(temporary);
        return as_temporary(error);
    }
    bool delivered = false;
    if (may_send(context))
        delivered = deliver(maildir, temporary, mail->key, error) || as_temporary(error);
    else
        error_set(error, ERROR_UNAVAILABLE, "too late to send: another may have sent it");
    unlink(temporary);
    return delivered;
}

const struct mail_sender_backend mail_sender_maildir = {
    .name = "maildir",
    .summary = "a Maildir below data.dir, for one machine",
    .open = maildir_open,
    .check = maildir_check,
    .send = maildir_send,
    .close = maildir_close,
};
