#pragma once

/* What every contract test starts from: a fresh data folder, and a configuration that names the
 * backend under test; and what tests of several processes, threads or full disks share. */

#include "base/file.h"
#include "config/config.h"

#include "support/cmocka_all.h"

struct contract {
    char folder[FILE_PATH_SIZE]; /* removed by contract_finish */
    struct config *config;
    const char *option;
    const char *backend;
};

/* False, and TAP's word for skipped is printed, where the backend is a server that the environment
 * does not name. */
bool contract_is_possible(const char *backend);

/* The interface's option and backend, as "stores.mail" and "maildir". Fails the test on any
 * error. */
void contract_init(struct contract *contract, const char *option, const char *backend);
void contract_finish(struct contract *contract);

/* A server of its own, which keeps nothing in our folders. */
bool contract_has_server(const struct contract *contract);

/* The same backend with data.dir elsewhere, or of a server another database named after the
 * folder; the caller's. */
struct config *contract_config_in(const struct contract *contract, const char *folder);

/* Of a server: a proxy in front of it, and the same backend through that proxy with this time-out.
 * All are the caller's. */
struct proxy;
struct proxy *contract_proxy(const struct contract *contract);
struct config *contract_config_through(const struct contract *contract, const struct proxy *proxy,
                                       const char *timeout);

/* Runs it in a process of its own and returns its result; a death by signal is false. What it
 * checks it checks with CONTRACT_CHECK: cmocka's assertions work only in the test itself. */
typedef bool contract_work(void *context);
bool contract_fork(contract_work *work, void *context);

/* The same, with data.dir on a disk of that size which contract_disk_grow() makes larger: a tmpfs,
 * or where none can be mounted a limit on the size of a file. */
typedef bool contract_disk_work(const struct config *config);
bool contract_on_small_disk(const struct contract *contract, size_t size_bytes,
                            contract_disk_work *work);
bool contract_disk_grow(void);

#define CONTRACT_CHECK(condition)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return contract_complain(#condition, __FILE__, __LINE__);                              \
    } while (0)
bool contract_complain(const char *condition, const char *file, int line); /* false */

/* Two threads run it at the same time, with 0 and 1; contract_meet() waits for the other. */
typedef void contract_side(int side, void *context);
void contract_race(contract_side *side, void *context);
void contract_meet(void);
