#include "commands/store_place.h"

#include "base/file.h"
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
#include <stdio.h>
#include <string.h>

#define WHERE_SIZE 320

static void write_uri(const struct server_uri *uri, char out_where[WHERE_SIZE])
{
    snprintf(out_where, WHERE_SIZE, uri->port != 0 ? "%s:%u" : "%s", uri->host, uri->port);
}

static bool find_mongodb(const struct config *config, char out_where[WHERE_SIZE],
                         struct error *error)
{
    return mongodb_server_name(config, out_where, WHERE_SIZE, error);
}

static bool find_rabbitmq(const struct config *config, char out_where[WHERE_SIZE],
                          struct error *error)
{
    struct rabbitmq_settings settings;
    if (!rabbitmq_settings_load(config, &settings, error))
        return false;
    write_uri(&settings.uri, out_where);
    return true;
}

/* By the account that both `migrate` and `user add` begin with. */
static bool find_mysql(const struct config *config, char out_where[WHERE_SIZE], struct error *error)
{
    struct sql_server server;
    if (!sql_server_load(config, SQL_ACCOUNT_MIGRATION, &server, error))
        return false;
    write_uri(&server.uri, out_where);
    return true;
}

static bool find_smtp(const struct config *config, char out_where[WHERE_SIZE], struct error *error)
{
    struct smtp_settings settings;
    if (!smtp_settings_load(config, &settings, error))
        return false;
    write_uri(&settings.uri, out_where);
    return true;
}

static bool find_data(const struct config *config, char out_where[WHERE_SIZE], struct error *error)
{
    const char *data = NULL;
    if (!data_folder_get(config, &data, error))
        return false;
    snprintf(out_where, WHERE_SIZE, "%s", data);
    return true;
}

/* A store's first option chooses its backend, and the one that is chosen where nothing is said is
 * the embedded one. */
static const struct {
    const char *what;
    const struct config_option *options;
    bool (*find_server)(const struct config *config, char out_where[WHERE_SIZE],
                        struct error *error);
} roles[STORE_ROLE_COUNT] = {
    [STORE_RECORDS] = {"records", record_store_options, find_mongodb},
    [STORE_BLOBS] = {"videos and MP3s", blob_store_options, find_mongodb},
    [STORE_MESSAGES] = {"messages", job_queue_options, find_rabbitmq},
    [STORE_ACCOUNTS] = {"accounts", user_store_options, find_mysql},
    [STORE_MAIL] = {"mail", mail_sender_options, find_smtp},
};

bool store_place_get(const struct config *config, enum store_role role,
                     struct store_place *out_place, struct error *error)
{
    struct config_option choice[] = {roles[role].options[0], {0}};
    const char *backend = NULL;
    char where[WHERE_SIZE] = "";
    choice[0].field = 0;
    if (!config_load(config, choice, &backend, error))
        return false;
    bool is_server = strcmp(backend, roles[role].options[0].standard) != 0;
    if (!(is_server ? roles[role].find_server : find_data)(config, where, error))
        return error_prefix(error, "%s", roles[role].what);
    *out_place = (struct store_place){.what = roles[role].what, .is_server = is_server};
    snprintf(out_place->text, sizeof out_place->text, "%s %s", backend, where);
    return true;
}
