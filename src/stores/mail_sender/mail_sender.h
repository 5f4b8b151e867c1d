#pragma once

/* Hands a finished RFC 5322 message over for delivery.
 *
 * Only the notifier opens it; the option stores.mail chooses the backend (maildir, smtp). A handle
 * belongs to one thread. */

#include "base/error.h"
#include "base/id.h"
#include "config/config.h"
#include <stddef.h>

struct mail_sender;

struct mail {
    const char *from; /* bare addresses for the envelope */
    const char *to;
    const char *key;   /* the same for every repeat of this mail: letters, digits, '-' and '.', at
                          most 64; a sender that can tells by it that it was delivered already */
    const void *bytes; /* headers and body, CR LF line ends */
    size_t size;
};

extern const struct config_option mail_sender_options[]; /* stores.mail */

MUST_CHECK bool mail_sender_open(const struct config *config, struct mail_sender **out_sender,
                                 struct error *error);
void mail_sender_close(struct mail_sender *sender); /* NULL is fine */
void mail_sender_closep(struct mail_sender **sender);
/* Could a mail be handed over now? Of smtp: reachable, verified, and the login is taken. Blocks for
 * at most 15 s. */
MUST_CHECK bool mail_sender_check(struct mail_sender *sender, struct error *error);

/* True: accepted for delivery, durably. Blocks for at most timeout_ms in all. ERROR_UNAVAILABLE:
 * try again later; it may have been accepted. ERROR_BAD_INPUT: refused for good, error->text is the
 * server's reason. may_send is asked right before the message itself is handed over, so that a
 * sender which stood still for too long gives up (ERROR_UNAVAILABLE) instead of sending a mail that
 * another has sent meanwhile. */
typedef bool mail_sender_may_send(void *context);
MUST_CHECK bool mail_sender_send(struct mail_sender *sender, const struct mail *mail,
                                 int timeout_ms, mail_sender_may_send *may_send, void *context,
                                 struct error *error);
