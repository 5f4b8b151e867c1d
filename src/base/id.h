#pragma once

/* Twelve bytes written as 24 lowercase hex digits: the layout of a MongoDB ObjectId (seconds since
 * 1970, five random bytes of the process, a counter; BSON specification, "ObjectId"), so that ids
 * made by us and by any driver look alike and sort by the second they were made in. */

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

#define ID_BYTES 12

struct id {
    char text[2 * ID_BYTES + 1]; /* "" is "no id" */
};

struct id id_make(void);        /* unique across processes; safe from any thread */
struct id id_make_random(void); /* twelve unpredictable bytes: a holder's mark */
struct id id_from_bytes(const unsigned char bytes[ID_BYTES]);

/* ERROR_BAD_INPUT unless exactly 24 hex digits; uppercase is taken and made lowercase. */
MUST_CHECK bool id_parse(const char *text, struct id *out_id, struct error *error);

bool id_is_none(const struct id *id);
bool id_is_equal(const struct id *a, const struct id *b);
int64_t id_made_ms(const struct id *id); /* wall time that the first four bytes name */

/* Fills with unpredictable bytes; aborts where the kernel has none to give. */
void random_fill(void *bytes, size_t size);
