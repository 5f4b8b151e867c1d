#pragma once

/* The mail about one conversion that has ended (docs/messages.md, "Email"): RFC 5322,
 * multipart/alternative. Pure: record in, bytes out. */

#include "base/buffer.h"
#include "base/error.h"
#include "model/conversion.h"
#include "services/common/public_url.h"
#include "services/notifier/mail_encode.h"

#define MAIL_SIZE_MAX 65536
#define MAIL_KEY_SIZE 64

/* Who writes, and where links lead. */
struct mail_identity {
    struct mail_address from;
    struct mail_address reply_to; /* address "": none */
    struct public_url url;
};

/* "66f0….done": the same for every repeat; Message-ID and Maildir's file name are made of it. */
void mail_key(const struct conversion *record, char out_key[MAIL_KEY_SIZE]);

/* Appends the whole message, CR LF line ends. The record is done or failed. ERROR_BAD_INPUT: the
 * owner's address is none that mail can be sent to. */
MUST_CHECK bool mail_compose(const struct mail_identity *identity, const struct conversion *record,
                             int64_t now_ms, struct buffer *out_mail, struct error *error);
