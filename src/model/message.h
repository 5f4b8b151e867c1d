#pragma once

/* The message on the queues `video` and `mp3`: a superset of the original system's body. It only
 * says "look now"; the record says what is true. Pure. */

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include "model/claims.h"

#define MESSAGE_SIZE_MAX 4096 /* a longer body is malformed */

struct message {
    struct id video_id;      /* `video_fid`; none only on `mp3` */
    struct id mp3_id;        /* `mp3_fid`; none is null */
    struct id conversion_id; /* none: an original service wrote it */
    char username[CLAIMS_EMAIL_SIZE];
};

/* ERROR_BAD_INPUT: malformed; the text is the reason that a dead letter carries. */
MUST_CHECK bool message_parse(const void *bytes, size_t size, struct message *out_message,
                              struct error *error);
/* Appends; aborts where the buffer has less than MESSAGE_SIZE_MAX bytes of room and needs them. */
void message_format(const struct message *message, struct buffer *out_body);
