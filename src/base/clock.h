#pragma once

/* The time, from one place, so that tests can set it.
 *
 * Wall-clock time is for what people read and what a store dates; BOOTTIME, which counts through a
 * suspend and never jumps, is for leases, deadlines and waits. */

#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND_MS INT64_C(1000)
#define CLOCK_MINUTE_MS (60 * CLOCK_SECOND_MS)
#define CLOCK_HOUR_MS (60 * CLOCK_MINUTE_MS)
#define CLOCK_DAY_MS (24 * CLOCK_HOUR_MS)

int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */
int64_t clock_boot_ms(void); /* since boot */

/* Adds to both clocks from now on, in every thread: how a test moves time without waiting. */
void clock_advance_ms(int64_t milliseconds);

/* RFC 3339 in UTC, "2026-11-24T10:00:00Z" or with ".123"; years 0 to 9999. */
#define CLOCK_TEXT_SIZE 32
void clock_format_seconds(int64_t wall_ms, char out_text[CLOCK_TEXT_SIZE]);
void clock_format_milliseconds(int64_t wall_ms, char out_text[CLOCK_TEXT_SIZE]);
