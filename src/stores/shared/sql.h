#pragma once

/* The one door to MySQL and MariaDB: a verified connection that is opened anew where it was lost, a
 * schema, prepared statements. Values travel apart from the SQL, always: nothing here takes SQL
 * that was put together. Only the backends for them include it.
 *
 * A database belongs to one thread, and is opened after any fork. Nothing is connected before the
 * first use. Every call ends within about twice mysql.timeout (once to connect, once to be
 * answered), but for the time that looking up a name takes.
 *
 * ERROR_UNAVAILABLE: no connection, no answer in time, no schema yet, locked for too long; a write
 * may have been done or not. ERROR_DENIED: the account may not. ERROR_CONFLICT: a unique index says
 * no. ERROR_TOO_LARGE (FAILURE_DISK_FULL): no room; nothing was written. ERROR_BAD_INPUT: a value
 * that its column cannot hold. */

#include "base/error.h"
#include "config/config.h"
#include "stores/shared/server_uri.h"
#include <stddef.h>
#include <stdint.h>

#define SQL_STATEMENTS_MAX 12
#define SQL_PARAMETERS_MAX 12
#define SQL_COLUMNS_MAX 12
#define SQL_TEXT_SIZE 1280 /* of one column, with its NUL: 319 characters of UTF-8 fit */

struct st_mysql;
struct st_mysql_stmt;

extern const struct config_option sql_options[];

/* Which account of the configuration. */
enum sql_account {
    SQL_ACCOUNT_SERVICE,   /* mysql.uri */
    SQL_ACCOUNT_MIGRATION, /* mysql.migrate_uri, or mysql.uri where that is not given */
};

/* Where to connect, and how. */
struct sql_server {
    struct server_uri uri;
    bool has_tls;
    const char *ca_file; /* borrowed from the config */
    bool is_patient;     /* for migrations: waits for locks, and for tables that are rebuilt */
    unsigned timeout_s;
    const char *option; /* "mysql.uri": for messages */
};

/* ERROR_BAD_INPUT names the option that is wrong. */
MUST_CHECK bool sql_server_load(const struct config *config, enum sql_account account,
                                struct sql_server *out_server, struct error *error);

/* Whether the server lets in somebody who has no account and no password: an anonymous account is
 * there. Counts there as one failed login. */
MUST_CHECK bool sql_server_admits_strangers(const struct sql_server *server, bool *out_admits,
                                            struct error *error);

struct sql_schema {
    const char *purpose;      /* "user store": for messages */
    const char *const *steps; /* NULL-terminated, one statement each, repeatable; the nth leads from
                               * version n - 1 to n */
    int64_t reader_least;     /* the oldest version that can work with what the steps lead to */
};

/* A value on its way to or from the server. */
struct sql_value {
    bool is_integer;
    int64_t integer;
    const char *text; /* a parameter's: borrowed */
    unsigned long size;
};

/* A store's connection; the fields are mysql.c's. */
struct sql_database {
    struct sql_server server;
    const struct sql_schema *schema; /* NULL: none is looked for */
    const char *const *sql;          /* the store's statements, by their numbers; NULL-terminated */
    struct st_mysql *handle;         /* owned; NULL: the next call connects */
    struct st_mysql_stmt *statements[SQL_STATEMENTS_MAX]; /* owned */
    int64_t used_at_ms;                                   /* boot time of the last answer */
    bool is_broken;                                       /* to be connected again */
    bool is_in_transaction;
    /* Of the row that the one query at work has read. */
    struct sql_value columns[SQL_COLUMNS_MAX];
    char are_null[SQL_COLUMNS_MAX];
    char texts[SQL_COLUMNS_MAX][SQL_TEXT_SIZE];
};

MUST_CHECK bool sql_database_init(struct sql_database *database, const struct config *config,
                                  enum sql_account account, const struct sql_schema *schema,
                                  const char *const *sql, struct error *error);
void sql_database_finish(struct sql_database *database); /* a zeroed one is fine */
/* Reachable, of a schema that this version can work with? Asks the server. */
MUST_CHECK bool sql_database_check(struct sql_database *database, struct error *error);

/* Brings the database to this version's schema, with the account for that; where it is already, it
 * only looks. Several at once wait for each other. `before` (may be NULL) is called first where
 * there was no schema. ERROR_CONFLICT: it is of a version that does not admit ours any more. */
typedef bool sql_before_schema(struct sql_database *database, struct error *error);
MUST_CHECK bool sql_database_migrate(const struct config *config, const struct sql_schema *schema,
                                     sql_before_schema *before, struct error *error);

/* Held until the connection is closed: only one migration of a database is at work at a time. */
MUST_CHECK bool sql_lock_migration(struct sql_database *database, struct error *error);

/* Constant SQL of ours without values, on a connection that is there: CREATE TABLE and the like. */
MUST_CHECK bool sql_execute(struct sql_database *database, const char *sql, struct error *error);
/* The same where it returns one row of so many counts. */
MUST_CHECK bool sql_read_counts(struct sql_database *database, const char *sql, unsigned count,
                                int64_t *out_counts, struct error *error);

/* A statement at work, from its start to its finish; only one of a database at a time. */
struct sql_query {
    struct sql_database *database;
    size_t number;
    struct sql_value parameters[SQL_PARAMETERS_MAX];
    unsigned parameter_count;
    bool is_executed;
};

void sql_query_start(struct sql_query *query, struct sql_database *database, size_t number);
void sql_query_finish(struct sql_query *query); /* for CLEANUP; a zeroed one is fine */

/* The next parameter. Text is borrowed until the query is finished. */
void sql_query_put_text(struct sql_query *query, const char *text);
void sql_query_put_integer(struct sql_query *query, int64_t integer);

/* For what reads. A connection that turns out to be lost is opened again, and the statement
 * repeated, once. */
MUST_CHECK bool sql_query_step(struct sql_query *query, bool *out_has_row, struct error *error);
/* For what writes. Is never repeated: whether a write that got no answer was done is unknown.
 * out_changes may be NULL. */
MUST_CHECK bool sql_query_run(struct sql_query *query, int64_t *out_changes, struct error *error);

/* Of the row that was stepped to, valid until the next step or finish. */
const char *sql_query_text(struct sql_query *query, unsigned column); /* NULL is "" */
int64_t sql_query_integer(struct sql_query *query, unsigned column);
/* False where the text was cut: the column holds more than fits, or a NUL. */
bool sql_query_copy_text(struct sql_query *query, unsigned column, char *out_text, size_t size);

/* What is read in it is still so at its commit, where it was read FOR UPDATE. */
MUST_CHECK bool sql_transaction_begin(struct sql_database *database, struct error *error);
MUST_CHECK bool sql_transaction_commit(struct sql_database *database, struct error *error);
/* For CLEANUP: takes back a transaction that was begun and not committed. */
void sql_transaction_endp(struct sql_database **database);
