/* tapedeck user: accounts. */

#include "commands/commands.h"
#include "commands/password_prompt.h"
#include "commands/session.h"
#include "commands/store_place.h"
#include "commands/user_import.h"

#include "base/clock.h"
#include "services/auth/accounts.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: tapedeck user add EMAIL [--admin]\n"
    "       tapedeck user list\n"
    "       tapedeck user passwd EMAIL\n"
    "       tapedeck user disable EMAIL\n"
    "       tapedeck user enable EMAIL\n"
    "       tapedeck user remove EMAIL\n"
    "       tapedeck user import FILE\n\n"
    "A password is asked for on a terminal; elsewhere it is the first line of standard input. It\n"
    "is never an argument, which every user of this machine could read.\n\n"
    "--admin  the account's tokens say `admin`. This version asks for it nowhere\n"
    "disable  nobody can log in, and the account's tokens end within 30 seconds\n"
    "passwd   a new password; tokens given out before end too\n"
    "remove   the account can do nothing more at once; the running system then deletes its "
    "videos,\n"
    "         MP3s and records, and the account last of all\n"
    "import   a CSV file (- is standard input) of email and password, or of email and Argon2 hash\n"
    "         ($argon2id$...), one account a line; a first line that holds no email is a heading.\n"
    "         Lines that are wrong are named and left out, accounts that exist are left as they "
    "are\n\n"
    "Examples:\n"
    "  tapedeck user add you@example.org\n"
    "  openssl rand -hex 12 | tee password | tapedeck user add robot@example.org\n"
    "  tapedeck user import --config /etc/tapedeck.ini accounts.csv\n";

static bool open_users(const struct session *session, struct user_store **out_users,
                       struct error *error)
{
    return user_store_open(session->config, out_users, error);
}

/* Brought to this version's schema first: the first account is often made before the first
 * `tapedeck serve`. */
static bool make_users(const struct session *session, struct user_store **out_users,
                       struct error *error)
{
    return user_store_migrate(session->config, error) && open_users(session, out_users, error);
}

static int add(struct session *session)
{
    struct error error = {0};
    char email[CLAIMS_EMAIL_SIZE];
    char password[PASSWORD_PROMPT_SIZE];
    struct user user;
    struct store_place place;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    bool is_admin = session_take_flag(session, "--admin");
    if (!session_has_arguments(session, 1, "tapedeck user add EMAIL [--admin]"))
        return COMMAND_USAGE;
    bool succeeded = accounts_check_email(session->line.rest[0], email, &error) &&
                     make_users(session, &users, &error) &&
                     store_place_get(session->config, STORE_ACCOUNTS, &place, &error) &&
                     password_prompt(email, password, &error) &&
                     accounts_create(users, email, password, is_admin, &user, &error);
    sodium_memzero(password, sizeof password);
    if (!succeeded)
        return session_fail(session, &error);
    printf("added %s%s (accounts: %s)\n", user.email, is_admin ? " as an administrator" : "",
           place.text);
    return COMMAND_OK;
}

static const char *state_of(const struct user *user)
{
    if (user->erased_at_ms != 0)
        return "being removed";
    if (user->is_disabled)
        return "disabled";
    return user->is_admin ? "admin" : "-";
}

static int list(struct session *session)
{
    struct error error = {0};
    static struct user page[USER_STORE_LIMIT_MAX];
    char after[CLAIMS_EMAIL_SIZE] = "";
    size_t count = 0;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!session_has_arguments(session, 0, "tapedeck user list"))
        return COMMAND_USAGE;
    if (!open_users(session, &users, &error))
        return session_fail(session, &error);
    do {
        if (!user_store_list(users, after, USER_STORE_LIMIT_MAX, page, &count, &error))
            return session_fail(session, &error);
        for (size_t i = 0; i < count; i++) {
            char created[CLOCK_TEXT_SIZE];
            clock_format_seconds(page[i].created_at_ms, created);
            printf("%s  %-13s  %s\n", created, state_of(&page[i]), page[i].email);
        }
        if (count != 0)
            memcpy(after, page[count - 1].email, sizeof after);
    } while (count == USER_STORE_LIMIT_MAX);
    return COMMAND_OK;
}

static int set_password(struct session *session)
{
    struct error error = {0};
    char email[CLAIMS_EMAIL_SIZE];
    char password[PASSWORD_PROMPT_SIZE];
    struct user user;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!session_has_arguments(session, 1, "tapedeck user passwd EMAIL"))
        return COMMAND_USAGE;
    /* Looked up first: nobody types a password twice to hear that the email is wrong. */
    bool succeeded = accounts_check_email(session->line.rest[0], email, &error) &&
                     open_users(session, &users, &error);
    if (succeeded && !user_store_find_by_email(users, email, &user, &error)) {
        if (error.kind == ERROR_NOT_FOUND)
            error_set(&error, ERROR_NOT_FOUND, "there is no account with the email %s", email);
        succeeded = false;
    }
    succeeded = succeeded && password_prompt(email, password, &error) &&
                accounts_set_password(users, email, password, &error);
    sodium_memzero(password, sizeof password);
    if (!succeeded)
        return session_fail(session, &error);
    printf("%s has a new password; tokens from before end within 30 seconds\n", email);
    return COMMAND_OK;
}

/* What the one-word changes share: "disable EMAIL" and its like. */
static int change(struct session *session, const char *form, const char *done,
                  bool (*apply)(struct user_store *users, const char *email, struct error *error))
{
    struct error error = {0};
    char email[CLAIMS_EMAIL_SIZE];
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!session_has_arguments(session, 1, form))
        return COMMAND_USAGE;
    if (!accounts_check_email(session->line.rest[0], email, &error) ||
        !open_users(session, &users, &error) || !apply(users, email, &error))
        return session_fail(session, &error);
    printf("%s %s\n", email, done);
    return COMMAND_OK;
}

static bool apply_disable(struct user_store *users, const char *email, struct error *error)
{
    return accounts_set_disabled(users, email, true, error);
}

static bool apply_enable(struct user_store *users, const char *email, struct error *error)
{
    return accounts_set_disabled(users, email, false, error);
}

static int disable(struct session *session)
{
    return change(session, "tapedeck user disable EMAIL",
                  "is disabled; its tokens end within 30 seconds", apply_disable);
}

static int enable(struct session *session)
{
    return change(session, "tapedeck user enable EMAIL", "can log in again", apply_enable);
}

static int remove_account(struct session *session)
{
    return change(session, "tapedeck user remove EMAIL",
                  "can do nothing more; its videos, MP3s and records are deleted while the system\n"
                  "runs, and the account itself once its last token would have ended\n"
                  "(`tapedeck user list` shows it until then)",
                  accounts_erase);
}

static int import(struct session *session)
{
    struct error error = {0};
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!session_has_arguments(session, 1, "tapedeck user import FILE"))
        return COMMAND_USAGE;
    if (!make_users(session, &users, &error))
        return session_fail(session, &error);
    struct user_import_counts counts = {0};
    if (!user_import(users, session->line.rest[0], &counts, &error))
        return session_fail(session, &error);
    printf("%zu added, %zu existed already, %zu wrong\n", counts.added, counts.existing,
           counts.wrong);
    return counts.wrong == 0 ? COMMAND_OK : COMMAND_FAILED;
}

int user_run(const struct invocation *invocation)
{
    static const struct session_action actions[] = {
        {"add", add},
        {"list", list},
        {"passwd", set_password},
        {"disable", disable},
        {"enable", enable},
        {"remove", remove_account},
        {"import", import},
        {0},
    };
    return session_run(invocation, help, actions);
}
