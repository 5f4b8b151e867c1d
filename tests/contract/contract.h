#pragma once

/* What every contract test starts from: a fresh data folder, and a configuration that names the
 * backend under test. */

#include "base/file.h"
#include "config/config.h"

#include "support/cmocka_all.h"

struct contract {
    char folder[FILE_PATH_SIZE]; /* removed by contract_finish */
    struct config *config;
};

/* The interface's option and backend, as "stores.mail" and "maildir". Fails the test on any
 * error. */
void contract_init(struct contract *contract, const char *option, const char *backend);
void contract_finish(struct contract *contract);
