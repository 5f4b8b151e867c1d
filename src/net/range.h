#pragma once

/* Conditional and range requests for one representation with a strong ETag (RFC 9110 §13, §14).
 * Pure. */

#include <stdbool.h>
#include <stdint.h>

enum range_result {
    RANGE_WHOLE,         /* 200: no range asked for, or one that is to be ignored */
    RANGE_PART,          /* 206: from `offset`, `length` bytes */
    RANGE_UNSATISFIABLE, /* 416 with Content-Range: bytes * / size */
};

struct range {
    uint64_t offset, length;
};

/* `range` and `if_range` are the headers, NULL where there is none; `etag` is the representation's,
 * with its quotes. A header that is malformed, in another unit or for several ranges is ignored, as
 * §14.2 allows; so is one whose If-Range is not this very ETag (a date never is). *out_range is the
 * whole where it is not a part. */
enum range_result range_parse(const char *range, const char *if_range, const char *etag,
                              uint64_t size, struct range *out_range);

/* "bytes 0-9/10", or "bytes * / 10" (without the spaces) where `range` is NULL. */
#define RANGE_TEXT_SIZE 72
void range_format(const struct range *range, uint64_t size, char out_text[RANGE_TEXT_SIZE]);

/* If-None-Match (weak comparison, §13.1.2): a list of ETags or "*". NULL matches nothing. */
bool etag_matches_weakly(const char *list, const char *etag);
