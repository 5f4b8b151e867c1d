#include "stores/shared/sql_internal.h"

#include "base/text.h"
#include "model/failure.h"
#include "stores/shared/tls_probe.h"
#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PORT_STANDARD 3306
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
/* A migration waits for others' locks and copies tables. */
#define PATIENT_TIMEOUT_S 120
/* What logs in by a proof of the password; never with the password itself in the clear, which a
 * server that is not ours could ask for. */
#define LOGINS_ALLOWED "mysql_native_password,caching_sha2_password,client_ed25519"

/* MySQL's own, which MariaDB's header does not have. */
enum {
    MYSQL_ER_ACCOUNT_LOCKED = 3118,
    MYSQL_ER_ACCOUNT_BLOCKED = 3955,
    MYSQL_ER_IDLE_TOO_LONG = 4031,
};

struct sql_settings {
    const char *uri, *migrate_uri, *ca_file;
    bool needs_tls;
    int64_t timeout_ms;
};

const struct config_option sql_options[] = {
    {
        .name = "mysql.uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct sql_settings, uri, const char *),
        .standard = "",
        .help = "Where MySQL or MariaDB is, with account and database: "
                "mysqls://user:password@host:3306/database. mysql:// is without TLS, and only for "
                "this machine.",
    },
    {
        .name = "mysql.migrate_uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct sql_settings, migrate_uri, const char *),
        .standard = "",
        .help = "The same with the account that makes tables, for `tapedeck migrate` alone: "
                "services need no such rights. Empty: mysql.uri.",
    },
    {
        .name = "mysql.ca_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct sql_settings, ca_file, const char *),
        .standard = "",
        .help = "PEM file of the authorities that may have signed the server's certificate. "
                "Empty: those that this system trusts.",
    },
    {
        .name = "mysql.tls",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct sql_settings, needs_tls, bool),
        .standard = "on",
        .help = "off: mysql:// may lead to another machine, and everybody in between can read "
                "along.",
    },
    {
        .name = "mysql.timeout",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct sql_settings, timeout_ms, int64_t),
        .standard = "5s",
        .least = 1000,
        .most = 60000,
        .help = "How long a connection, and an answer, is waited for.",
    },
    {0},
};

/* ---- Configuration ---- */

static bool read_uri(const char *text, struct sql_server *server, struct error *error)
{
    if (text[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "is not given: mysqls://user:password@host:3306/database is expected");
    if (!server_uri_parse(text, &server->uri, error))
        return false;
    server->has_tls = strcmp(server->uri.scheme, "mysqls") == 0;
    if (!server->has_tls && strcmp(server->uri.scheme, "mysql") != 0)
        return error_set(error, ERROR_BAD_INPUT, "must begin with mysqls:// or mysql://");
    if (server->uri.user[0] == '\0' || server->uri.path[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "names no %s",
                         server->uri.user[0] == '\0' ? "user" : "database");
    if (server->uri.port == 0)
        server->uri.port = PORT_STANDARD;
    return true;
}

bool sql_server_load(const struct config *config, enum sql_account account,
                     struct sql_server *out_server, struct error *error)
{
    struct sql_settings settings = {0};
    if (!config_load(config, sql_options, &settings, error))
        return false;
    bool is_migration = account == SQL_ACCOUNT_MIGRATION;
    bool has_own_account = is_migration && settings.migrate_uri[0] != '\0';
    struct sql_server server = {
        .ca_file = settings.ca_file[0] != '\0' ? settings.ca_file : SYSTEM_CA_FILE,
        .is_patient = is_migration,
        .timeout_s = (unsigned)((settings.timeout_ms + 999) / 1000),
        .option = has_own_account ? "mysql.migrate_uri" : "mysql.uri",
    };
    if (!read_uri(has_own_account ? settings.migrate_uri : settings.uri, &server, error))
        return error_prefix(error, "%s", server.option);
    if (!server.has_tls && settings.needs_tls && !server_uri_is_loopback(&server.uri))
        return error_set(error, ERROR_BAD_INPUT,
                         "%s: without TLS only to this machine: use mysqls://, or set "
                         "mysql.tls=off for a network that is as safe as a cable",
                         server.option);
    if (server.has_tls && !tls_check_ca_file("mysql.ca_file", server.ca_file, error))
        return false;
    *out_server = server;
    return true;
}

/* ---- What errors mean ---- */

bool sql_is_lost(unsigned number)
{
    switch (number) {
    case ER_SERVER_SHUTDOWN:
    case ER_CONNECTION_KILLED:
    case MYSQL_ER_IDLE_TOO_LONG:
        return true;
    }
    return number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
}

bool sql_is_harmless(unsigned number)
{
    switch (number) {
    case ER_DUP_ENTRY:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_LOCK_DEADLOCK:
    case ER_DATA_TOO_LONG:
    case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
        return true;
    }
    return false;
}

static enum error_kind kind_of(unsigned number)
{
    static const struct {
        unsigned number;
        enum error_kind kind;
    } kinds[] = {
        {ER_DUP_ENTRY, ERROR_CONFLICT},
        {ER_DATA_TOO_LONG, ERROR_BAD_INPUT},
        {ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ERROR_BAD_INPUT},
        {ER_ACCESS_DENIED_ERROR, ERROR_DENIED},
        {ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ERROR_DENIED},
        {ER_DBACCESS_DENIED_ERROR, ERROR_DENIED},
        {ER_TABLEACCESS_DENIED_ERROR, ERROR_DENIED},
        {ER_COLUMNACCESS_DENIED_ERROR, ERROR_DENIED},
        {ER_SPECIFIC_ACCESS_DENIED_ERROR, ERROR_DENIED},
        {ER_HOST_NOT_PRIVILEGED, ERROR_DENIED},
        {ER_MUST_CHANGE_PASSWORD, ERROR_DENIED},
        {ER_MUST_CHANGE_PASSWORD_LOGIN, ERROR_DENIED},
        {MYSQL_ER_ACCOUNT_LOCKED, ERROR_DENIED},
        {MYSQL_ER_ACCOUNT_BLOCKED, ERROR_DENIED},
        {ER_ACCOUNT_HAS_BEEN_LOCKED, ERROR_DENIED},
        {ER_USER_IS_BLOCKED, ERROR_DENIED},
        {CR_AUTH_PLUGIN_CANNOT_LOAD, ERROR_DENIED},
        {CR_PLUGIN_NOT_ALLOWED, ERROR_DENIED},
        /* Of a server that is busy, read-only after a failover, or was not set up yet. */
        {ER_CON_COUNT_ERROR, ERROR_UNAVAILABLE},
        {ER_TOO_MANY_USER_CONNECTIONS, ERROR_UNAVAILABLE},
        {ER_USER_LIMIT_REACHED, ERROR_UNAVAILABLE},
        {ER_HOST_IS_BLOCKED, ERROR_UNAVAILABLE},
        {ER_LOCK_WAIT_TIMEOUT, ERROR_UNAVAILABLE},
        {ER_LOCK_DEADLOCK, ERROR_UNAVAILABLE},
        {ER_OPTION_PREVENTS_STATEMENT, ERROR_UNAVAILABLE},
        {ER_READ_ONLY_MODE, ERROR_UNAVAILABLE},
        {ER_QUERY_INTERRUPTED, ERROR_UNAVAILABLE},
        {ER_STATEMENT_TIMEOUT, ERROR_UNAVAILABLE},
        {ER_BAD_DB_ERROR, ERROR_UNAVAILABLE},
        {ER_NO_SUCH_TABLE, ERROR_UNAVAILABLE},
        {ER_DISK_FULL, ERROR_TOO_LARGE},
        {ER_RECORD_FILE_FULL, ERROR_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].number == number)
            return kinds[i].kind;
    }
    return sql_is_lost(number) ? ERROR_UNAVAILABLE : ERROR_INTERNAL;
}

/* The library has one number for all that can be wrong about a certificate, and tells it apart by
 * words alone: OpenSSL's, or from version 3.4 on its own. */
static bool fail_certificate(const struct sql_server *server, const char *text, struct error *error)
{
    static const struct {
        const char *word;
        const char *meaning;
    } words[] = {
        {"expired", "the server's certificate has expired, or is not valid yet"},
        {"not yet valid", "the server's certificate is not valid yet: is the clock right?"},
        {"Validation of SSL server certificate", "the server's certificate is for another host "
                                                 "name than the one given"},
        {"Hostname verification", "the server's certificate is for another host name than the one "
                                  "given"},
        {"self-signed", "the server's certificate is of no CA of mysql.ca_file"},
        {"self signed", "the server's certificate is of no CA of mysql.ca_file"},
        {"issuer certificate", "the server's certificate is of no CA of mysql.ca_file"},
        {"certificate signature", "the server's certificate is of no CA of mysql.ca_file"},
        {"not trusted", "the server's certificate is of no CA of mysql.ca_file"},
        {"does not support", "the server offers no TLS"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strstr(text, words[i].word) != NULL)
            return error_set(error, ERROR_UNAVAILABLE, "%s (%s:%u): %s (%s)", server->option,
                             server->uri.host, server->uri.port, words[i].meaning, text);
    }
    return error_set(error, ERROR_UNAVAILABLE, "%s (%s:%u): %s", server->option, server->uri.host,
                     server->uri.port, text);
}

bool(sql_fail)(const struct sql_server *server, unsigned number, const char *text,
               struct error *error)
{
    if (number == CR_SSL_CONNECTION_ERROR)
        return fail_certificate(server, text, error);
    enum error_kind kind = kind_of(number);
    if (kind == ERROR_TOO_LARGE)
        return error_set_failure(error, kind, &FAILURE_DISK_FULL, "%s (%s:%u): no room: %s",
                                 server->option, server->uri.host, server->uri.port, text);
    return error_set(error, kind, "%s (%s:%u): %s", server->option, server->uri.host,
                     server->uri.port, text);
}

/* ---- Connecting ---- */

static void prepare_library(void)
{
    mysql_library_init(0, NULL, NULL);
}

/* A certificate's chain and host name are both checked only with exactly these two: with the file
 * alone the name is not, and without the second the library goes on in the clear where a server
 * offers no TLS, whatever MYSQL_OPT_SSL_ENFORCE says. */
static void set_tls(MYSQL *handle, const struct sql_server *server)
{
    static const my_bool on = 1;
    mysql_options(handle, MYSQL_OPT_SSL_CA, server->ca_file);
    mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
    mysql_options(handle, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
}

static void set_options(MYSQL *handle, const struct sql_server *server)
{
    static const unsigned tcp = MYSQL_PROTOCOL_TCP; /* "localhost" too */
    static const unsigned off = 0;
    unsigned answer_s = server->is_patient ? PATIENT_TIMEOUT_S : server->timeout_s;
    mysql_options(handle, MYSQL_OPT_PROTOCOL, &tcp);
    mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &server->timeout_s);
    mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &answer_s);
    mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &server->timeout_s);
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    /* A server could otherwise ask for any file of ours. */
    mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(handle, MARIADB_OPT_RESTRICTED_AUTH, LOGINS_ALLOWED);
    if (server->has_tls)
        set_tls(handle, server);
}

/* Nothing is cut to fit; a lock is not waited for longer than an answer. */
static bool set_session(MYSQL *handle, const struct sql_server *server, struct error *error)
{
    static const char patient[] =
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1,"
        " lock_wait_timeout = 60, innodb_lock_wait_timeout = 60";
    static const char usual[] =
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1,"
        " lock_wait_timeout = 1, innodb_lock_wait_timeout = 1";
    return mysql_query(handle, server->is_patient ? patient : usual) == 0 ||
           sql_fail(server, mysql_errno(handle), mysql_error(handle), error);
}

static bool open_handle(MYSQL *handle, const struct sql_server *server, struct error *error)
{
    const struct server_uri *uri = &server->uri;
    set_options(handle, server);
    const char *database = uri->path[0] == '\0' ? NULL : uri->path;
    if (mysql_real_connect(handle, uri->host, uri->user, uri->password, database, uri->port, NULL,
                           0) == NULL)
        return sql_fail(server, mysql_errno(handle), mysql_error(handle), error);
    if (server->has_tls && mysql_get_ssl_cipher(handle) == NULL)
        return error_set(error, ERROR_UNAVAILABLE, "%s (%s:%u): the connection is not encrypted",
                         server->option, uri->host, uri->port);
    return set_session(handle, server, error);
}

bool sql_open_handle(const struct sql_server *server, struct st_mysql **out_handle,
                     struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_library);
    MYSQL *handle = mysql_init(NULL);
    if (handle == NULL)
        abort();
    if (!open_handle(handle, server, error)) {
        mysql_close(handle);
        return false;
    }
    *out_handle = handle;
    return true;
}

bool sql_server_admits_strangers(const struct sql_server *server, bool *out_admits,
                                 struct error *error)
{
    struct sql_server stranger = *server;
    struct error cause = {0};
    MYSQL *handle = NULL;
    text_copy(stranger.uri.user, sizeof stranger.uri.user, "tapedeck_nobody");
    stranger.uri.password[0] = stranger.uri.path[0] = '\0';
    bool is_in = sql_open_handle(&stranger, &handle, &cause);
    if (is_in)
        mysql_close(handle);
    if (!is_in && cause.kind != ERROR_DENIED) {
        if (error != NULL)
            *error = cause;
        return false;
    }
    *out_admits = is_in;
    return true;
}
