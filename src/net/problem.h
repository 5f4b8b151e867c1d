#pragma once

/* RFC 9457 problem details of a row of model/failure.c. Pure. */

#include "base/buffer.h"
#include "base/error.h"

struct failure;

#define PROBLEM_SIZE_MAX 4096
#define PROBLEM_CONTENT_TYPE "application/problem+json"

/* Appends {"title","status","code","detail","action","request_id"}. `detail` is a sentence about
 * this case, the row's own where it is NULL, and cut where it is long. */
MUST_CHECK bool problem_format(const struct failure *failure, const char *detail,
                               const char *request_id, struct buffer *out_text,
                               struct error *error);
