#pragma once

/* multipart/form-data (RFC 7578), read from a body that comes in pieces of any size. Pure: bytes
 * in, callbacks out. Runs at the speed of memchr: what is inside a part is never looked at byte by
 * byte.
 *
 * Names and file names are as browsers send them: quoted strings in UTF-8 where `"`, CR and LF are
 * %22, %0D and %0A; RFC 5987's filename* is taken, too, and wins. They are not checked to be UTF-8.
 */

#include "base/error.h"
#include <stddef.h>

#define MULTIPART_BOUNDARY_SIZE_MAX 70  /* RFC 2046 §5.1.1 */
#define MULTIPART_HEADERS_SIZE_MAX 4096 /* of one part */
#define MULTIPART_NAME_SIZE 1024

struct multipart_part {
    char name[MULTIPART_NAME_SIZE];
    char file_name[MULTIPART_NAME_SIZE]; /* without a path */
    bool has_file_name;                  /* it is a file, even if its name is empty */
    char content_type[128];              /* "" where none was given, cut where it is long */
};

/* Returning false stops the scan: multipart_feed() returns false and touches no error. */
struct multipart_handler {
    bool (*begin)(void *context, const struct multipart_part *part);
    bool (*data)(void *context, const void *bytes, size_t size);
    bool (*end)(void *context);
};

struct multipart;

bool multipart_is_content_type(const char *content_type); /* NULL is none */
/* `content_type` is the request's header, with the boundary in it. ERROR_BAD_INPUT: it is no
 * multipart/form-data, or its boundary is missing or too long. At most `parts_max` parts. */
MUST_CHECK bool multipart_open(const char *content_type, size_t parts_max,
                               const struct multipart_handler *handler, void *context,
                               struct multipart **out_multipart, struct error *error);
/* ERROR_BAD_INPUT: malformed; ERROR_TOO_LARGE: headers or number of parts. Nothing may be fed after
 * a failure. */
MUST_CHECK bool multipart_feed(struct multipart *multipart, const void *bytes, size_t size,
                               struct error *error);
/* The body is complete: ERROR_BAD_INPUT where its last boundary has not come. */
MUST_CHECK bool multipart_finish(struct multipart *multipart, struct error *error);
void multipart_close(struct multipart *multipart); /* NULL is fine */
void multipart_closep(struct multipart **multipart);
