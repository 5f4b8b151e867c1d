#include "stores/shared/sqlite.h"

#include "base/text.h"
#include "model/failure.h"
#include "stores/shared/data_folder.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a connection's page cache: the kernel's cache holds the file, and there is a connection for
 * every thread. */
#define CACHE_KIB "256"
/* A WAL that one long read let grow is cut back to this. */
#define WAL_SIZE_MAX "4194304"

static bool is_errno_of_no_room(int errno_value)
{
    return errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG;
}

/* What fails in a commit does not reach sqlite3_system_errno(): the WAL itself is asked. */
static int errno_of_wal(struct sqlite_database *database)
{
    sqlite3_file *wal = NULL;
    int errno_value = 0;
    if (sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) ==
            SQLITE_OK &&
        wal != NULL && wal->pMethods != NULL)
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &errno_value);
    return errno_value;
}

static bool is_no_room(struct sqlite_database *database, int result)
{
    if ((result & 0xff) == SQLITE_FULL)
        return true;
    /* To SQLite, a quota and the growth of the WAL's index are plain I/O errors. */
    return (result & 0xff) == SQLITE_IOERR && database->handle != NULL &&
           (is_errno_of_no_room(sqlite3_system_errno(database->handle)) ||
            is_errno_of_no_room(errno_of_wal(database)));
}

static enum error_kind kind_of(int result)
{
    switch (result) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return ERROR_CONFLICT;
    }
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
        return ERROR_UNAVAILABLE;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return ERROR_DENIED;
    case SQLITE_TOOBIG:
        return ERROR_TOO_LARGE;
    default:
        return ERROR_INTERNAL;
    }
}

static bool fail(struct sqlite_database *database, int result, struct error *error)
{
    if ((result & 0xff) == SQLITE_NOMEM)
        abort();
    const char *text =
        database->handle == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(database->handle);
    bool has_no_room = is_no_room(database, result);
    enum error_kind kind = kind_of(result);
    /* Not for what the next attempt on the same connection can do as well. */
    database->is_broken = kind != ERROR_CONFLICT && (result & 0xff) != SQLITE_BUSY;
    if (has_no_room)
        return error_set_failure(error, ERROR_TOO_LARGE, &FAILURE_DISK_FULL, "%s: no room: %s",
                                 database->path, text);
    /* SQLite's own text is no more than "unable to open database file". */
    int errno_value = database->handle == NULL ? 0 : sqlite3_system_errno(database->handle);
    if ((result & 0xff) == SQLITE_CANTOPEN && errno_value != 0)
        return error_set(error, kind, "%s: %s: %s", database->path, text, strerror(errno_value));
    return error_set(error, kind, "%s: %s", database->path, text);
}

static void close_handle(struct sqlite_database *database)
{
    for (size_t i = 0; i < SQLITE_STATEMENTS_MAX; i++) {
        sqlite3_finalize(database->statements[i]);
        database->statements[i] = NULL;
    }
    sqlite3_close(database->handle);
    database->handle = NULL;
    database->is_broken = false;
}

static bool execute(struct sqlite_database *database, const char *sql, struct error *error)
{
    int result = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || fail(database, result, error);
}

/* The one number that a statement returns; *out_integer stays where it returns no row. */
static bool read_integer(struct sqlite_database *database, const char *sql, int64_t *out_integer,
                         struct error *error)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
            *out_integer = sqlite3_column_int64(statement, 0);
    }
    bool succeeded = result == SQLITE_ROW || result == SQLITE_DONE || fail(database, result, error);
    sqlite3_finalize(statement);
    return succeeded;
}

static int64_t newest_version(const struct sqlite_schema *schema)
{
    int64_t version = 0;
    while (schema->steps[version] != NULL)
        version++;
    return version;
}

/* Version 0: there is no schema yet. */
static bool read_schema(struct sqlite_database *database, int64_t *out_version,
                        int64_t *out_reader_least, struct error *error)
{
    int64_t has_table = 0;
    *out_version = 0;
    *out_reader_least = 0;
    if (!read_integer(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'",
                      &has_table, error))
        return false;
    if (has_table == 0)
        return true;
    return read_integer(database, "SELECT version FROM schema_version", out_version, error) &&
           read_integer(database, "SELECT reader_least FROM schema_version", out_reader_least,
                        error);
}

static bool check_reader(const struct sqlite_database *database, int64_t reader_least,
                         struct error *error)
{
    int64_t ours = newest_version(database->schema);
    if (reader_least <= ours)
        return true;
    return error_set(error, ERROR_CONFLICT,
                     "%s needs a newer version of this program: its schema admits version %" PRId64
                     " and later, this is %" PRId64,
                     database->path, reader_least, ours);
}

static bool check_schema(struct sqlite_database *database, struct error *error)
{
    int64_t version = 0;
    int64_t reader_least = 0;
    if (!read_schema(database, &version, &reader_least, error) ||
        !check_reader(database, reader_least, error))
        return false;
    if (version >= newest_version(database->schema))
        return true;
    return error_set(error, ERROR_UNAVAILABLE,
                     "%s: the %s has %s; run `tapedeck migrate` (`tapedeck serve` does it itself)",
                     database->path, database->schema->purpose,
                     version == 0 ? "no schema yet" : "an older schema");
}

static bool set_pragmas(struct sqlite_database *database, struct error *error)
{
    return execute(database,
                   "PRAGMA journal_mode = WAL;"
                   "PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF;"
                   "PRAGMA cache_size = -" CACHE_KIB ";"
                   "PRAGMA journal_size_limit = " WAL_SIZE_MAX ";",
                   error) &&
           execute(database,
                   database->is_lazy ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL",
                   error);
}

static bool open_handle(struct sqlite_database *database, struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(database->path, &database->handle, flags, NULL);
    if (result != SQLITE_OK)
        return fail(database, result, error);
    sqlite3_busy_timeout(database->handle, database->timeout_ms);
    return set_pragmas(database, error);
}

static bool check_folder(const struct sqlite_database *database, struct error *error)
{
    char folder[FILE_PATH_SIZE];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(database->path, '/') - database->path),
             database->path);
    return data_folder_check(folder, error);
}

/* Open, with a schema that we know. A file that is missing is told from one that cannot be opened:
 * it is the first thing that goes wrong for everybody. */
static bool make_ready(struct sqlite_database *database, struct error *error)
{
    if (database->handle != NULL && database->is_broken &&
        sqlite3_get_autocommit(database->handle) != 0)
        close_handle(database);
    if (database->handle != NULL)
        return true;
    if (!check_folder(database, error))
        return false;
    if (access(database->path, F_OK) != 0 && errno == ENOENT)
        return error_set(error, ERROR_UNAVAILABLE,
                         "%s: there is no %s yet; run `tapedeck migrate` (`tapedeck serve` does it "
                         "itself)",
                         database->path, database->schema->purpose);
    if (open_handle(database, error) && check_schema(database, error))
        return true;
    close_handle(database);
    return false;
}

bool sqlite_database_init(struct sqlite_database *database, const struct config *config,
                          const struct sqlite_schema *schema, const char *const *sql,
                          struct error *error)
{
    const char *folder = NULL;
    if (!data_folder_get(config, &folder, error))
        return false;
    *database = (struct sqlite_database){
        .schema = schema,
        .sql = sql,
        .timeout_ms = SQLITE_TIMEOUT_MS,
    };
    return file_path(database->path, error, "%s/%s", folder, schema->file);
}

void sqlite_database_finish(struct sqlite_database *database)
{
    close_handle(database);
}

bool sqlite_database_check(struct sqlite_database *database, struct error *error)
{
    return make_ready(database, error) && check_schema(database, error);
}

void sqlite_database_set_timeout(struct sqlite_database *database, int timeout_ms)
{
    database->timeout_ms = timeout_ms;
    if (database->handle != NULL)
        sqlite3_busy_timeout(database->handle, timeout_ms);
}

bool sqlite_database_set_lazy(struct sqlite_database *database, bool is_lazy, struct error *error)
{
    if (database->is_lazy == is_lazy)
        return true;
    database->is_lazy = is_lazy;
    if (database->handle == NULL ||
        execute(database, is_lazy ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL",
                error))
        return true;
    database->is_lazy = !is_lazy;
    return false;
}

bool sqlite_query_start(struct sqlite_query *query, struct sqlite_database *database, size_t number,
                        struct error *error)
{
    assert(number < SQLITE_STATEMENTS_MAX);
    if (!make_ready(database, error))
        return false;
    sqlite3_stmt **statement = &database->statements[number];
    if (*statement == NULL) {
        int result = sqlite3_prepare_v3(database->handle, database->sql[number], -1,
                                        SQLITE_PREPARE_PERSISTENT, statement, NULL);
        if (result != SQLITE_OK)
            return fail(database, result, error);
    }
    *query = (struct sqlite_query){.database = database, .statement = *statement};
    return true;
}

void sqlite_query_finish(struct sqlite_query *query)
{
    if (query->statement == NULL)
        return;
    sqlite3_reset(query->statement);
    sqlite3_clear_bindings(query->statement);
    query->statement = NULL;
}

static void note_put(struct sqlite_query *query, int result)
{
    if (query->result == SQLITE_OK)
        query->result = result;
}

void sqlite_query_put_text(struct sqlite_query *query, const char *text)
{
    query->parameter_count++;
    note_put(query,
             sqlite3_bind_text(query->statement, query->parameter_count, text, -1, SQLITE_STATIC));
}

void sqlite_query_put_integer(struct sqlite_query *query, int64_t integer)
{
    query->parameter_count++;
    note_put(query, sqlite3_bind_int64(query->statement, query->parameter_count, integer));
}

void sqlite_query_put_bytes(struct sqlite_query *query, const void *bytes, size_t size)
{
    query->parameter_count++;
    /* A NULL pointer would bind NULL, which is not the same as no bytes. */
    note_put(query, sqlite3_bind_blob64(query->statement, query->parameter_count,
                                        bytes == NULL ? "" : bytes, size, SQLITE_STATIC));
}

bool sqlite_query_step(struct sqlite_query *query, bool *out_has_row, struct error *error)
{
    assert(query->parameter_count == sqlite3_bind_parameter_count(query->statement));
    if (query->result != SQLITE_OK)
        return fail(query->database, query->result, error);
    int result = sqlite3_step(query->statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return fail(query->database, result, error);
    *out_has_row = result == SQLITE_ROW;
    return true;
}

bool sqlite_query_run(struct sqlite_query *query, int64_t *out_changes, struct error *error)
{
    bool has_row = false;
    if (!sqlite_query_step(query, &has_row, error))
        return false;
    assert(!has_row);
    if (out_changes != NULL)
        *out_changes = sqlite3_changes64(query->database->handle);
    return true;
}

const char *sqlite_query_text(struct sqlite_query *query, int column)
{
    const void *text = sqlite3_column_text(query->statement, column);
    return text == NULL ? "" : text;
}

int64_t sqlite_query_integer(struct sqlite_query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

const void *sqlite_query_bytes(struct sqlite_query *query, int column, size_t *out_size)
{
    const void *bytes = sqlite3_column_blob(query->statement, column);
    *out_size = (size_t)sqlite3_column_bytes(query->statement, column);
    return bytes == NULL ? "" : bytes;
}

bool sqlite_query_copy_text(struct sqlite_query *query, int column, char *out_text, size_t size)
{
    return text_copy(out_text, size, sqlite_query_text(query, column));
}

bool sqlite_transaction_begin(struct sqlite_database *database, struct error *error)
{
    return make_ready(database, error) && execute(database, "BEGIN IMMEDIATE", error);
}

bool sqlite_transaction_commit(struct sqlite_database *database, struct error *error)
{
    return execute(database, "COMMIT", error);
}

void sqlite_transaction_endp(struct sqlite_database **database)
{
    sqlite3 *handle = *database == NULL ? NULL : (*database)->handle;
    if (handle != NULL && sqlite3_get_autocommit(handle) == 0)
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
}

static bool run_steps(struct sqlite_database *database, struct error *error)
{
    const struct sqlite_schema *schema = database->schema;
    int64_t version = 0;
    int64_t reader_least = 0;
    if (!read_schema(database, &version, &reader_least, error) ||
        !check_reader(database, reader_least, error))
        return false;
    int64_t newest = newest_version(schema);
    if (version >= newest)
        return true;
    for (; version < newest; version++)
        if (!execute(database, schema->steps[version], error))
            return error_prefix(error, "step to version %" PRId64, version + 1);
    char note[160];
    sqlite3_snprintf(sizeof note, note,
                     "UPDATE schema_version SET version = %lld, reader_least = %lld",
                     (long long)newest, (long long)schema->reader_least);
    return execute(database, note, error);
}

static bool migrate_open(struct sqlite_database *database, struct error *error)
{
    if (!open_handle(database, error) || !execute(database, "BEGIN IMMEDIATE", error))
        return false;
    CLEANUP(sqlite_transaction_endp) struct sqlite_database *transaction = database;
    return execute(database,
                   "CREATE TABLE IF NOT EXISTS schema_version ("
                   "only INTEGER PRIMARY KEY CHECK (only = 1),"
                   "version INTEGER NOT NULL, reader_least INTEGER NOT NULL) STRICT;"
                   "INSERT OR IGNORE INTO schema_version VALUES (1, 0, 0);",
                   error) &&
           run_steps(database, error) && sqlite_transaction_commit(transaction, error);
}

/* An empty file of the right mode, without opening it: closing any descriptor of a database's file
 * drops every lock that this process has on it (SQLite, "How To Corrupt", 2.2). */
static bool make_file(const char *path, struct error *error)
{
    if (mknod(path, S_IFREG | 0600, 0) == 0)
        return true;
    return error_set_errno(error, errno, "make %s", path);
}

bool sqlite_database_migrate(const struct config *config, const struct sqlite_schema *schema,
                             struct error *error)
{
    const char *folder = NULL;
    struct sqlite_database database;
    struct error cause = {0};
    if (!data_folder_make(config, &folder, error) ||
        !sqlite_database_init(&database, config, schema, NULL, error))
        return false;
    if (!make_file(database.path, &cause) && cause.kind != ERROR_CONFLICT)
        return error_set(error, cause.kind, "%s", cause.text);
    bool succeeded = migrate_open(&database, error) && file_sync_folder(folder, error);
    sqlite_database_finish(&database);
    return succeeded;
}

static bool copy_into(struct sqlite_database *database, const char *path, struct error *error)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database->handle, "VACUUM INTO ?1", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    bool succeeded = result == SQLITE_DONE || fail(database, result, error);
    sqlite3_finalize(statement);
    return succeeded;
}

/* SQLite does not sync what VACUUM INTO wrote. */
static bool sync_copy(const char *path, const char *folder, struct error *error)
{
    CLEANUP(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "open %s", path);
    return file_sync(fd, error) && file_sync_folder(folder, error);
}

bool sqlite_database_backup(const struct config *config, const struct sqlite_schema *schema,
                            const char *folder, struct error *error)
{
    char path[FILE_PATH_SIZE];
    struct sqlite_database database;
    if (!file_path(path, error, "%s/%s", folder, schema->file) ||
        !sqlite_database_init(&database, config, schema, NULL, error))
        return false;
    bool succeeded = make_ready(&database, error) && file_make_folder(folder, 0700, error) &&
                     make_file(path, error) && copy_into(&database, path, error) &&
                     sync_copy(path, folder, error);
    sqlite_database_finish(&database);
    return succeeded;
}
