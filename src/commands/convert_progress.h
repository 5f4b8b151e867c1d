#pragma once

/* What `convert` says while it works, on standard error: a bar that moves on a terminal, a line now
 * and then elsewhere, nothing where that was asked for. */

#include "base/error.h"
#include "sandbox/worker_process.h"

enum convert_progress_form {
    CONVERT_PROGRESS_BAR,
    CONVERT_PROGRESS_LINES,
    CONVERT_PROGRESS_NONE,
};

struct convert_progress {
    enum convert_progress_form form;
    int64_t started_ms; /* boot clock */
    int64_t shown_ms;
    bool has_bar; /* a bar stands on the last line */
};

void convert_progress_begin(struct convert_progress *progress, bool is_quiet);
void convert_progress_show(struct convert_progress *progress, const struct worker_progress *now);
/* Takes the bar away, so that what is said next begins on a line of its own. */
void convert_progress_end(struct convert_progress *progress);
/* Seconds since the beginning, never 0. */
double convert_progress_seconds(const struct convert_progress *progress);
