/* What `tapedeck doctor` looks at on this machine. */

#include "commands/doctor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "model/failure.h"
#include "sandbox/worker_process.h"
#include "services/common/limits.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CLOCK_DIFFERENCE_MAX_MS 10000
/* No clock that is right shows a time before this was written. */
#define CLOCK_LEAST_MS INT64_C(1764000000000)
#define PROBE_STALL_MS 5000
#define PROBE_DEADLINE_MS 10000
#define CIFS_MAGIC 0xff534d42
#define FUSE_MAGIC 0x65735546

/* SQLite's locks, and ours, are not kept to over a network. Of FUSE nobody can tell: virtiofs keeps
 * them, sshfs does not. */
static const struct file_system {
    unsigned long magic;
    enum doctor_verdict verdict;
    const char *found, *advice;
} file_systems[] = {
#define NETWORK(MAGIC, NAME)                                                                       \
    {                                                                                              \
        MAGIC, DOCTOR_FAILED, "lies on " NAME ", which does not keep locks",                       \
            "Set data.dir to a folder on a local disk."                                            \
    }
    NETWORK(NFS_SUPER_MAGIC, "NFS"),
    NETWORK(CIFS_MAGIC, "SMB"),
    NETWORK(SMB_SUPER_MAGIC, "SMB"),
    NETWORK(SMB2_SUPER_MAGIC, "SMB"),
#undef NETWORK
    {FUSE_MAGIC, DOCTOR_WARNING, "lies on FUSE, which may not keep locks",
     "Leave it where that is the host's own disk (virtiofs); of a network or a bucket it must not "
     "be."},
};

static enum doctor_verdict check_file_system(struct doctor *doctor, const char *path)
{
    struct statfs status;
    bool is_known = statfs(path, &status) == 0;
    for (size_t i = 0; is_known && i < ARRAY_COUNT(file_systems); i++) {
        const struct file_system *system = &file_systems[i];
        if (((unsigned long)status.f_type & 0xffffffff) != system->magic)
            continue;
        snprintf(doctor->advice, sizeof doctor->advice, "%s", system->advice);
        return doctor_say(doctor, system->verdict, "%.200s %s", path, system->found);
    }
    return doctor_say(doctor, DOCTOR_OK, "%.200s", path);
}

/* The same command, to be pasted. */
static void advise_owner(struct doctor *doctor, uid_t owner)
{
    char name[DATA_FOLDER_USER_SIZE];
    const struct command_line *line = &doctor->session->line;
    const char *file = command_line_config_file(line);
    CLEANUP(buffer_finish) struct buffer command = BUFFER_WITH_MAX(DOCTOR_TEXT_SIZE - 1);
    data_folder_name_user(owner, name);
    ignore_failure(buffer_append_format(
        &command, NULL, "Run doctor as its user: sudo -u '%s' tapedeck doctor", name));
    if (file != NULL)
        ignore_failure(buffer_append_format(&command, NULL, " --config '%s'", file));
    for (size_t i = 0; i < line->assignment_count; i++)
        ignore_failure(buffer_append_format(&command, NULL, " --set '%s'", line->assignments[i]));
    text_copy(doctor->advice, sizeof doctor->advice, buffer_text(&command));
}

static enum doctor_verdict check_rights(struct doctor *doctor, const char *path,
                                        const struct stat *status)
{
    struct error error = {0};
    if (status->st_uid != geteuid()) {
        char name[DATA_FOLDER_USER_SIZE];
        data_folder_name_user(status->st_uid, name);
        advise_owner(doctor, status->st_uid);
        return doctor_say(doctor, DOCTOR_FAILED, "%.200s belongs to another user (%s)", path, name);
    }
    if ((status->st_mode & 077) != 0) {
        snprintf(doctor->advice, sizeof doctor->advice, "chmod 700 %.200s", path);
        return doctor_say(doctor, DOCTOR_FAILED,
                          "%.200s can be entered by others: it holds videos, mails and hashes",
                          path);
    }
    bool is_usable = data_folder_check(path, &error);
    /* As in a container, whose image has the folder and lets nobody write to it. */
    if (!is_usable && !doctor_needs_data(doctor))
        return doctor_say(doctor, DOCTOR_SKIPPED, "all stores are on servers");
    if (!is_usable)
        return doctor_fail(doctor, &error,
                           "Mount its disk so that it can be written to, or give the folder back "
                           "its rights: chmod 700.");
    doctor->has_data = true;
    return check_file_system(doctor, path);
}

enum doctor_verdict doctor_check_data_folder(struct doctor *doctor)
{
    struct error error = {0};
    const char *path = NULL;
    struct stat status;
    if (!data_folder_get(doctor->session->config, &path, &error))
        return doctor_fail(doctor, &error, "Set data.dir.");
    if (stat(path, &status) != 0) {
        error_set_errno(&error, errno, "%.200s", path);
        if (!doctor_needs_data(doctor))
            return doctor_say(doctor, DOCTOR_SKIPPED, "all stores are on servers");
        if (doctor->services != DOCTOR_ALL)
            return doctor_fail(doctor, &error,
                               "A service of a cluster has its stores on servers: stores.*.");
        return doctor_fail(doctor, &error,
                           "`tapedeck serve` and `tapedeck migrate` make it; check data.dir.");
    }
    return check_rights(doctor, path, &status);
}

enum doctor_verdict doctor_check_disk(struct doctor *doctor)
{
    struct error error = {0};
    const char *path = NULL;
    struct limits limits;
    uint64_t free_bytes = 0;
    char shown[TEXT_UNIT_SIZE];
    if (!doctor->has_data)
        return doctor_say(doctor, DOCTOR_SKIPPED, "see data folder");
    if (!data_folder_get(doctor->session->config, &path, &error) ||
        !config_load(doctor->session->config, limits_options, &limits, &error) ||
        !file_free_space(path, &free_bytes, &error))
        return doctor_fail(doctor, &error, "Check the disk.");
    text_format_size_for_people(free_bytes, shown);
    if (free_bytes >= limits.disk_free_min)
        return doctor_say(doctor, DOCTOR_OK, "%s free", shown);
    snprintf(doctor->advice, sizeof doctor->advice,
             "Make room, or lower limits.disk_free_min: uploads are refused until then.");
    return doctor_say(doctor, DOCTOR_FAILED, "only %s free", shown);
}

enum doctor_verdict doctor_check_clock(struct doctor *doctor)
{
    struct error error = {0};
    int64_t store_ms = 0;
    CLEANUP(record_store_closep) struct record_store *records = NULL;
    if (clock_wall_ms() < CLOCK_LEAST_MS) {
        error_set(&error, ERROR_INTERNAL, "this machine's clock is years behind");
        return doctor_fail(doctor, &error, "Set it, and let NTP keep it right.");
    }
    if (!doctor_may_open(doctor, record_store_options) ||
        !record_store_open(doctor->session->config, &records, &error) ||
        !record_store_now(records, &store_ms, &error))
        return doctor_say(doctor, DOCTOR_OK, "plausible; not compared with the record store's");
    int64_t difference_ms = clock_wall_ms() - store_ms;
    if (difference_ms > CLOCK_DIFFERENCE_MAX_MS || difference_ms < -CLOCK_DIFFERENCE_MAX_MS) {
        error_set(&error, ERROR_INTERNAL, "%+.0f s from the record store's",
                  (double)difference_ms / (double)CLOCK_SECOND_MS);
        return doctor_fail(doctor, &error,
                           "Let NTP keep both clocks right: tokens and retention depend on them.");
    }
    return doctor_say(doctor, DOCTOR_OK, "agrees with the record store's");
}

/* ---- The worker, with an input that it must refuse ---- */

static bool read_nothing(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                         struct error *error)
{
    (void)context, (void)offset, (void)bytes, (void)size, (void)error;
    *out_size = 0;
    return true;
}

static bool write_nothing(void *context, uint64_t offset, const void *bytes, size_t size,
                          struct error *error)
{
    (void)context, (void)offset, (void)bytes, (void)size;
    return error_set(error, ERROR_INTERNAL, "the worker made an MP3 of nothing");
}

static bool go_on(void *context, const struct worker_progress *progress, struct error *error)
{
    (void)context, (void)progress, (void)error;
    return true;
}

enum doctor_verdict doctor_check_sandbox(struct doctor *doctor)
{
    struct error error = {0};
    struct worker_result result;
    struct conversion_options options = {0};
    CLEANUP(worker_process_closep) struct worker_process *process = NULL;
    const struct worker_job job = {
        .options = &options,
        .threads = 1,
        .stall_max_ms = PROBE_STALL_MS,
        .deadline_ms = PROBE_DEADLINE_MS,
        .cancel_fd = -1,
    };
    const struct worker_callbacks callbacks = {
        .read_at = read_nothing, .write_at = write_nothing, .tick = go_on};
    if (!worker_process_open(&process, &error))
        return doctor_fail(doctor, &error,
                           "Install tapedeck-worker beside tapedeck, or as `meson install` does.");
    enum worker_end end = worker_process_run(process, &job, &callbacks, &result, &error);
    if (end == WORKER_REFUSED)
        return doctor_say(doctor, DOCTOR_OK, "the worker starts, confines itself and answers");
    return doctor_fail(doctor, &error,
                       "Its log lines above say what the kernel or the libraries refused.");
}
