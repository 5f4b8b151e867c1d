#pragma once

/* What the two mails say, each as plain text and as HTML. Pure.
 *
 * Templates with {places}. A line that names a value which is not known is left out, and of empty
 * lines beside each other one is kept; so a template reads as its longest form. */

#include "base/buffer.h"
#include "base/error.h"

enum mail_kind { MAIL_DONE, MAIL_FAILED };
enum mail_form { MAIL_TEXT, MAIL_HTML };

/* Values are borrowed; NULL or "" is not known. Clean of control characters. */
struct mail_facts {
    const char *name;          /* of the video */
    const char *conversion_id; /* of one that our own gateway made */
    const char *mp3_id;
    const char *link;
    const char *size, *length, *quality;
    const char *expiry;  /* "24 December 2026, 10:00 UTC" */
    const char *warning; /* something about the MP3 that its owner should know */
    const char *problem; /* of a failed one: what was wrong … */
    const char *advice;  /* … and what to do */
};

MUST_CHECK bool mail_text_write(struct buffer *out_text, enum mail_kind kind, enum mail_form form,
                                const struct mail_facts *facts, struct error *error);
