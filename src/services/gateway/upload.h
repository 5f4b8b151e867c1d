#pragma once

/* What the files of an upload share: upload.c is its life, upload_begin.c how that begins,
 * upload_wish.c what the client asks for before the first byte, upload_admit.c whether it may,
 * upload_key.c and upload_repeat.c whether it has asked before, upload_form.c the parts of a form.
 */

#include "model/conversion.h"
#include "net/multipart.h"
#include "services/gateway/gateway.h"

/* What the framing of a form and its other fields may take beside the video. */
#define UPLOAD_FORM_OVERHEAD_MAX (1U << 20)

/* Known before the first byte of the body. */
struct upload_wish {
    bool is_form;
    bool has_length; /* declared */
    uint64_t length; /* of the body: of a form it is more than the video's size */
    bool has_name;
    char name[CONVERSION_NAME_SIZE];
    struct conversion_options options; /* of the query */
    const char *key;                   /* Idempotency-Key; NULL: none; borrowed from the request */
};

/* How large the video may become, and what it is refused with past that. */
struct upload_room {
    uint64_t size_max;
    const struct failure *failure;
};

struct upload {
    struct http_request *request; /* the one being answered; set at each call */
    struct gateway *gateway;
    struct claims claims;
    struct upload_wish wish;
    struct upload_room room;
    struct conversion record;   /* as stored last */
    struct blob_writer *writer; /* owned */
    uint64_t size;              /* of the video so far */
    uint64_t space_checked_at;  /* of size */
    bool has_no_room;           /* the disk is full: what came goes at once */
    bool is_settled;            /* queued, taken over, or its outcome unknown: hands off */

    /* Of a form. */
    struct multipart *form; /* owned; NULL: the body is the video */
    uint64_t form_size;     /* all of the body so far */
    bool is_in_file, has_file, has_name_field;
    char field_name[64];
    struct buffer field_value; /* owned */
    struct conversion_options options;
    char name[CONVERSION_NAME_SIZE];
};

/* Each answers where it returns false. */
MUST_CHECK bool upload_wish_read(struct http_request *request, bool must_be_form,
                                 struct upload_wish *out_wish);
/* Limits, disk and queue. */
MUST_CHECK bool upload_admit(struct http_request *request, const struct claims *claims,
                             const struct upload_wish *wish, struct upload_room *out_room);
/* Limits and key, then row 1. Where it fails after that, what it made is the caller's to abandon.
 */
MUST_CHECK bool upload_begin(struct upload *upload);
void upload_answer_blob_error(struct upload *upload, const struct error *error);
MUST_CHECK bool upload_open_form(struct upload *upload);
MUST_CHECK bool upload_feed_form(struct upload *upload, const void *bytes, size_t size);
MUST_CHECK bool upload_end_form(struct upload *upload);
/* Bytes of the video. */
MUST_CHECK bool upload_write(struct upload *upload, const void *bytes, size_t size);

/* Is it the request that made the record, as far as can be known before the first byte? Pure;
 * `asked` is what the record's options would be with those of the query applied. */
bool upload_is_repeat(const struct upload_wish *wish, const struct conversion_options *asked,
                      const struct conversion *record);
/* True: the upload may go on as a new one. Otherwise it has answered: with the conversion that the
 * key made before, or with the mismatch. */
MUST_CHECK bool upload_settle_key(struct http_request *request, const struct claims *claims,
                                  const struct upload_wish *wish);

/* Sets the options that the query names; it has answered where it returns false. */
MUST_CHECK bool upload_apply_query(struct http_request *request,
                                   struct conversion_options *options);
