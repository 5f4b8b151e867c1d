#pragma once

/* What `tapedeck convert` says while it works, on standard error: a bar on a terminal, a line now
 * and then elsewhere. */

#include "commands/convert_arguments.h"
#include "sandbox/worker_process.h"
#include <stdbool.h>
#include <stdint.h>

struct convert_progress {
    bool is_quiet;
    bool is_terminal;
    int64_t started_ms;
    int64_t shown_ms;
};

void convert_progress_begin(struct convert_progress *progress, bool is_quiet);
void convert_progress_show(struct convert_progress *progress, const struct worker_progress *now);
void convert_progress_clear(struct convert_progress *progress); /* the bar, before other text */
/* What became of it, and what the user should know about that. */
void convert_progress_end(const struct convert_progress *progress,
                          const struct convert_request *request,
                          const struct worker_result *result);
