#include "services/auth/accounts.h"

#include "base/text.h"
#include "services/auth/passwords.h"
#include <string.h>

/* Changes by others between our reading and our writing, one after another. */
#define CONFLICTS_MAX 5

/* Characters that mean something else in a mail header (RFC 5322 §3.2.3, "specials"); the one '@'
 * is counted apart. */
static const char specials[] = "()<>[]:;\\,\"";

static bool is_local_part(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= ' ' || byte == 0x7f || strchr(specials, byte) != NULL)
            return false;
    }
    return size != 0 && size <= 64;
}

static bool is_domain(const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || byte >= 0x80;
        bool is_digit = byte >= '0' && byte <= '9';
        if (!is_letter && !is_digit && byte != '-' && byte != '.')
            return false;
    }
    return size != 0 && text[0] != '.' && text[size - 1] != '.' && strstr(text, "..") == NULL;
}

bool accounts_check_email(const char *email, char out_email[CLAIMS_EMAIL_SIZE], struct error *error)
{
    char lower[CLAIMS_EMAIL_SIZE] = "";
    size_t size = strnlen(email, sizeof lower);
    if (size == sizeof lower)
        return error_set(error, ERROR_BAD_INPUT, "an email has at most %d bytes",
                         CLAIMS_EMAIL_SIZE - 1);
    for (size_t i = 0; i <= size; i++)
        lower[i] = email[i] >= 'A' && email[i] <= 'Z' ? (char)(email[i] - 'A' + 'a') : email[i];
    const char *at = strchr(lower, '@');
    if (at == NULL || !text_is_clean(lower, size) || !is_local_part(lower, (size_t)(at - lower)) ||
        !is_domain(at + 1))
        return error_set(error, ERROR_BAD_INPUT,
                         "not an email address: something like name@example.org is expected");
    memcpy(out_email, lower, size + 1);
    return true;
}

bool accounts_check_password(const char *password, struct error *error)
{
    size_t size = strlen(password);
    if (size < ACCOUNTS_PASSWORD_SIZE_MIN || size > ACCOUNTS_PASSWORD_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "a password has %d to %d bytes; this one has %zu",
                         ACCOUNTS_PASSWORD_SIZE_MIN, ACCOUNTS_PASSWORD_SIZE_MAX, size);
    if (!text_is_utf8(password, size))
        return error_set(error, ERROR_BAD_INPUT, "a password is text in UTF-8");
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)password[i] < ' ' || password[i] == 0x7f)
            return error_set(error, ERROR_BAD_INPUT, "a password has no control characters");
    return true;
}

static bool insert(struct user_store *store, struct user *user, struct error *error)
{
    if (!user_store_now(store, &user->created_at_ms, error))
        return false;
    user->id = id_make();
    user->version = 1;
    if (user_store_insert(store, user, error))
        return true;
    if (error->kind == ERROR_CONFLICT)
        return error_set(error, ERROR_CONFLICT, "there is an account with the email %s",
                         user->email);
    return false;
}

bool accounts_create(struct user_store *store, const char *email, const char *password,
                     bool is_admin, struct user *out_user, struct error *error)
{
    struct user user = {.is_admin = is_admin};
    if (!accounts_check_email(email, user.email, error) ||
        !accounts_check_password(password, error) ||
        !password_hash(password, user.password_hash, error) || !insert(store, &user, error))
        return false;
    *out_user = user;
    return true;
}

bool accounts_create_hashed(struct user_store *store, const char *email, const char *password_hash,
                            bool is_admin, struct user *out_user, struct error *error)
{
    struct user user = {.is_admin = is_admin};
    if (!accounts_check_email(email, user.email, error) ||
        !password_check_hash(password_hash, error))
        return false;
    text_copy(user.password_hash, sizeof user.password_hash, password_hash);
    if (!insert(store, &user, error))
        return false;
    *out_user = user;
    return true;
}

bool accounts_is_hash(const char *text)
{
    return text_starts_with(text, "$argon2");
}

/* What a change sets; epoch and its time are the same for all. */
typedef void account_change(struct user *user, const void *value, int64_t now_ms);

static bool change_once(struct user_store *store, const char *email, account_change *change,
                        const void *value, struct error *error)
{
    struct user user;
    int64_t now_ms = 0;
    if (!user_store_find_by_email(store, email, &user, error)) {
        if (error->kind == ERROR_NOT_FOUND)
            return error_set(error, ERROR_NOT_FOUND, "there is no account with the email %s",
                             email);
        return false;
    }
    if (!user_store_now(store, &now_ms, error))
        return false;
    if (user.erased_at_ms != 0)
        return error_set(error, ERROR_NOT_FOUND, "the account %s is being erased", email);
    change(&user, value, now_ms);
    user.epoch++;
    user.epoch_at_ms = now_ms;
    return user_store_update(store, &user, error);
}

static bool change_account(struct user_store *store, const char *email, account_change *change,
                           const void *value, struct error *error)
{
    char checked[CLAIMS_EMAIL_SIZE];
    if (!accounts_check_email(email, checked, error))
        return false;
    for (int i = 1;; i++) {
        if (change_once(store, checked, change, value, error))
            return true;
        if (error->kind != ERROR_CONFLICT || i == CONFLICTS_MAX)
            return false;
    }
}

static void set_hash(struct user *user, const void *value, int64_t now_ms)
{
    (void)now_ms;
    memcpy(user->password_hash, value, sizeof user->password_hash);
}

bool accounts_set_password(struct user_store *store, const char *email, const char *password,
                           struct error *error)
{
    char hash[USER_PASSWORD_HASH_SIZE];
    return accounts_check_password(password, error) && password_hash(password, hash, error) &&
           change_account(store, email, set_hash, hash, error);
}

static void set_disabled(struct user *user, const void *value, int64_t now_ms)
{
    (void)now_ms;
    user->is_disabled = *(const bool *)value;
}

bool accounts_set_disabled(struct user_store *store, const char *email, bool is_disabled,
                           struct error *error)
{
    return change_account(store, email, set_disabled, &is_disabled, error);
}

static void set_admin(struct user *user, const void *value, int64_t now_ms)
{
    (void)now_ms;
    user->is_admin = *(const bool *)value;
}

bool accounts_set_admin(struct user_store *store, const char *email, bool is_admin,
                        struct error *error)
{
    return change_account(store, email, set_admin, &is_admin, error);
}

static void erase(struct user *user, const void *value, int64_t now_ms)
{
    (void)value;
    user->is_disabled = true;
    user->erased_at_ms = now_ms;
    memset(user->password_hash, 0, sizeof user->password_hash);
}

bool accounts_erase(struct user_store *store, const char *email, struct error *error)
{
    return change_account(store, email, erase, NULL, error);
}
