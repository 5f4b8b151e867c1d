#include "commands/first_account.h"

#include "base/buffer.h"
#include "base/log.h"
#include "commands/password_prompt.h"
#include "commands/say.h"
#include "services/auth/accounts.h"
#include <signal.h>
#include <sodium.h>
#include <stdio.h>

#define TRIES_MAX 3
#define COMMAND_SIZE_MAX 9000

static bool is_empty(struct user_store *users, bool *out_is_empty, struct error *error)
{
    struct user first;
    size_t count = 0;
    if (!user_store_list(users, "", 1, &first, &count, error))
        return false;
    *out_is_empty = count == 0;
    return true;
}

static void log_hint(const struct session *session, const char *data_folder)
{
    CLEANUP(buffer_finish) struct buffer command = BUFFER_WITH_MAX(COMMAND_SIZE_MAX);
    const char *config_file = session->line.config_file;
    ignore_failure(buffer_append_text(&command, "tapedeck user add you@example.org", NULL));
    if (config_file != NULL)
        ignore_failure(buffer_append_format(&command, NULL, " --config '%s'", config_file));
    ignore_failure(buffer_append_format(&command, NULL, " --set data.dir='%s'", data_folder));
    log_warning("there is no account yet, so nobody can log in: make one",
                FIELD_TEXT("command", buffer_text(&command)));
}

/* One try; ERROR_BAD_INPUT and ERROR_CONFLICT say what was wrong with it. */
static bool ask_once(struct user_store *users, const char *typed, struct error *error)
{
    char email[CLAIMS_EMAIL_SIZE];
    char password[PASSWORD_PROMPT_SIZE] = "";
    struct user user;
    bool succeeded = accounts_check_email(typed, email, error) &&
                     password_prompt(email, password, error) &&
                     accounts_create(users, email, password, true, &user, error);
    sodium_memzero(password, sizeof password);
    if (succeeded)
        say("Added %s.", user.email);
    return succeeded;
}

/* *out_is_made is false where the person wanted none, or failed too often. */
static bool ask(struct user_store *users, bool *out_is_made, struct error *error)
{
    *out_is_made = false;
    fputs("There is no account yet, so nobody can log in. More can be added with `tapedeck user\n"
          "add`. An empty line leaves it for later.\n",
          stderr);
    for (int i = 0; i < TRIES_MAX; i++) {
        char typed[CLAIMS_EMAIL_SIZE];
        struct error cause = {0};
        if (password_prompt_line("Email: ", typed, sizeof typed, &cause)) {
            if (typed[0] == '\0')
                return true;
            if (ask_once(users, typed, &cause)) {
                *out_is_made = true;
                return true;
            }
        }
        if (cause.kind != ERROR_BAD_INPUT) {
            *error = cause;
            return false;
        }
        say("%s", cause.text);
    }
    return true;
}

/* Ctrl-C at the question is an answer too. */
static bool ask_interruptibly(struct user_store *users, bool *out_is_made, struct error *error)
{
    sigset_t ending;
    sigset_t before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &ending, &before);
    bool succeeded = ask(users, out_is_made, error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return succeeded;
}

bool first_account(const struct session *session, const char *data_folder, struct error *error)
{
    bool is_needed = false;
    bool is_made = false;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!user_store_open(session->config, &users, error) || !is_empty(users, &is_needed, error))
        return false;
    if (!is_needed)
        return true;
    if (password_prompt_is_terminal() && !ask_interruptibly(users, &is_made, error))
        return false;
    if (!is_made)
        log_hint(session, data_folder);
    return true;
}
