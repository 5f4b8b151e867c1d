#pragma once

/* Content-Disposition with a file name (RFC 6266, RFC 8187): an ASCII form for old clients and,
 * where that is not the same, the UTF-8 one. Pure. */

#include "base/buffer.h"
#include "base/error.h"

#define CONTENT_DISPOSITION_SIZE_MAX 2048

/* Appends `attachment; filename="…"` and perhaps `; filename*=UTF-8''…`. Slashes, quotes, percent
 * signs and control characters are replaced in the first; of the name, which should be UTF-8, as
 * much as fits is used. */
MUST_CHECK bool content_disposition_format(const char *file_name, struct buffer *out_value,
                                           struct error *error);
