#include "contract.h"

#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/user_store/user_store.h"
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROWN_SIZE "size=16m"

static const struct config_option *const tables[] = {
    data_folder_options,
    blob_store_options,
    job_queue_options,
    mail_sender_options,
    record_store_options,
    user_store_options,
    NULL,
};

static pthread_barrier_t meeting;

struct config *contract_config_in(const struct contract *contract, const char *folder)
{
    char data[FILE_PATH_SIZE + 16];
    char store[128];
    snprintf(data, sizeof data, "data.dir=%s", folder);
    snprintf(store, sizeof store, "%s=%s", contract->option, contract->backend);
    const char *const assignments[] = {data, store, NULL};
    const struct config_sources sources = {.assignments = assignments};
    struct error error = {0};
    struct config *config = NULL;
    if (!config_open(tables, &sources, &config, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return config;
}

void contract_init(struct contract *contract, const char *option, const char *backend)
{
    contract->option = option;
    contract->backend = backend;
    snprintf(contract->folder, sizeof contract->folder, "/tmp/tapedeck-contract-XXXXXX");
    assert_non_null(mkdtemp(contract->folder));
    contract->config = contract_config_in(contract, contract->folder);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void contract_finish(struct contract *contract)
{
    config_close(contract->config);
    nftw(contract->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool contract_complain(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    return false;
}

bool contract_fork(contract_work *work, void *context)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(work(context) ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct small_disk {
    const struct contract *contract;
    size_t size_bytes;
    contract_disk_work *work;
};

static bool has_mount;

static bool mount_disk(const char *path, size_t size_bytes)
{
    char options[64];
    snprintf(options, sizeof options, "size=%zu,mode=700", size_bytes);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tapedeck-test", path, "tmpfs", 0, options) == 0;
}

static bool limit_files(rlim_t size_bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = size_bytes, .rlim_max = RLIM_INFINITY};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

static char disk_path[FILE_PATH_SIZE];

bool contract_disk_grow(void)
{
    if (has_mount)
        return mount("tapedeck-test", disk_path, "tmpfs", MS_REMOUNT, GROWN_SIZE) == 0;
    return limit_files(RLIM_INFINITY);
}

static bool run_on_disk(void *context)
{
    const struct small_disk *disk = context;
    struct error error = {0};
    CONTRACT_CHECK(file_path(disk_path, &error, "%s/disk", disk->contract->folder));
    CONTRACT_CHECK(file_make_folder(disk_path, 0700, &error));
    has_mount = mount_disk(disk_path, disk->size_bytes);
    if (!has_mount)
        CONTRACT_CHECK(limit_files(disk->size_bytes));
    struct config *small = contract_config_in(disk->contract, disk_path);
    bool succeeded = disk->work(small);
    config_close(small);
    return succeeded;
}

bool contract_on_small_disk(const struct contract *contract, size_t size_bytes,
                            contract_disk_work *work)
{
    struct small_disk disk = {.contract = contract, .size_bytes = size_bytes, .work = work};
    return contract_fork(run_on_disk, &disk);
}

struct side {
    contract_side *run;
    void *context;
    int number;
};

static void *run_side(void *argument)
{
    struct side *side = argument;
    side->run(side->number, side->context);
    return NULL;
}

void contract_meet(void)
{
    pthread_barrier_wait(&meeting);
}

void contract_race(contract_side *run, void *context)
{
    struct side sides[2] = {{run, context, 0}, {run, context, 1}};
    pthread_t threads[2];
    assert_int_equal(pthread_barrier_init(&meeting, NULL, 2), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&meeting);
}
