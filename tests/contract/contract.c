#include "contract.h"

#include "mongodb_place.h"
#include "mysql_place.h"
#include "proxy.h"

#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/mail_sender/smtp_settings.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/mongodb.h"
#include "stores/shared/sql.h"
#include "stores/user_store/user_store.h"
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    mongodb_options,
    rabbitmq_options,
    record_store_options,
    smtp_options,
    sql_options,
    user_store_options,
    NULL,
};

static pthread_barrier_t meeting;

/* Backends that are a server of their own: who runs the tests names it in the environment. */
static const struct server {
    const char *backend;
    const char *variable;
    const char *section;           /* of the options uri and ca_file */
    const char *const *namespaces; /* options that keep tests apart; NULL-terminated. NULL: a place
                                    * is made */
    const char *proxied_options;   /* of the URI, for who goes through a proxy */
    void (*remove)(const char *name); /* what a test made there; NULL: nothing stays */
} servers[] = {
    {"mysql", "TEST_MYSQL_URI", "mysql", NULL, "", mysql_place_remove},
    {"mongodb", "TEST_MONGODB_URI", "mongodb",
     (const char *const[]){"mongodb.database", "mongodb.videos_database", "mongodb.mp3s_database",
                           NULL},
     "directConnection=true", mongodb_place_remove},
    {"rabbitmq", "TEST_RABBITMQ_URI", "rabbitmq", (const char *const[]){NULL}, "", NULL},
    {"smtp", "TEST_SMTP_URL", "smtp", (const char *const[]){NULL}, "", NULL},
};

#define ASSIGNMENTS_MAX 10

struct assignments {
    char texts[ASSIGNMENTS_MAX][FILE_PATH_SIZE + 64];
    const char *list[ASSIGNMENTS_MAX + 1];
    size_t count;
};

/* Of "scheme://user@host:port/path": what stands before the host, and what after the port. */
struct place {
    const char *before;
    size_t before_size;
    char host[128];
    char port[8];
    const char *after;
};

static void place_of(const char *uri, struct place *out_place)
{
    const char *at = strchr(uri, '@');
    const char *host = at != NULL ? at + 1 : strstr(uri, "://") + strlen("://");
    int host_size = (int)strcspn(host, ":/?,");
    const char *port = host + host_size + 1;
    assert_true(host[host_size] == ':');
    *out_place = (struct place){.before = uri, .before_size = (size_t)(host - uri)};
    out_place->after = port + strspn(port, "0123456789");
    snprintf(out_place->host, sizeof out_place->host, "%.*s", host_size, host);
    snprintf(out_place->port, sizeof out_place->port, "%.*s", (int)(out_place->after - port), port);
}

static void assign(struct assignments *assignments, const char *format, ...) PRINTF_FORMAT(2, 3);
static void assign(struct assignments *assignments, const char *format, ...)
{
    va_list arguments;
    size_t i = assignments->count++;
    assert_true(i < ASSIGNMENTS_MAX);
    va_start(arguments, format);
    vsnprintf(assignments->texts[i], sizeof assignments->texts[i], format, arguments);
    va_end(arguments);
    assignments->list[i] = assignments->texts[i];
}

static const struct server *server_of(const char *backend)
{
    for (size_t i = 0; i < ARRAY_COUNT(servers); i++) {
        if (strcmp(servers[i].backend, backend) == 0)
            return &servers[i];
    }
    return NULL;
}

/* Of a contract that has one. */
static const struct server *its_server(const struct contract *contract)
{
    const struct server *server = server_of(contract->backend);
    if (server == NULL)
        abort();
    return server;
}

/* "/tmp/tapedeck-contract-Ab12cd/other" names its database tapedeck_contract_Ab12cd_other. */
static void name_after(const char *folder, char out_name[64])
{
    snprintf(out_name, 56, "%s", folder + strlen("/tmp/"));
    for (char *character = out_name; *character != '\0'; character++) {
        if (*character == '/' || *character == '-')
            *character = '_';
    }
}

/* The URI with the proxy in the place of its server: of a set's servers there is only the first,
 * and what the set says of itself must not lead past the proxy. */
static void assign_proxied_uri(struct assignments *assignments, const struct server *server,
                               const struct proxy *proxy)
{
    struct place place;
    place_of(getenv(server->variable), &place);
    const char *rest = place.after + strcspn(place.after, "/?");
    bool has_options = strchr(rest, '?') != NULL;
    assign(assignments, "%s.uri=%.*s%s:%d%s%s%s", server->section, (int)place.before_size,
           place.before, place.host, proxy_port(proxy), rest[0] == '\0' ? "/" : rest,
           has_options ? "&" : "?", server->proxied_options);
}

static void assign_server(struct assignments *assignments, const struct server *server,
                          const char *folder, const struct proxy *proxy)
{
    const char *ca_file = getenv("TEST_CA_FILE");
    char name[64];
    name_after(folder, name);
    if (ca_file != NULL)
        assign(assignments, "%s.ca_file=%s", server->section, ca_file);
    if (server->namespaces == NULL) {
        struct mysql_place place;
        mysql_place_make(name, &place);
        assign(assignments, "mysql.uri=%s", place.service_uri);
        assign(assignments, "mysql.migrate_uri=%s", place.migrate_uri);
        return;
    }
    if (proxy != NULL)
        assign_proxied_uri(assignments, server, proxy);
    else
        assign(assignments, "%s.uri=%s", server->section, getenv(server->variable));
    for (size_t i = 0; server->namespaces[i] != NULL; i++)
        assign(assignments, "%s=%s_%zu", server->namespaces[i], name, i);
}

bool contract_is_possible(const char *backend)
{
    const struct server *server = server_of(backend);
    if (server == NULL || getenv(server->variable) != NULL)
        return true;
    printf("1..0 # SKIP %s is not set\n", server->variable);
    return false;
}

bool contract_has_server(const struct contract *contract)
{
    return server_of(contract->backend) != NULL;
}

static struct config *open_config(const struct assignments *assignments)
{
    const struct config_sources sources = {.assignments = assignments->list};
    struct error error = {0};
    struct config *config = NULL;
    if (!config_open(tables, &sources, &config, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return config;
}

static void assign_all(struct assignments *assignments, const struct contract *contract,
                       const char *folder, const struct proxy *proxy)
{
    assign(assignments, "data.dir=%s", folder);
    assign(assignments, "%s=%s", contract->option, contract->backend);
    if (contract_has_server(contract))
        assign_server(assignments, server_of(contract->backend), folder, proxy);
}

struct config *contract_config_in(const struct contract *contract, const char *folder)
{
    struct assignments assignments = {0};
    assign_all(&assignments, contract, folder, NULL);
    return open_config(&assignments);
}

struct proxy *contract_proxy(const struct contract *contract)
{
    struct place place;
    place_of(getenv(its_server(contract)->variable), &place);
    return proxy_open(place.host, place.port);
}

struct config *contract_config_through(const struct contract *contract, const struct proxy *proxy,
                                       const char *timeout)
{
    const struct server *server = its_server(contract);
    struct assignments assignments = {0};
    assign_all(&assignments, contract, contract->folder, proxy);
    assign(&assignments, "%s.timeout=%s", server->section, timeout);
    return open_config(&assignments);
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
    const struct server *server = server_of(contract->backend);
    config_close(contract->config);
    if (server != NULL && server->remove != NULL) {
        char name[64];
        name_after(contract->folder, name);
        server->remove(name);
    }
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
