#include "mysql_place.h"

#include "config/config.h"
#include "stores/shared/sql_internal.h"
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"

#define PASSWORD "Contract-1-of-tests"

static void load_server(struct sql_server *out_server)
{
    static const struct config_option *const tables[] = {sql_options, NULL};
    char uri[2 * SERVER_URI_PART_SIZE];
    char ca_file[SERVER_URI_PART_SIZE];
    snprintf(uri, sizeof uri, "mysql.uri=%s", getenv("TEST_MYSQL_URI"));
    snprintf(ca_file, sizeof ca_file, "mysql.ca_file=%s",
             getenv("TEST_CA_FILE") == NULL ? "" : getenv("TEST_CA_FILE"));
    const char *const assignments[] = {uri, ca_file, NULL};
    const struct config_sources sources = {.assignments = assignments};
    struct error error = {0};
    struct config *config = NULL;
    if (!config_open(tables, &sources, &config, &error) ||
        !sql_server_load(config, SQL_ACCOUNT_SERVICE, out_server, &error))
        fail_msg("TEST_MYSQL_URI: %s", error.text);
    if (getenv("TEST_CA_FILE") != NULL)
        out_server->ca_file = getenv("TEST_CA_FILE");
    config_close(config);
}

/* Twenty letters at most: a user's name has 32. */
static const char *short_name(const char *name)
{
    size_t size = strlen(name);
    return size > 20 ? name + size - 20 : name;
}

static void execute_all(const char *name, const char *const *formats)
{
    struct sql_server server;
    struct error error = {0};
    MYSQL *handle = NULL;
    load_server(&server);
    if (!sql_open_handle(&server, &handle, &error))
        fail_msg("TEST_MYSQL_URI: %s", error.text);
    for (; *formats != NULL; formats++) {
        char sql[1024];
/* NOLINTBEGIN(clang-diagnostic-format-nonliteral): formats are of this file and its callers' */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, *formats, name, short_name(name),
                 server.has_tls ? "REQUIRE SSL" : "");
#pragma GCC diagnostic pop
        /* NOLINTEND(clang-diagnostic-format-nonliteral) */
        if (mysql_query(handle, sql) != 0)
            fail_msg("%s: %s", sql, mysql_error(handle));
    }
    mysql_close(handle);
}

void mysql_place_execute(const char *name, const char *format)
{
    const char *const formats[] = {format, NULL};
    execute_all(name, formats);
}

static void write_uri(const struct sql_server *server, char role, const char *name,
                      char out_uri[SERVER_URI_PART_SIZE])
{
    int size = snprintf(out_uri, SERVER_URI_PART_SIZE, "%s://%c_%s:%s@%s:%u/%s", server->uri.scheme,
                        role, short_name(name), PASSWORD, server->uri.host, server->uri.port, name);
    assert_true(size > 0 && size < SERVER_URI_PART_SIZE);
}

/* A right to a table that is not there yet can only be given together with the right to make it,
 * which is then taken away. */
void mysql_place_make(const char *name, struct mysql_place *out_place)
{
    static const char *const formats[] = {
        "CREATE DATABASE IF NOT EXISTS %1$s",
        "CREATE USER IF NOT EXISTS 'm_%2$s'@'%%' IDENTIFIED BY '" PASSWORD "' %3$s",
        "CREATE USER IF NOT EXISTS 's_%2$s'@'%%' IDENTIFIED BY '" PASSWORD "' %3$s",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON %1$s.*"
        " TO 'm_%2$s'@'%%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON %1$s.user TO 's_%2$s'@'%%'",
        "GRANT SELECT, CREATE ON %1$s.schema_version TO 's_%2$s'@'%%'",
        "REVOKE CREATE ON %1$s.user FROM 's_%2$s'@'%%'",
        "REVOKE CREATE ON %1$s.schema_version FROM 's_%2$s'@'%%'",
        NULL,
    };
    struct sql_server server;
    load_server(&server);
    execute_all(name, formats);
    write_uri(&server, 's', name, out_place->service_uri);
    write_uri(&server, 'm', name, out_place->migrate_uri);
}

void mysql_place_remove(const char *name)
{
    static const char *const formats[] = {
        "DROP DATABASE IF EXISTS %1$s",
        "DROP USER IF EXISTS 's_%2$s'@'%%'",
        "DROP USER IF EXISTS 'm_%2$s'@'%%'",
        NULL,
    };
    execute_all(name, formats);
}
