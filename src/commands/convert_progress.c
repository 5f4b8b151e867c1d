#include "commands/convert_progress.h"

#include "base/clock.h"
#include "base/text.h"
#include <stdio.h>
#include <unistd.h>

#define BAR_CELLS 30
#define BAR_INTERVAL_MS 100
#define LINE_INTERVAL_MS (10 * CLOCK_SECOND_MS)

void convert_progress_begin(struct convert_progress *progress, bool is_quiet)
{
    *progress = (struct convert_progress){
        .form = is_quiet                ? CONVERT_PROGRESS_NONE
                : isatty(STDERR_FILENO) ? CONVERT_PROGRESS_BAR
                                        : CONVERT_PROGRESS_LINES,
        .started_ms = clock_boot_ms(),
    };
    progress->shown_ms = progress->started_ms;
}

double convert_progress_seconds(const struct convert_progress *progress)
{
    int64_t ms = clock_boot_ms() - progress->started_ms;
    return (double)(ms > 0 ? ms : 1) / 1000;
}

static void describe(const struct convert_progress *progress, const struct worker_progress *now,
                     char *out_text, size_t size)
{
    double seconds = convert_progress_seconds(progress);
    char position[TEXT_UNIT_SIZE], duration[TEXT_UNIT_SIZE], left[TEXT_UNIT_SIZE];
    text_format_length_for_people(now->position_seconds, position);
    text_format_length_for_people(now->duration_seconds, duration);
    double left_seconds = now->fraction > 0 ? seconds * (1 - now->fraction) / now->fraction : 0;
    text_format_length_for_people(left_seconds, left);
    bool has_duration = now->duration_seconds > 0;
    bool has_left = now->fraction > 0.01;
    snprintf(out_text, size, "%3.0f %%  %s%s%s  %.1fx%s%s%s", now->fraction * 100, position,
             has_duration ? " of " : "", has_duration ? duration : "",
             now->position_seconds / seconds, has_left ? "  " : "", has_left ? left : "",
             has_left ? " left" : "");
}

static void draw_bar(const struct worker_progress *now, const char *text)
{
    char bar[BAR_CELLS + 1];
    int full = (int)(now->fraction * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    /* Back to the line's start, and at its end erase what a longer one left (ECMA-48 EL). */
    fprintf(stderr, "\r[%s] %s\033[K", bar, text);
    fflush(stderr);
}

void convert_progress_show(struct convert_progress *progress, const struct worker_progress *now)
{
    int64_t now_ms = clock_boot_ms();
    int64_t interval_ms =
        progress->form == CONVERT_PROGRESS_BAR ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
    if (progress->form == CONVERT_PROGRESS_NONE || now_ms - progress->shown_ms < interval_ms)
        return;
    progress->shown_ms = now_ms;
    char text[160];
    describe(progress, now, text, sizeof text);
    if (progress->form == CONVERT_PROGRESS_BAR) {
        draw_bar(now, text);
        progress->has_bar = true;
    } else {
        fprintf(stderr, "%s\n", text);
    }
}

void convert_progress_end(struct convert_progress *progress)
{
    if (progress->has_bar)
        fprintf(stderr, "\r\033[K");
    progress->has_bar = false;
}
