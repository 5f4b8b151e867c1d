/* Mail into a folder, for one machine without a mail server: data.dir/mail is a Maildir
 * (maildir(5): tmp, new, cur), which any mail program reads.
 *
 * A mail is written to a file without a name, so that a killed sender leaves nothing, and delivered
 * by linkat(). Its name is its key: so a repeat finds the name taken and two senders cannot deliver
 * twice. A reader moves mails from new to cur and appends ":2," and flags to the name; such a one
 * counts as delivered too. */

#include "stores/mail_sender/mail_sender.h"

#include "base/file.h"
#include "stores/mail_sender/backend.h"
#include "stores/shared/data_folder.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define MAIL_MODE 0600

struct maildir_sender {
    struct mail_sender base;
    char path[FILE_PATH_SIZE];
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

static bool maildir_open(const struct config *config, struct mail_sender **out_sender,
                         struct error *error)
{
    struct maildir_sender *maildir = calloc(1, sizeof *maildir);
    if (maildir == NULL)
        abort();
    maildir->base.backend = &mail_sender_maildir;

    CLEANUP(mail_sender_closep) struct mail_sender *owned = &maildir->base;
    const char *data = NULL;
    if (!data_folder_make(config, &data, error) ||
        !file_path(maildir->path, error, "%s/mail", data) || !make_folders(maildir, error) ||
        !file_sync_folder(data, error))
        return false;
    *out_sender = owned;
    owned = NULL; /* the caller's now */
    return true;
}

/* A file of tmp that has no name yet; the caller's. */
static bool open_nameless(const struct maildir_sender *maildir, int *out_fd, struct error *error)
{
    char folder[FILE_PATH_SIZE];
    if (!file_path(folder, error, "%s/tmp", maildir->path))
        return false;
    int fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, MAIL_MODE);
    if (fd < 0)
        return error_set_errno(error, errno, "write to %s", folder);
    *out_fd = fd;
    return true;
}

static bool maildir_check(struct mail_sender *sender, struct error *error)
{
    const struct maildir_sender *maildir = maildir_of(sender);
    char folder[FILE_PATH_SIZE];
    CLEANUP(file_closep) int fd = -1;
    if (!file_path(folder, error, "%s/new", maildir->path))
        return false;
    if (access(folder, W_OK | X_OK) != 0)
        return error_set_errno(error, errno, "write to %s", folder);
    return open_nameless(maildir, &fd, error);
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

static bool deliver(const struct maildir_sender *maildir, int fd, const char *key,
                    struct error *error)
{
    char from[FILE_PATH_SIZE];
    char to[FILE_PATH_SIZE];
    if (!file_path(from, error, "/proc/self/fd/%d", fd) ||
        !file_path(to, error, "%s/new/%s", maildir->path, key))
        return false;
    /* EEXIST: another sender was faster with the same mail. */
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "deliver %s", to);
    return true;
}

static bool write_and_deliver(const struct maildir_sender *maildir, const struct mail *mail,
                              mail_sender_may_send *may_send, void *context, struct error *error)
{
    CLEANUP(file_closep) int fd = -1;
    if (!open_nameless(maildir, &fd, error) || !file_write(fd, mail->bytes, mail->size, error) ||
        !file_sync(fd, error))
        return false;
    if (!may_send(context))
        return error_set(error, ERROR_UNAVAILABLE, "too late to send: another may have sent it");
    return deliver(maildir, fd, mail->key, error);
}

static bool send_once(const struct maildir_sender *maildir, const struct mail *mail,
                      mail_sender_may_send *may_send, void *context, struct error *error)
{
    bool is_there = false;
    char folder[FILE_PATH_SIZE];
    return was_delivered(maildir, mail->key, &is_there, error) &&
           (is_there || write_and_deliver(maildir, mail, may_send, context, error)) &&
           file_path(folder, error, "%s/new", maildir->path) &&
           /* Of a mail that is there, too: who delivered it may have been killed before this. */
           file_sync_folder(folder, error);
}

static bool maildir_send(struct mail_sender *sender, const struct mail *mail, int timeout_ms,
                         mail_sender_may_send *may_send, void *context, struct error *error)
{
    (void)timeout_ms; /* a local disk has no time-out to set */
    struct error cause = {0};
    if (send_once(maildir_of(sender), mail, may_send, context, &cause))
        return true;
    /* Whatever fails here may pass, a full disk too: the mail is tried until notice_age_max. */
    return error_set(error, ERROR_UNAVAILABLE, "%s", cause.text);
}

const struct mail_sender_backend mail_sender_maildir = {
    .name = "maildir",
    .open = maildir_open,
    .check = maildir_check,
    .send = maildir_send,
    .close = maildir_close,
};
