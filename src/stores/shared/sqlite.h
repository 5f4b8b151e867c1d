#pragma once

/* The one door to SQLite: a database file below data.dir, its schema, prepared statements,
 * transactions. Only the embedded backends include it.
 *
 * A database belongs to one thread, and is opened after any fork. Every process of one host may
 * have it open: WAL mode, synchronous=FULL (what was committed survives power loss). A write waits
 * for another process's write for at most the time-out.
 *
 * ERROR_UNAVAILABLE: no such file or schema yet, locked for too long, or the disk failed (the next
 * call opens the file again). ERROR_TOO_LARGE (FAILURE_DISK_FULL): no room; nothing was written.
 * ERROR_CONFLICT: a unique index says no. ERROR_INTERNAL: damaged, or our bug. */

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include <stddef.h>
#include <stdint.h>

#define SQLITE_STATEMENTS_MAX 24
#define SQLITE_TIMEOUT_MS 5000

struct sqlite3;
struct sqlite3_stmt;

struct sqlite_schema {
    const char *file;         /* "records.db" */
    const char *purpose;      /* "record store": for messages */
    const char *const *steps; /* NULL-terminated SQL; the nth leads from version n - 1 to n */
    int64_t reader_least;     /* the oldest version that can work with what the steps lead to */
};

/* A store's connection; the fields are sqlite.c's. */
struct sqlite_database {
    const struct sqlite_schema *schema;
    const char *const *sql; /* the store's statements, by their numbers; NULL-terminated */
    char path[FILE_PATH_SIZE];
    struct sqlite3 *handle; /* owned; NULL: the next call opens it */
    struct sqlite3_stmt *statements[SQLITE_STATEMENTS_MAX]; /* owned */
    int timeout_ms;
    bool is_broken; /* to be opened again */
    bool is_lazy;
};

/* Looks at no file yet, so that a service can start before its schema is there. */
MUST_CHECK bool sqlite_database_init(struct sqlite_database *database, const struct config *config,
                                     const struct sqlite_schema *schema, const char *const *sql,
                                     struct error *error);
void sqlite_database_finish(struct sqlite_database *database); /* a zeroed one is fine */
/* There, readable, of a schema that this version can work with? Cheap once it was opened. */
MUST_CHECK bool sqlite_database_check(struct sqlite_database *database, struct error *error);
/* How long a write waits for others from now on. */
void sqlite_database_set_timeout(struct sqlite_database *database, int timeout_ms);
/* Lazy: what is committed from now on survives the process, but the last of it maybe not a power
 * loss. */
MUST_CHECK bool sqlite_database_set_lazy(struct sqlite_database *database, bool is_lazy,
                                         struct error *error);

/* Makes the file, or brings it to this version's schema. ERROR_CONFLICT: it is of a version that
 * does not admit ours any more. */
MUST_CHECK bool sqlite_database_migrate(const struct config *config,
                                        const struct sqlite_schema *schema, struct error *error);
/* A consistent copy into the folder under the same name, while others read and write. */
MUST_CHECK bool sqlite_database_backup(const struct config *config,
                                       const struct sqlite_schema *schema, const char *folder,
                                       struct error *error);

/* A statement at work, from its start to its finish; only one of each number at a time. It holds a
 * read lock once stepped: finish it before anything that waits. */
struct sqlite_query {
    struct sqlite_database *database;
    struct sqlite3_stmt *statement;
    int parameter_count; /* put so far */
    int result;          /* of the first put that failed */
};

MUST_CHECK bool sqlite_query_start(struct sqlite_query *query, struct sqlite_database *database,
                                   size_t number, struct error *error);
void sqlite_query_finish(struct sqlite_query *query); /* for CLEANUP; a zeroed one is fine */

/* The next parameter. Text and bytes are borrowed until the query is finished. */
void sqlite_query_put_text(struct sqlite_query *query, const char *text);
void sqlite_query_put_integer(struct sqlite_query *query, int64_t integer);
void sqlite_query_put_bytes(struct sqlite_query *query, const void *bytes, size_t size);

MUST_CHECK bool sqlite_query_step(struct sqlite_query *query, bool *out_has_row,
                                  struct error *error);
/* For what returns no rows. out_changes may be NULL. */
MUST_CHECK bool sqlite_query_run(struct sqlite_query *query, int64_t *out_changes,
                                 struct error *error);

/* Of the row that was stepped to; text and bytes are valid until the next step or finish. */
const char *sqlite_query_text(struct sqlite_query *query, int column); /* NULL is "" */
int64_t sqlite_query_integer(struct sqlite_query *query, int column);
const void *sqlite_query_bytes(struct sqlite_query *query, int column, size_t *out_size);
/* False where the text was cut: the column holds more than fits. */
bool sqlite_query_copy_text(struct sqlite_query *query, int column, char *out_text, size_t size);

/* BEGIN IMMEDIATE: what is read in it is still so at its commit. */
MUST_CHECK bool sqlite_transaction_begin(struct sqlite_database *database, struct error *error);
MUST_CHECK bool sqlite_transaction_commit(struct sqlite_database *database, struct error *error);
/* For CLEANUP: takes back a transaction that was begun and not committed. */
void sqlite_transaction_endp(struct sqlite_database **database);
