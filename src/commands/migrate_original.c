#include "commands/migrate_original.h"

#include "services/auth/accounts.h"
#include "services/auth/passwords.h"
#include "stores/user_store/original.h"
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

struct counts {
    size_t moved, left;
};

/* Whatever the password is, it stays the user's: rules for new ones came later. Every account of
 * the original's was an administrator to its gateway, which admits nobody else. */
static bool make_user(const struct original_account *account, struct user *out_user,
                      struct error *error)
{
    struct user user = {.id = id_make(), .is_admin = true};
    if (!accounts_check_email(account->email, user.email, error))
        return false;
    if (account->password[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT, "has no password, or one that is too long");
    if (!password_hash(account->password, user.password_hash, error))
        return false;
    *out_user = user;
    return true;
}

/* False: the store fails, so that the others would too. */
static bool move(struct original_accounts *accounts, const struct original_account *account,
                 struct counts *counts, struct error *error)
{
    struct user user;
    struct error cause = {0};
    if (make_user(account, &user, &cause) &&
        original_accounts_move(accounts, account->key, &user, &cause)) {
        counts->moved++;
        return true;
    }
    if (cause.kind == ERROR_NOT_FOUND) /* another migration was first */
        return true;
    if (cause.kind != ERROR_BAD_INPUT && cause.kind != ERROR_CONFLICT) {
        *error = cause;
        return false;
    }
    counts->left++;
    fprintf(stderr, "user_original, id %" PRId64 ": %s\n", account->key,
            cause.kind == ERROR_CONFLICT ? "there is an account with its email" : cause.text);
    return true;
}

static bool move_all(struct original_accounts *accounts, struct counts *counts, struct error *error)
{
    struct original_account account = {.key = INT64_MIN};
    bool has_one = true;
    bool succeeded = true;
    while (succeeded && has_one) {
        succeeded = original_accounts_next(accounts, account.key, &account, &has_one, error) &&
                    (!has_one || move(accounts, &account, counts, error));
    }
    sodium_memzero(&account, sizeof account);
    return succeeded;
}

bool migrate_original(const struct config *config, size_t *out_moved, struct error *error)
{
    struct counts counts = {0};
    CLEANUP(original_accounts_closep) struct original_accounts *accounts = NULL;
    if (!original_accounts_open(config, &accounts, error))
        return false;
    bool succeeded = accounts == NULL || move_all(accounts, &counts, error);
    *out_moved = counts.moved;
    if (!succeeded || accounts == NULL)
        return succeeded;
    if (counts.left != 0)
        return error_set(error, ERROR_BAD_INPUT,
                         "%zu accounts of the original are left in the table user_original, with "
                         "their passwords: correct or delete them, and migrate again",
                         counts.left);
    return original_accounts_drop(accounts, error);
}
