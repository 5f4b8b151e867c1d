#pragma once

/* How text from people gets into a mail: header fields (RFC 2047, RFC 5322), addresses (RFC 5321)
 * and bodies (RFC 2045). Nothing that passes here can end a line or begin a header. All pure. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>

#define MAIL_ADDRESS_SIZE 320 /* RFC 5321 §4.5.3.1: 64 + 1 + 255 */
#define MAIL_NAME_SIZE 128

struct mail_address {
    char name[MAIL_NAME_SIZE]; /* "": none */
    char address[MAIL_ADDRESS_SIZE];
};

/* "a@example.org" or "Tape Deck <a@example.org>". ERROR_BAD_INPUT where it is no address that can
 * stand in an envelope and a header as it is: quoted local parts, comments, spaces, groups. */
MUST_CHECK bool mail_address_parse(const char *text, struct mail_address *out_address,
                                   struct error *error);
const char *mail_address_domain(const struct mail_address *address);

/* "Name: value" CR LF for text from people: as it is where it is short plain ASCII, otherwise as
 * folded encoded words. */
MUST_CHECK bool mail_header_text(struct buffer *mail, const char *name, const char *value,
                                 struct error *error);
MUST_CHECK bool mail_header_address(struct buffer *mail, const char *name,
                                    const struct mail_address *address, struct error *error);

/* Quoted-printable; LF becomes CR LF, no line is longer than 76 bytes, none begins with a dot or
 * with "From ", and none can be a boundary that contains "=_". */
MUST_CHECK bool mail_quoted_printable(struct buffer *mail, const char *text, size_t size,
                                      struct error *error);
