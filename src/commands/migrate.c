/* tapedeck migrate: stores brought to this version's schema. */

#include "commands/commands.h"
#include "commands/migrate_original.h"
#include "commands/session.h"
#include "commands/store_place.h"

#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/record_store/record_store.h"
#include "stores/user_store/user_store.h"
#include <stdio.h>

static const char help[] =
    "usage: tapedeck migrate\n\n"
    "Brings the stores of records, messages and accounts, and GridFS, to this version's schema, "
    "and\n"
    "makes what is missing. `tapedeck serve` does so by itself; a cluster needs it once before "
    "the\n"
    "first services of a new version start. Those of the version before go on working meanwhile.\n"
    "Can be repeated.\n\n"
    "Accounts in MySQL: tables are made by the account of mysql.migrate_uri. A table `user` of "
    "the\n"
    "original system, which holds passwords as they were typed, is turned into accounts with "
    "hashes\n"
    "and dropped.\n\n"
    "Example:\n"
    "  tapedeck migrate --config /etc/tapedeck.ini\n";

static const struct {
    enum store_role role;
    const char *name;
    bool (*migrate)(const struct config *config, struct error *error);
} stores[] = {
    {STORE_RECORDS, "records", record_store_migrate},
    {STORE_BLOBS, "videos and MP3s", blob_store_migrate},
    {STORE_MESSAGES, "messages", job_queue_migrate},
    {STORE_ACCOUNTS, "accounts", user_store_migrate},
};

static int move_original(const struct session *session)
{
    size_t moved = 0;
    struct error error = {0};
    bool succeeded = migrate_original(session->config, &moved, &error);
    if (moved != 0)
        printf("%zu accounts of the original now have hashes instead of passwords\n", moved);
    return succeeded ? COMMAND_OK : session_fail(session, &error);
}

int migrate_run(const struct invocation *invocation)
{
    int status = COMMAND_FAILED;
    CLEANUP(session_finish) struct session session = {0};
    if (!session_open(invocation, help, &session, &status))
        return status;
    if (!session_has_arguments(&session, 0, "tapedeck migrate"))
        return COMMAND_USAGE;
    for (size_t i = 0; i < ARRAY_COUNT(stores); i++) {
        struct error error = {0};
        struct store_place place;
        if (!store_place_get(session.config, stores[i].role, &place, &error))
            return session_fail(&session, &error);
        if (stores[i].role == STORE_BLOBS && !place.is_server)
            continue; /* folders have no schema */
        if (!stores[i].migrate(session.config, &error)) {
            error_prefix(&error, "%s", stores[i].name);
            return session_fail(&session, &error);
        }
        printf("%s: %s, of this version's schema\n", stores[i].name, place.text);
    }
    return move_original(&session);
}
