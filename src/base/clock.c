#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t advanced_ms;

static int64_t read_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&advanced_ms);
}

int64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

void clock_advance_ms(int64_t milliseconds)
{
    atomic_fetch_add(&advanced_ms, milliseconds);
}

static int64_t floor_seconds(int64_t wall_ms)
{
    return wall_ms >= 0 ? wall_ms / 1000 : -((-wall_ms + 999) / 1000);
}

static size_t format_second(int64_t wall_ms, char *text, size_t size)
{
    time_t seconds = (time_t)floor_seconds(wall_ms);
    struct tm fields;
    if (gmtime_r(&seconds, &fields) == NULL)
        return (size_t)snprintf(text, size, "0000-00-00T00:00:00");
    return strftime(text, size, "%Y-%m-%dT%H:%M:%S", &fields);
}

void clock_format_seconds(int64_t wall_ms, char out_text[CLOCK_TEXT_SIZE])
{
    size_t used = format_second(wall_ms, out_text, CLOCK_TEXT_SIZE);
    snprintf(out_text + used, CLOCK_TEXT_SIZE - used, "Z");
}

void clock_format_milliseconds(int64_t wall_ms, char out_text[CLOCK_TEXT_SIZE])
{
    size_t used = format_second(wall_ms, out_text, CLOCK_TEXT_SIZE);
    int milliseconds = (int)(wall_ms - floor_seconds(wall_ms) * 1000);
    snprintf(out_text + used, CLOCK_TEXT_SIZE - used, ".%03dZ", milliseconds);
}
