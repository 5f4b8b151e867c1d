#pragma once

/* For implementers: what a mail sender consists of. The checks that all would repeat are made in
 * mail_sender.c before a backend is called. */

#include "stores/mail_sender/mail_sender.h"

struct mail_sender_backend {
    const char *name; /* value of stores.mail */
    bool (*open)(const struct config *config, struct mail_sender **out_sender, struct error *error);
    bool (*check)(struct mail_sender *sender, struct error *error);
    bool (*send)(struct mail_sender *sender, const struct mail *mail, int timeout_ms,
                 mail_sender_may_send *may_send, void *context, struct error *error);
    void (*close)(struct mail_sender *sender); /* also frees it; never given NULL */
};

/* First member of every backend's own struct. */
struct mail_sender {
    const struct mail_sender_backend *backend;
};

extern const struct mail_sender_backend mail_sender_maildir;
extern const struct mail_sender_backend mail_sender_smtp;
