#pragma once

#include <stdbool.h>

/* Compiler attributes under readable names, the same for GCC and Clang. */

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_FORMAT(format_index, first_index)                                                   \
    __attribute__((format(printf, format_index, first_index)))

/* Runs destroy(&variable) when the variable leaves its scope. Destructors for this use end in "p"
 * (for "pointer to the handle") and accept a handle that is NULL. */
#define CLEANUP(destroy) __attribute__((cleanup(destroy)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* For the rare call whose failure changes nothing: GCC ignores a (void) cast on MUST_CHECK. */
static inline void ignore_failure(bool succeeded)
{
    (void)succeeded;
}
