#include "stores/mail_sender/mail_sender.h"

#include "stores/mail_sender/backend.h"
#include <assert.h>
#include <ctype.h>
#include <string.h>

#define KEY_LENGTH_MAX 64
#define MAIL_SIZE_MAX (256 * 1024) /* ours are a few KiB */

static const struct mail_sender_backend *const backends[] = {
    &mail_sender_maildir,
    &mail_sender_smtp,
};

struct mail_sender_settings {
    const char *backend;
};

static const char *const backend_names[] = {"maildir", "smtp", NULL};

const struct config_option mail_sender_options[] = {
    {
        .name = "stores.mail",
        .type = CONFIG_CHOICE,
        .field = CONFIG_FIELD(struct mail_sender_settings, backend, const char *),
        .standard = "maildir",
        .choices = backend_names,
        .help = "How mail leaves: maildir puts it into data.dir/mail, for one machine; smtp gives "
                "it to the mail server that smtp.uri names.",
    },
    {0},
};

bool mail_sender_open(const struct config *config, struct mail_sender **out_sender,
                      struct error *error)
{
    struct mail_sender_settings settings = {0};
    if (!config_load(config, mail_sender_options, &settings, error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        if (strcmp(backends[i]->name, settings.backend) == 0)
            return backends[i]->open(config, out_sender, error) ||
                   error_prefix(error, "open mail (%s)", settings.backend);
    }
    return error_set(error, ERROR_BAD_INPUT, "stores.mail: no \"%s\" in this build",
                     settings.backend);
}

void mail_sender_close(struct mail_sender *sender)
{
    if (sender != NULL)
        sender->backend->close(sender);
}

void mail_sender_closep(struct mail_sender **sender)
{
    mail_sender_close(*sender);
    *sender = NULL;
}

bool mail_sender_check(struct mail_sender *sender, struct error *error)
{
    return sender->backend->check(sender, error);
}

/* A key becomes a file's name. */
static bool is_key(const char *key)
{
    size_t length = strlen(key);
    if (length == 0 || length > KEY_LENGTH_MAX || key[0] == '.')
        return false;
    for (const char *at = key; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            return false;
    }
    return true;
}

/* What stands in an SMTP command must not be able to end it. */
static bool is_envelope_address(const char *address)
{
    if (strchr(address, '@') == NULL)
        return false;
    for (const char *at = address; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte <= ' ' || byte == 0x7f || byte == '<' || byte == '>')
            return false;
    }
    return true;
}

bool mail_sender_send(struct mail_sender *sender, const struct mail *mail, int timeout_ms,
                      mail_sender_may_send *may_send, void *context, struct error *error)
{
    assert(is_key(mail->key));
    if (!is_envelope_address(mail->from))
        return error_set(error, ERROR_BAD_INPUT, "mail.from is not an address");
    if (!is_envelope_address(mail->to))
        return error_set(error, ERROR_BAD_INPUT, "the account's email is not an address");
    if (mail->size > MAIL_SIZE_MAX)
        return error_set(error, ERROR_TOO_LARGE, "mail of %zu bytes, limit %d", mail->size,
                         MAIL_SIZE_MAX);
    return sender->backend->send(sender, mail, timeout_ms, may_send, context, error);
}
