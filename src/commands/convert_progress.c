#include "commands/convert_progress.h"

#include "base/clock.h"
#include "base/text.h"
#include "commands/say.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define LINE_INTERVAL_MS (10 * CLOCK_SECOND_MS)
/* Earlier, the speed is a guess about start-up. */
#define SPEED_AFTER_MS 1000

void convert_progress_begin(struct convert_progress *progress, bool is_quiet)
{
    *progress = (struct convert_progress){
        .is_quiet = is_quiet,
        .is_terminal = isatty(STDERR_FILENO) == 1,
        .started_ms = clock_boot_ms(),
    };
    progress->shown_ms = progress->started_ms;
}

static double elapsed_seconds(const struct convert_progress *progress)
{
    int64_t elapsed_ms = clock_boot_ms() - progress->started_ms;
    return (double)(elapsed_ms > 0 ? elapsed_ms : 1) / 1000;
}

/* "  58x, 0:12 left": empty while too little is known. */
static void format_speed(const struct convert_progress *progress, const struct worker_progress *now,
                         char *out_text, size_t size)
{
    double elapsed = elapsed_seconds(progress);
    out_text[0] = '\0';
    if (elapsed * 1000 < SPEED_AFTER_MS || now->position_seconds <= 0)
        return;
    char left[TEXT_UNIT_SIZE] = "";
    if (now->fraction > 0)
        text_format_length_for_people(elapsed * (1 - now->fraction) / now->fraction, left);
    snprintf(out_text, size, "  %.0fx%s%s%s", now->position_seconds / elapsed,
             left[0] != '\0' ? ", " : "", left, left[0] != '\0' ? " left" : "");
}

static void show_bar(const struct convert_progress *progress, const struct worker_progress *now)
{
    char bar[BAR_WIDTH + 1];
    char speed[80];
    int filled = (int)(now->fraction * BAR_WIDTH);
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    format_speed(progress, now, speed, sizeof speed);
    fprintf(stderr, "\r[%s] %3.0f %%%s\x1b[K", bar, now->fraction * 100, speed);
}

void convert_progress_show(struct convert_progress *progress, const struct worker_progress *now)
{
    if (progress->is_quiet)
        return;
    if (progress->is_terminal) {
        show_bar(progress, now);
        return;
    }
    if (clock_boot_ms() - progress->shown_ms < LINE_INTERVAL_MS)
        return;
    progress->shown_ms = clock_boot_ms();
    char speed[80];
    format_speed(progress, now, speed, sizeof speed);
    fprintf(stderr, "%.0f %%%s\n", now->fraction * 100, speed);
}

void convert_progress_clear(struct convert_progress *progress)
{
    if (!progress->is_quiet && progress->is_terminal)
        fputs("\r\x1b[K", stderr);
}

static void print_summary(const struct convert_progress *progress,
                          const struct convert_request *request, const struct worker_result *result)
{
    char size[TEXT_UNIT_SIZE];
    char length[TEXT_UNIT_SIZE];
    double elapsed = elapsed_seconds(progress);
    text_format_size_for_people(result->size_bytes, size);
    text_format_length_for_people(result->duration_seconds, length);
    say("%s: %s, %s, %u kb/s%s, %u Hz, %s, in %.1f s (%.0fx)",
        strcmp(request->output, "-") == 0 ? "standard output" : request->output, size, length,
        result->bitrate_kbps, request->options.has_vbr_quality ? " on average" : "",
        result->sample_rate_hz, result->channels == 1 ? "mono" : "stereo", elapsed,
        result->duration_seconds / elapsed);
    uint32_t wanted_kbps = request->options.bitrate_kbps;
    if (wanted_kbps != 0 && wanted_kbps != result->bitrate_kbps)
        say("note: there is no %u kb/s at %u Hz, so it has %u kb/s", wanted_kbps,
            result->sample_rate_hz, result->bitrate_kbps);
}

void convert_progress_end(const struct convert_progress *progress,
                          const struct convert_request *request, const struct worker_result *result)
{
    if (!progress->is_quiet)
        print_summary(progress, request, result);
    /* Even when quiet: the exit status does not tell. */
    if (result->is_truncated)
        say("warning: %s ends early or is damaged: what could be read was converted",
            strcmp(request->input, "-") == 0 ? "standard input" : request->input);
}
