#include "stores/shared/sql.h"

#include "base/clock.h"
#include "base/text.h"
#include "stores/shared/sql_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* A connection that was silent for longer is tried out before it is used: firewalls forget
 * connections without a word. */
#define SILENCE_MAX_MS (30 * CLOCK_SECOND_MS)
/* A statement whose connection is lost this fast was not waited for: there is time to repeat it. */
#define LOST_FAST_MS CLOCK_SECOND_MS

/* ---- The connection ---- */

static void close_handle(struct sql_database *database)
{
    for (size_t i = 0; i < SQL_STATEMENTS_MAX; i++) {
        if (database->statements[i] != NULL)
            mysql_stmt_close(database->statements[i]);
        database->statements[i] = NULL;
    }
    if (database->handle != NULL)
        mysql_close(database->handle);
    database->handle = NULL;
    database->is_broken = false;
}

static bool fail(struct sql_database *database, unsigned number, const char *text,
                 struct error *error)
{
    database->is_broken = !sql_is_harmless(number);
    return sql_fail(&database->server, number, text, error);
}

static bool fail_handle(struct sql_database *database, struct error *error)
{
    return fail(database, mysql_errno(database->handle), mysql_error(database->handle), error);
}

bool sql_execute(struct sql_database *database, const char *sql, struct error *error)
{
    return mysql_query(database->handle, sql) == 0 || fail_handle(database, error);
}

static bool read_integer(const char *text, int64_t *out_integer)
{
    uint64_t count = 0;
    if (text == NULL || !text_parse_count(text, INT64_MAX, &count, NULL))
        return false;
    *out_integer = (int64_t)count;
    return true;
}

bool sql_read_counts(struct sql_database *database, const char *sql, unsigned count,
                     int64_t *out_counts, struct error *error)
{
    if (!sql_execute(database, sql, error))
        return false;
    MYSQL_RES *result = mysql_store_result(database->handle);
    if (result == NULL)
        return fail_handle(database, error);
    MYSQL_ROW row = mysql_fetch_row(result);
    bool is_read = row != NULL && mysql_num_fields(result) == count;
    for (unsigned i = 0; is_read && i < count; i++)
        is_read = read_integer(row[i], &out_counts[i]);
    mysql_free_result(result);
    return is_read || error_set(error, ERROR_INTERNAL, "%s (%s:%u): no number is answered to %s",
                                database->server.option, database->server.uri.host,
                                database->server.uri.port, sql);
}

/* ---- The schema ---- */

static int64_t newest_version(const struct sql_schema *schema)
{
    int64_t version = 0;
    while (schema->steps[version] != NULL)
        version++;
    return version;
}

/* Version 0: there is no schema yet, or a migration was killed before it could note one. */
static bool read_schema(struct sql_database *database, int64_t *out_version,
                        int64_t *out_reader_least, struct error *error)
{
    int64_t counts[2] = {0, 0};
    struct error cause = {0};
    if (!sql_read_counts(database,
                         "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(reader_least), 0)"
                         " FROM schema_version",
                         2, counts, &cause) &&
        mysql_errno(database->handle) != ER_NO_SUCH_TABLE) {
        if (error != NULL)
            *error = cause;
        return false;
    }
    database->is_broken = false;
    *out_version = counts[0];
    *out_reader_least = counts[1];
    return true;
}

static bool check_reader(const struct sql_database *database, int64_t reader_least,
                         struct error *error)
{
    int64_t ours = newest_version(database->schema);
    if (reader_least <= ours)
        return true;
    return error_set(error, ERROR_CONFLICT,
                     "the %s needs a newer version of this program: its schema admits version "
                     "%" PRId64 " and later, this is %" PRId64,
                     database->schema->purpose, reader_least, ours);
}

static bool check_schema(struct sql_database *database, struct error *error)
{
    int64_t version = 0;
    int64_t reader_least = 0;
    if (database->schema == NULL)
        return true;
    if (!read_schema(database, &version, &reader_least, error) ||
        !check_reader(database, reader_least, error))
        return false;
    if (version >= newest_version(database->schema))
        return true;
    return error_set(error, ERROR_UNAVAILABLE, "the %s has %s; run `tapedeck migrate`",
                     database->schema->purpose, version == 0 ? "no schema yet" : "an older schema");
}

/* ---- Using it ---- */

/* Nothing is to come on a connection at rest; if something can be read, it is its end. */
static bool is_at_rest(const struct sql_database *database)
{
    struct pollfd socket = {.fd = (int)mysql_get_socket(database->handle), .events = POLLIN};
    return poll(&socket, 1, 0) == 0 && clock_boot_ms() - database->used_at_ms < SILENCE_MAX_MS;
}

static bool connect_again(struct sql_database *database, struct error *error)
{
    close_handle(database);
    if (!sql_open_handle(&database->server, &database->handle, error))
        return false;
    database->used_at_ms = clock_boot_ms();
    return true;
}

static bool make_ready(struct sql_database *database, struct error *error)
{
    if (database->is_in_transaction)
        return !database->is_broken ||
               error_set(error, ERROR_UNAVAILABLE, "the connection was lost within a transaction");
    if (database->handle != NULL && !database->is_broken &&
        (is_at_rest(database) || mysql_ping(database->handle) == 0))
        return true;
    if (connect_again(database, error) && check_schema(database, error))
        return true;
    close_handle(database);
    return false;
}

bool sql_database_init(struct sql_database *database, const struct config *config,
                       enum sql_account account, const struct sql_schema *schema,
                       const char *const *sql, struct error *error)
{
    struct sql_server server;
    if (!sql_server_load(config, account, &server, error))
        return false;
    *database = (struct sql_database){.server = server, .schema = schema, .sql = sql};
    return true;
}

void sql_database_finish(struct sql_database *database)
{
    close_handle(database);
}

bool sql_database_check(struct sql_database *database, struct error *error)
{
    return make_ready(database, error) && check_schema(database, error);
}

/* ---- Statements ---- */

void sql_query_start(struct sql_query *query, struct sql_database *database, size_t number)
{
    assert(number < SQL_STATEMENTS_MAX);
    *query = (struct sql_query){.database = database, .number = number};
}

static void free_rows(struct sql_query *query)
{
    MYSQL_STMT *statement = query->database->statements[query->number];
    if (query->is_executed && statement != NULL)
        mysql_stmt_free_result(statement);
    query->is_executed = false;
}

void sql_query_finish(struct sql_query *query)
{
    if (query->database == NULL)
        return;
    free_rows(query);
    query->database = NULL;
}

static struct sql_value *next_parameter(struct sql_query *query)
{
    assert(query->parameter_count < SQL_PARAMETERS_MAX);
    return &query->parameters[query->parameter_count++];
}

void sql_query_put_text(struct sql_query *query, const char *text)
{
    *next_parameter(query) = (struct sql_value){.text = text, .size = strlen(text)};
}

void sql_query_put_integer(struct sql_query *query, int64_t integer)
{
    *next_parameter(query) = (struct sql_value){.is_integer = true, .integer = integer};
}

static bool fail_statement(struct sql_database *database, MYSQL_STMT *statement,
                           struct error *error)
{
    return fail(database, mysql_stmt_errno(statement), mysql_stmt_error(statement), error);
}

static bool prepare(struct sql_database *database, size_t number, struct error *error)
{
    const char *sql = database->sql[number];
    if (database->statements[number] != NULL)
        return true;
    MYSQL_STMT *statement = mysql_stmt_init(database->handle);
    if (statement == NULL)
        abort();
    if (mysql_stmt_prepare(statement, sql, strlen(sql)) != 0) {
        fail_statement(database, statement, error);
        mysql_stmt_close(statement);
        return false;
    }
    database->statements[number] = statement;
    return true;
}

static bool bind_parameters(struct sql_query *query, MYSQL_STMT *statement, struct error *error)
{
    MYSQL_BIND binds[SQL_PARAMETERS_MAX] = {0};
    assert(query->parameter_count == mysql_stmt_param_count(statement));
    for (unsigned i = 0; i < query->parameter_count; i++) {
        struct sql_value *value = &query->parameters[i];
        if (value->is_integer) {
            binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
            binds[i].buffer = &value->integer;
            continue;
        }
        /* The library only reads it; its type is for both directions. */
        memcpy(&binds[i].buffer, &value->text, sizeof binds[i].buffer);
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer_length = value->size;
        binds[i].length = &value->size;
    }
    return query->parameter_count == 0 || mysql_stmt_bind_param(statement, binds) == 0 ||
           fail_statement(query->database, statement, error);
}

static bool is_integer_type(enum enum_field_types type)
{
    return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
           type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG;
}

static bool bind_columns(struct sql_query *query, MYSQL_STMT *statement, struct error *error)
{
    MYSQL_BIND binds[SQL_COLUMNS_MAX] = {0};
    struct sql_database *database = query->database;
    unsigned count = mysql_stmt_field_count(statement);
    assert(count <= SQL_COLUMNS_MAX);
    MYSQL_RES *fields = mysql_stmt_result_metadata(statement);
    if (fields == NULL)
        return fail_statement(database, statement, error);
    for (unsigned i = 0; i < count; i++) {
        struct sql_value *value = &database->columns[i];
        *value = (struct sql_value){.is_integer =
                                        is_integer_type(mysql_fetch_field_direct(fields, i)->type)};
        binds[i].buffer_type = value->is_integer ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_STRING;
        binds[i].buffer = value->is_integer ? (void *)&value->integer : database->texts[i];
        binds[i].buffer_length = value->is_integer ? 0 : SQL_TEXT_SIZE - 1;
        binds[i].length = &value->size;
        binds[i].is_null = &database->are_null[i];
    }
    mysql_free_result(fields);
    return mysql_stmt_bind_result(statement, binds) == 0 ||
           fail_statement(database, statement, error);
}

/* All rows come over at once: nothing is left on the connection that the next statement would
 * stumble over. */
static bool execute_once(struct sql_query *query, struct error *error)
{
    struct sql_database *database = query->database;
    if (!make_ready(database, error) || !prepare(database, query->number, error))
        return false;
    MYSQL_STMT *statement = database->statements[query->number];
    if (!bind_parameters(query, statement, error))
        return false;
    if (mysql_stmt_execute(statement) != 0)
        return fail_statement(database, statement, error);
    query->is_executed = true;
    if (mysql_stmt_field_count(statement) != 0) {
        if (!bind_columns(query, statement, error))
            return false;
        if (mysql_stmt_store_result(statement) != 0)
            return fail_statement(database, statement, error);
    }
    database->used_at_ms = clock_boot_ms();
    return true;
}

/* A read is repeated where its connection was lost at once; not where it was waited for, and not
 * where there was none to be had. */
static bool execute_read(struct sql_query *query, struct error *error)
{
    struct sql_database *database = query->database;
    struct error cause = {0};
    int64_t started_at_ms = clock_boot_ms();
    if (execute_once(query, &cause))
        return true;
    free_rows(query);
    if (database->is_broken && !database->is_in_transaction && cause.kind == ERROR_UNAVAILABLE &&
        clock_boot_ms() - started_at_ms < LOST_FAST_MS)
        return execute_once(query, error);
    if (error != NULL)
        *error = cause;
    return false;
}

bool sql_query_step(struct sql_query *query, bool *out_has_row, struct error *error)
{
    struct sql_database *database = query->database;
    if (!query->is_executed && !execute_read(query, error))
        return false;
    MYSQL_STMT *statement = database->statements[query->number];
    int result = mysql_stmt_fetch(statement);
    if (result != 0 && result != MYSQL_NO_DATA && result != MYSQL_DATA_TRUNCATED)
        return fail_statement(database, statement, error);
    *out_has_row = result != MYSQL_NO_DATA;
    for (unsigned i = 0; *out_has_row && i < mysql_stmt_field_count(statement); i++) {
        struct sql_value *value = &database->columns[i];
        if (database->are_null[i]) {
            value->integer = 0;
            value->size = 0;
        }
        if (value->is_integer)
            continue;
        database->texts[i][value->size < SQL_TEXT_SIZE ? value->size : SQL_TEXT_SIZE - 1] = '\0';
        value->text = database->texts[i];
    }
    return true;
}

bool sql_query_run(struct sql_query *query, int64_t *out_changes, struct error *error)
{
    if (!execute_once(query, error))
        return false;
    if (out_changes != NULL)
        *out_changes =
            (int64_t)mysql_stmt_affected_rows(query->database->statements[query->number]);
    return true;
}

const char *sql_query_text(struct sql_query *query, unsigned column)
{
    const char *text = query->database->columns[column].text;
    return text == NULL ? "" : text;
}

int64_t sql_query_integer(struct sql_query *query, unsigned column)
{
    return query->database->columns[column].integer;
}

bool sql_query_copy_text(struct sql_query *query, unsigned column, char *out_text, size_t size)
{
    bool fits = text_copy(out_text, size, sql_query_text(query, column));
    return fits && query->database->columns[column].size == strlen(out_text);
}

/* ---- Transactions ---- */

bool sql_transaction_begin(struct sql_database *database, struct error *error)
{
    assert(!database->is_in_transaction);
    database->is_in_transaction =
        make_ready(database, error) && sql_execute(database, "START TRANSACTION", error);
    return database->is_in_transaction;
}

bool sql_transaction_commit(struct sql_database *database, struct error *error)
{
    if (!make_ready(database, error) || !sql_execute(database, "COMMIT", error))
        return false;
    database->is_in_transaction = false;
    return true;
}

void sql_transaction_endp(struct sql_database **database)
{
    if (*database == NULL || !(*database)->is_in_transaction)
        return;
    (*database)->is_in_transaction = false;
    if (mysql_query((*database)->handle, "ROLLBACK") != 0)
        (*database)->is_broken = true;
}

/* ---- Migration ---- */

bool sql_lock_migration(struct sql_database *database, struct error *error)
{
    int64_t is_locked = 0;
    if (!sql_read_counts(database,
                         "SELECT GET_LOCK(LEFT(CONCAT('tapedeck.migrate.', DATABASE()), 64), 60)",
                         1, &is_locked, error))
        return false;
    return is_locked == 1 ||
           error_set(error, ERROR_UNAVAILABLE, "another `tapedeck migrate` is at work");
}

enum { NOTE_VERSION };

static const char *const migration_statements[] = {
    [NOTE_VERSION] = "UPDATE schema_version SET version = ?, reader_least = ?",
    NULL,
};

static bool note_version(struct sql_database *database, int64_t version, struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    sql_query_start(&query, database, NOTE_VERSION);
    sql_query_put_integer(&query, version);
    sql_query_put_integer(&query, database->schema->reader_least);
    return sql_query_run(&query, NULL, error);
}

static bool run_steps(struct sql_database *database, int64_t version, struct error *error)
{
    const struct sql_schema *schema = database->schema;
    int64_t newest = newest_version(schema);
    if (!sql_execute(database,
                     "CREATE TABLE IF NOT EXISTS schema_version ("
                     "only_row TINYINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL,"
                     " reader_least BIGINT NOT NULL) ENGINE=InnoDB",
                     error) ||
        !sql_execute(database, "INSERT IGNORE INTO schema_version VALUES (1, 0, 0)", error))
        return false;
    for (; version < newest; version++) {
        if (!sql_execute(database, schema->steps[version], error))
            return error_prefix(error, "step to version %" PRId64, version + 1);
    }
    return note_version(database, newest, error);
}

static bool migrate_open(struct sql_database *database, sql_before_schema *before,
                         struct error *error)
{
    int64_t version = 0;
    int64_t reader_least = 0;
    if (!connect_again(database, error) || !sql_lock_migration(database, error) ||
        !read_schema(database, &version, &reader_least, error) ||
        !check_reader(database, reader_least, error))
        return false;
    if (version >= newest_version(database->schema))
        return true;
    return (version != 0 || before == NULL || before(database, error)) &&
           run_steps(database, version, error);
}

bool sql_database_migrate(const struct config *config, const struct sql_schema *schema,
                          sql_before_schema *before, struct error *error)
{
    struct sql_database database;
    if (!sql_database_init(&database, config, SQL_ACCOUNT_MIGRATION, schema, migration_statements,
                           error))
        return false;
    bool succeeded = migrate_open(&database, before, error);
    sql_database_finish(&database); /* and the lock with it */
    return succeeded;
}
