#include "contract.h"

#include "stores/mail_sender/mail_sender.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/user_store/user_store.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct config_option *const tables[] = {
    data_folder_options, mail_sender_options, record_store_options, user_store_options, NULL,
};

void contract_init(struct contract *contract, const char *option, const char *backend)
{
    snprintf(contract->folder, sizeof contract->folder, "/tmp/tapedeck-contract-XXXXXX");
    assert_non_null(mkdtemp(contract->folder));
    char data[FILE_PATH_SIZE + 16];
    char store[128];
    snprintf(data, sizeof data, "data.dir=%s", contract->folder);
    snprintf(store, sizeof store, "%s=%s", option, backend);
    const char *const assignments[] = {data, store, NULL};
    const struct config_sources sources = {.assignments = assignments};
    struct error error = {0};
    if (!config_open(tables, &sources, &contract->config, &error))
        fail_msg("%s", error.text);
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
