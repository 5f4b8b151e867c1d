#include "commands/user_import.h"

#include "base/buffer.h"
#include "base/file.h"
#include "commands/csv.h"
#include "commands/say.h"
#include "services/auth/accounts.h"
#include <sodium.h>
#include <string.h>

static void wipe(struct buffer *bytes)
{
    if (bytes->bytes != NULL)
        sodium_memzero(bytes->bytes, bytes->size);
    buffer_finish(bytes);
}

static bool check_row(const struct csv_row *row, struct error *error)
{
    if (row->field_count != 2)
        return error_set(error, ERROR_BAD_INPUT,
                         "2 fields are expected, email and password; "
                         "these are %zu",
                         row->field_count);
    return true;
}

static bool is_heading(const struct csv_row *row)
{
    return row->line == 1 && row->field_count >= 1 && strchr(row->fields[0], '@') == NULL;
}

static bool add(struct user_store *users, const struct csv_row *row, struct error *error)
{
    struct user user;
    return accounts_is_hash(row->fields[1])
               ? accounts_create_hashed(users, row->fields[0], row->fields[1], false, &user, error)
               : accounts_create(users, row->fields[0], row->fields[1], false, &user, error);
}

/* Looked up before its password is hashed: importing a long file again takes seconds. */
static bool exists(struct user_store *users, const char *email)
{
    char checked[CLAIMS_EMAIL_SIZE];
    struct user user;
    return accounts_check_email(email, checked, NULL) &&
           user_store_find_by_email(users, checked, &user, NULL);
}

/* False: the store fails, so that the other lines would too. */
static bool import_row(struct user_store *users, const struct csv_row *row,
                       struct user_import_counts *counts, struct error *error)
{
    struct error cause = {0};
    if (is_heading(row))
        return true;
    if (check_row(row, &cause) && exists(users, row->fields[0])) {
        counts->existing++;
        return true;
    }
    if (cause.kind == ERROR_NONE && add(users, row, &cause)) {
        counts->added++;
        return true;
    }
    if (cause.kind == ERROR_CONFLICT) {
        counts->existing++;
        return true;
    }
    if (cause.kind != ERROR_BAD_INPUT) {
        *error = cause;
        return error_prefix(error, "line %llu", (unsigned long long)row->line);
    }
    counts->wrong++;
    say("line %llu: %s", (unsigned long long)row->line, cause.text);
    return true;
}

bool user_import(struct user_store *users, const char *path, struct user_import_counts *out_counts,
                 struct error *error)
{
    CLEANUP(wipe) struct buffer bytes = BUFFER_WITH_MAX(USER_IMPORT_SIZE_MAX);
    if (!file_load(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &bytes, error))
        return false;
    struct csv csv;
    struct csv_row row;
    struct error cause = {0};
    csv_init(&csv, bytes.bytes, bytes.size);
    for (;;) {
        enum csv_result result = csv_next(&csv, &row, &cause);
        if (result == CSV_END)
            break;
        if (result == CSV_BAD) {
            out_counts->wrong++;
            say("line %llu: %s", (unsigned long long)row.line, cause.text);
        } else if (!import_row(users, &row, out_counts, error)) {
            return false;
        }
    }
    sodium_memzero(&row, sizeof row);
    return true;
}
