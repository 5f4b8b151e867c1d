/* What `tapedeck doctor` can see of a MySQL or MariaDB with the services' own account, of what
 * docs/secure-mysql.md asks for. */

#include "commands/doctor.h"

#include "base/clock.h"
#include "base/text.h"
#include "stores/shared/sql.h"
#include "stores/user_store/mysql.h"
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADVICE "deploy/mysql/secure sets all of this; docs/secure-mysql.md says why."
#define CERTIFICATE_LEFT_MS (14 * CLOCK_DAY_MS)
/* MariaDB's default of max_password_errors means never. */
#define PASSWORD_ERRORS_MAX 1000

enum { STATUS, VARIABLE, GRANTS, ACCOUNT, DATABASES, ASIDE };

static const char *const statements[] = {
    [STATUS] = "SHOW SESSION STATUS WHERE variable_name = ?",
    [VARIABLE] = "SHOW GLOBAL VARIABLES WHERE variable_name = ?",
    [GRANTS] = "SHOW GRANTS",
    [ACCOUNT] = "SHOW CREATE USER CURRENT_USER()",
    [DATABASES] = "SHOW DATABASES",
    [ASIDE] = "SHOW TABLES LIKE 'user\\_original'",
    NULL,
};

/* What falls short is gathered in doctor->found. */
struct look {
    struct doctor *doctor;
    struct sql_database database;
    size_t finding_count, database_count;
    unsigned rights; /* of those needed, a bit for each that a grant gives */
    bool is_grave;
    bool has_unread; /* rights of a role, or of a line that was cut */
};

static void look_finish(struct look *look)
{
    sql_database_finish(&look->database);
    free(look);
}

static void look_finishp(struct look **look)
{
    if (*look != NULL)
        look_finish(*look);
}

static void append(struct look *look, const char *format, va_list arguments) PRINTF_FORMAT(2, 0);
static void append(struct look *look, const char *format, va_list arguments)
{
    char *found = look->doctor->found;
    size_t used = strlen(found);
    vsnprintf(found + used, DOCTOR_TEXT_SIZE - used, format, arguments);
}

static void add(struct look *look, const char *format, ...) PRINTF_FORMAT(2, 3);
static void add(struct look *look, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(look, format, arguments);
    va_end(arguments);
}

static void add_finding(struct look *look, const char *format, ...) PRINTF_FORMAT(2, 3);
static void add_finding(struct look *look, const char *format, ...)
{
    va_list arguments;
    if (look->finding_count++ != 0)
        add(look, "; ");
    va_start(arguments, format);
    append(look, format, arguments);
    va_end(arguments);
}

static enum doctor_verdict conclude(struct look *look, const char *what_is_right)
{
    if (look->finding_count == 0)
        return doctor_say(look->doctor, DOCTOR_OK, "%s", what_is_right);
    snprintf(look->doctor->advice, sizeof look->doctor->advice, "%s", ADVICE);
    return look->is_grave ? DOCTOR_FAILED : DOCTOR_WARNING;
}

/* ---- Asking ---- */

typedef void note_row(struct look *look, const char *first, const char *second);

static bool ask(struct look *look, size_t number, const char *parameter, note_row *note,
                struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    bool has_row = false;
    sql_query_start(&query, &look->database, number);
    if (parameter != NULL)
        sql_query_put_text(&query, parameter);
    while (sql_query_step(&query, &has_row, error)) {
        if (!has_row)
            return true;
        note(look, sql_query_text(&query, 0), parameter == NULL ? "" : sql_query_text(&query, 1));
    }
    return false;
}

/* "": it has no such variable, as where the plugin that it is of is not loaded. */
static bool ask_value(struct look *look, size_t number, const char *name, char out_value[256],
                      struct error *error)
{
    CLEANUP(sql_query_finish) struct sql_query query = {0};
    bool has_row = false;
    sql_query_start(&query, &look->database, number);
    sql_query_put_text(&query, name);
    if (!sql_query_step(&query, &has_row, error))
        return false;
    text_copy(out_value, 256, has_row ? sql_query_text(&query, 1) : "");
    return true;
}

typedef bool examination(struct look *look, struct error *error);

/* Whether the accounts are usable at all is another check's. */
static enum doctor_verdict look_at(struct doctor *doctor, examination *examine,
                                   const char *what_is_right)
{
    struct error error = {0};
    bool is_mysql = false;
    CLEANUP(look_finishp) struct look *look = calloc(1, sizeof *look);
    if (look == NULL)
        abort();
    look->doctor = doctor;
    if (!user_store_is_mysql(doctor->session->config, &is_mysql, &error) || !is_mysql)
        return doctor_say(doctor, DOCTOR_SKIPPED, "no accounts in MySQL");
    if (!sql_database_init(&look->database, doctor->session->config, SQL_ACCOUNT_SERVICE, NULL,
                           statements, &error) ||
        !sql_database_check(&look->database, &error))
        return doctor_say(doctor, DOCTOR_SKIPPED, "see accounts");
    if (!examine(look, &error))
        return doctor_fail(doctor, &error, "Run doctor again; look into the server's log.");
    return conclude(look, what_is_right);
}

/* ---- The way to it ---- */

static void note_account(struct look *look, const char *statement, const char *unused)
{
    (void)unused;
    bool needs_tls =
        strstr(statement, "REQUIRE SSL") != NULL || strstr(statement, "REQUIRE X509") != NULL ||
        strstr(statement, "REQUIRE ISSUER") != NULL || strstr(statement, "REQUIRE SUBJECT") != NULL;
    if (!needs_tls)
        add_finding(look, "the account may log in without TLS (REQUIRE SSL)");
}

/* "Nov 27 21:20:46 2026 GMT". */
static void note_end(struct look *look, const char *text)
{
    struct tm end = {0};
    if (strptime(text, "%b %d %H:%M:%S %Y", &end) == NULL)
        return;
    int64_t left_ms = (int64_t)timegm(&end) * 1000 - clock_wall_ms();
    if (left_ms < CERTIFICATE_LEFT_MS)
        add_finding(look, "the server's certificate ends within %d days",
                    (int)(left_ms / CLOCK_DAY_MS) + 1);
}

static bool examine_tls(struct look *look, struct error *error)
{
    char cipher[256];
    char required[256];
    char end[256];
    if (!ask_value(look, STATUS, "Ssl_cipher", cipher, error) ||
        !ask_value(look, STATUS, "Ssl_server_not_after", end, error) ||
        !ask_value(look, VARIABLE, "require_secure_transport", required, error) ||
        !ask(look, ACCOUNT, NULL, note_account, error))
        return false;
    if (cipher[0] == '\0')
        add_finding(look, "this connection is not encrypted");
    if (cipher[0] == '\0' && !server_uri_is_loopback(&look->database.server.uri))
        look->is_grave = true;
    if (strcmp(required, "ON") != 0)
        add_finding(look, "the server takes connections without TLS (require_secure_transport)");
    note_end(look, end);
    return true;
}

enum doctor_verdict doctor_check_mysql_tls(struct doctor *doctor)
{
    return look_at(doctor, examine_tls, "verified, and nobody gets in without");
}

/* ---- What our account may do ---- */

static const struct {
    const char *right, *table;
} needed[] = {
    {"SELECT", "user"}, {"INSERT", "user"},           {"UPDATE", "user"},
    {"DELETE", "user"}, {"SELECT", "schema_version"},
};

/* "GRANT SELECT, INSERT ON `tapedeck`.`user` TO …": each right, where it is. */
static bool is_right(size_t number, const char *right, size_t size)
{
    return strlen(needed[number].right) == size && strncmp(needed[number].right, right, size) == 0;
}

static bool is_table(const struct look *look, size_t number, const char *place)
{
    char needed_at[2 * SERVER_URI_PART_SIZE];
    snprintf(needed_at, sizeof needed_at, "`%s`.`%s`", look->database.server.uri.path,
             needed[number].table);
    return strcmp(place, needed_at) == 0;
}

static bool is_needed(const struct look *look, const char *right, size_t size, const char *place)
{
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++) {
        if (is_right(i, right, size) && is_table(look, i, place))
            return true;
    }
    return size == strlen("USAGE") && strncmp(right, "USAGE", size) == 0; /* none at all */
}

/* "`tapedeck`.*", with _ and % as in LIKE: it is a right to our tables too. "*.*" matches as well.
 */
static bool is_whole_database(const struct look *look, const char *place)
{
    char pattern[512];
    size_t size = 0;
    size_t place_size = strlen(place);
    if (place_size < 2 || strcmp(place + place_size - 2, ".*") != 0)
        return false;
    for (const char *at = place; *at != '.' && size < sizeof pattern - 1; at++) {
        char letter = *at;
        if (letter == '`')
            continue;
        if (letter == '\\' && at[1] != '\0')
            letter = *++at;
        else if (letter == '%')
            letter = '*';
        else if (letter == '_')
            letter = '?';
        pattern[size++] = letter;
    }
    pattern[size] = '\0';
    return fnmatch(pattern, look->database.server.uri.path, FNM_NOESCAPE) == 0;
}

static void note_right(struct look *look, const char *right, size_t size, const char *place)
{
    bool is_each = text_starts_with(right, "ALL PRIVILEGES");
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++) {
        if ((is_each || is_right(i, right, size)) &&
            (is_table(look, i, place) || is_whole_database(look, place)))
            look->rights |= 1U << i;
    }
}

static void note_rights(struct look *look, const char *rights, const char *place)
{
    for (;;) {
        size_t size = strcspn(rights, ",");
        note_right(look, rights, size, place);
        if (rights[size] == '\0')
            return;
        rights += size + strspn(rights + size, ", ");
    }
}

static void note_missing(struct look *look)
{
    for (size_t i = 0; i < ARRAY_COUNT(needed) && !look->has_unread; i++) {
        if ((look->rights & 1U << i) != 0)
            continue;
        add_finding(look, "the account needs %s on `%s`, and does not have it", needed[i].right,
                    needed[i].table);
        look->is_grave = true;
    }
}

static bool are_needed(const struct look *look, const char *rights, const char *place)
{
    for (;;) {
        size_t size = strcspn(rights, ",");
        if (!is_needed(look, rights, size, place))
            return false;
        if (rights[size] == '\0')
            return true;
        rights += size + strspn(rights + size, ", ");
    }
}

/* The rest of the line can hold a password's hash: nothing after TO is shown. */
static void note_grant(struct look *look, const char *line, const char *unused)
{
    (void)unused;
    char text[SQL_TEXT_SIZE];
    text_copy(text, sizeof text, line);
    char *to = strstr(text, " TO ");
    if (!text_starts_with(text, "GRANT "))
        return;
    if (to == NULL) { /* the line was cut */
        add_finding(look, "the account has more rights than can be read here");
        look->has_unread = look->is_grave = true;
        return;
    }
    *to = '\0';
    bool may_give = strstr(line, "GRANT OPTION") != NULL;
    char *on = strstr(text, " ON ");
    if (on == NULL) {
        add_finding(look, "the account has the role %.60s", text + strlen("GRANT "));
        look->has_unread = true;
        return;
    }
    *on = '\0';
    const char *rights = text + strlen("GRANT ");
    const char *place = on + strlen(" ON ");
    note_rights(look, rights, place);
    if (are_needed(look, rights, place) && !may_give)
        return;
    add_finding(look, "the account needs no %.40s%s on %.60s%s", rights,
                strlen(rights) > 40 ? "…" : "", place,
                may_give ? ", nor to give it to others" : "");
    look->is_grave = look->is_grave || may_give || strcmp(place, "*.*") == 0 ||
                     text_starts_with(place, "`mysql`.");
}

static void note_database(struct look *look, const char *name, const char *unused)
{
    (void)unused;
    static const char *const usual[] = {"information_schema", "performance_schema"};
    if (strcmp(name, look->database.server.uri.path) == 0)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(usual); i++) {
        if (strcmp(name, usual[i]) == 0)
            return;
    }
    if (look->database_count++ == 0)
        add_finding(look, "the account can see other databases than its own: %.60s", name);
    else
        add(look, ", %.60s", name);
}

static void note_aside(struct look *look, const char *name, const char *unused)
{
    (void)unused;
    add_finding(look, "%s holds passwords as they were typed: `tapedeck migrate`", name);
    look->is_grave = true;
}

/* With the other account, where this configuration has it. */
static bool examine_migration(struct look *look, struct error *error)
{
    struct sql_server server;
    if (!sql_server_load(look->doctor->session->config, SQL_ACCOUNT_MIGRATION, &server, error))
        return false;
    if (strcmp(server.option, look->database.server.option) == 0)
        return ask(look, ASIDE, NULL, note_aside, error);
    if (strcmp(server.uri.user, look->database.server.uri.user) == 0)
        add_finding(look, "mysql.uri and mysql.migrate_uri name the same account");
    CLEANUP(look_finishp) struct look *other = calloc(1, sizeof *other);
    if (other == NULL)
        abort();
    other->doctor = look->doctor;
    other->finding_count = look->finding_count;
    if (!sql_database_init(&other->database, look->doctor->session->config, SQL_ACCOUNT_MIGRATION,
                           NULL, statements, error) ||
        !ask(other, ASIDE, NULL, note_aside, error))
        return false;
    look->finding_count = other->finding_count;
    look->is_grave = look->is_grave || other->is_grave;
    return true;
}

static bool examine_login(struct look *look, struct error *error)
{
    bool admits_strangers = false;
    if (!sql_server_admits_strangers(&look->database.server, &admits_strangers, error))
        return false;
    if (admits_strangers) {
        add_finding(look, "anybody gets in: there is an anonymous account without a password");
        look->is_grave = true;
    }
    if (!examine_migration(look, error) || !ask(look, GRANTS, NULL, note_grant, error))
        return false;
    note_missing(look);
    return ask(look, DATABASES, NULL, note_database, error);
}

enum doctor_verdict doctor_check_mysql_login(struct doctor *doctor)
{
    return look_at(doctor, examine_login, "the account may use its rows, and nothing else");
}

/* ---- How it is set up ---- */

static void judge_value(struct look *look, const char *name, const char *value)
{
    static const struct {
        const char *name;
        const char *wrong; /* the value that falls short; "": not set, or no such variable */
        const char *finding;
    } rules[] = {
        {"local_infile", "ON", "local_infile is on: clients' files can be read"},
        {"secure_file_priv", "", "secure_file_priv is empty: the server's files can be read"},
        {"general_log", "ON", "general_log is on: it holds emails and hashes"},
        {"slow_query_log", "ON", "slow_query_log is on: it can hold emails and hashes"},
        {"bind_address", "*", "bind_address is every network"},
        {"bind_address", "", "bind_address is every network"},
        {"bind_address", "0.0.0.0", "bind_address is every network"},
        {"bind_address", "::", "bind_address is every network"},
        {"innodb_flush_log_at_trx_commit", "0",
         "a power loss can lose accounts "
         "(innodb_flush_log_at_trx_commit)"},
        {"innodb_flush_log_at_trx_commit", "2",
         "a power loss can lose accounts "
         "(innodb_flush_log_at_trx_commit)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strcmp(rules[i].name, name) == 0 && strcmp(rules[i].wrong, value) == 0)
            add_finding(look, "%s", rules[i].finding);
    }
}

static void note_failed_logins(struct look *look, const char *statement, const char *unused)
{
    (void)unused;
    if (strstr(statement, "FAILED_LOGIN_ATTEMPTS") == NULL)
        add_finding(look, "wrong passwords lock no account (FAILED_LOGIN_ATTEMPTS)");
}

/* Each server has its own way to check passwords, and to count wrong ones. */
static bool examine_passwords(struct look *look, struct error *error)
{
    char version[256];
    char check[256];
    char errors_max[256];
    uint64_t count = 0;
    if (!ask_value(look, VARIABLE, "version", version, error))
        return false;
    bool is_mariadb = strstr(version, "MariaDB") != NULL;
    if (!ask_value(look, VARIABLE,
                   is_mariadb ? "simple_password_check_minimal_length" : "validate_password.policy",
                   check, error) ||
        !ask_value(look, VARIABLE, "max_password_errors", errors_max, error))
        return false;
    if (check[0] == '\0')
        add_finding(look, "passwords are not checked (%s)",
                    is_mariadb ? "simple_password_check" : "validate_password");
    if (!is_mariadb)
        return ask(look, ACCOUNT, NULL, note_failed_logins, error);
    if (!text_parse_count(errors_max, UINT64_MAX, &count, NULL) || count > PASSWORD_ERRORS_MAX)
        add_finding(look, "wrong passwords lock no account (max_password_errors)");
    return true;
}

static bool examine_host(struct look *look, struct error *error)
{
    static const char *const names[] = {"local_infile", "secure_file_priv",
                                        "general_log",  "slow_query_log",
                                        "bind_address", "innodb_flush_log_at_trx_commit"};
    char value[256];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!ask_value(look, VARIABLE, names[i], value, error))
            return false;
        judge_value(look, names[i], value);
    }
    return examine_passwords(look, error);
}

enum doctor_verdict doctor_check_mysql_host(struct doctor *doctor)
{
    return look_at(doctor, examine_host, "set up as far as can be seen from here");
}
