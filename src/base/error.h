#pragma once

/* Why something failed: a kind that code decides by, a sentence for people, and where the cause is
 * one that a user is told about, the row of model/failure.c that says so.
 *
 * Every function that can fail returns bool and takes `struct error *error` last. It touches *error
 * only when it returns false. */

#include "base/compiler.h"

struct failure; /* model/failure.h */

enum error_kind {
    ERROR_NONE = 0,
    ERROR_BAD_INPUT, /* the caller's data is wrong; a retry cannot help */
    ERROR_DENIED,
    ERROR_NOT_FOUND,
    ERROR_CONFLICT,    /* someone else changed it first */
    ERROR_TOO_LARGE,   /* a bound was reached */
    ERROR_UNAVAILABLE, /* a peer, disk or network failed; the outcome is unknown; retry later */
    ERROR_INTERNAL,    /* our bug, or stored data we cannot read */
};

#define ERROR_TEXT_SIZE 240

struct error {
    enum error_kind kind;
    const struct failure *failure; /* NULL where the cause is not one of the user's */
    char text[ERROR_TEXT_SIZE];
};

/* Both return false, so that failing is one line: return error_set(error, …). A text that does not
 * fit is cut. `error` may be NULL where the caller does not want to know. */
bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
    PRINTF_FORMAT(3, 4);
bool error_prefix(struct error *error, const char *format, ...) PRINTF_FORMAT(2, 3);

/* Sets kind and text from an errno value: "open /x: No such file or directory". ENOENT is
 * NOT_FOUND, ENOSPC, EDQUOT and EFBIG are TOO_LARGE, EEXIST is CONFLICT, EACCES and EPERM are
 * DENIED, all else is UNAVAILABLE. */
bool error_set_errno(struct error *error, int errno_value, const char *format, ...)
    PRINTF_FORMAT(3, 4);

/* Compilers and analyzers cannot look into error.c. Here they see that all of these return false,
 * and so that a caller who was told of success may read what was set. */
static inline bool always_false(bool returned)
{
    (void)returned;
    return false;
}
#define error_set(...) always_false((error_set)(__VA_ARGS__))
#define error_prefix(...) always_false((error_prefix)(__VA_ARGS__))
#define error_set_errno(...) always_false((error_set_errno)(__VA_ARGS__))
