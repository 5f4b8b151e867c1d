#pragma once

/* The metrics of several processes as one text (Prometheus exposition format 0.0.4), which wants
 * the samples of a family together, under one HELP and one TYPE. The samples tell the processes
 * apart by their label `service`. Pure. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>

#define METRICS_MERGE_TEXTS_MAX 8

/* Families stand where they are first met. A text that does not begin with a comment that names a
 * family is left out up to the first one. */
MUST_CHECK bool metrics_merge(const char *const *texts, size_t count, struct buffer *out_text,
                              struct error *error);
