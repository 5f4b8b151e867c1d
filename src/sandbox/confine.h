#pragma once

/* What a worker gives up before it looks at its first byte: no new privileges, no core dump, nobody
 * may trace it, no file may grow, no descriptor may be opened beyond those it was given, and its
 * memory has a hard limit. For the whole process; cannot be undone. */

#include "base/error.h"

/* Encoders at once: 64 MiB for one, 24 more for each other (15 of sound, 8 of stack). */
#define CONFINE_ENCODERS_MAX 16
/* Above what any honest input needs: all encoders, and the index of an MP4, 60 bytes a sample,
 * which for 12 hours of video with sound is 300 MB. */
#define CONFINE_DATA_SIZE_MAX (UINT64_C(768) << 20)
/* Shared anonymous memory does not count as data, so the address space has a limit too; FFmpeg's
 * libraries alone map 300 MB of it. */
#define CONFINE_ADDRESS_SPACE_MAX (UINT64_C(1536) << 20)

/* The highest descriptor in use must be below fd_count. */
MUST_CHECK bool confine_process(unsigned fd_count, struct error *error);
