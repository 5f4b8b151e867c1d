#pragma once

/* Everything that a user can be told went wrong: one row each, with the HTTP status it is answered
 * with, a sentence and what to do about it. Whoever knows the cause names the row in its error;
 * the error carries it untouched to where it is answered or stored.
 *
 * Codes are part of the contract: clients hold on to them. */

#include "base/error.h"

struct failure {
    const char *code;     /* "no_audio" */
    int http_status;      /* 0: only ever the `error` of a conversion */
    const char *sentence; /* what happened, for people */
    const char *advice;   /* what to do about it */
    bool is_retryable;    /* the same request can succeed later, unchanged */
};

/* FAILURE_NO_AUDIO is the row "no_audio", and so on: see failure.c for all of them. */
#define FAILURE_CODES(X)                                                                           \
    X(BAD_REQUEST)                                                                                 \
    X(EXACTLY_ONE_FILE_REQUIRED)                                                                   \
    X(EMPTY_FILE)                                                                                  \
    X(FID_REQUIRED)                                                                                \
    X(MISSING_CREDENTIALS)                                                                         \
    X(INVALID_CREDENTIALS)                                                                         \
    X(INVALID_TOKEN)                                                                               \
    X(NOT_ALLOWED)                                                                                 \
    X(NOT_FOUND)                                                                                   \
    X(METHOD_NOT_ALLOWED)                                                                          \
    X(NOT_READY)                                                                                   \
    X(CONVERSION_FAILED)                                                                           \
    X(CONVERSION_CANCELLED)                                                                        \
    X(ALREADY_ENDED)                                                                               \
    X(UPLOAD_TAKEN_OVER)                                                                           \
    X(GONE)                                                                                        \
    X(UPLOAD_TOO_LARGE)                                                                            \
    X(RANGE_NOT_SATISFIABLE)                                                                       \
    X(HEADERS_TOO_LARGE)                                                                           \
    X(UNKNOWN_OPTION)                                                                              \
    X(OPTION_OUT_OF_RANGE)                                                                         \
    X(IDEMPOTENCY_MISMATCH)                                                                        \
    X(TOO_MANY_REQUESTS)                                                                           \
    X(TOO_MANY_UPLOADS)                                                                            \
    X(DAILY_LIMIT)                                                                                 \
    X(STORAGE_LIMIT)                                                                               \
    X(INTERNAL)                                                                                    \
    X(STORE_UNAVAILABLE)                                                                           \
    X(AUTH_UNAVAILABLE)                                                                            \
    X(QUEUE_FULL)                                                                                  \
    X(DISK_FULL)                                                                                   \
    X(NO_AUDIO)                                                                                    \
    X(NO_SUCH_TRACK)                                                                               \
    X(EMPTY_RANGE)                                                                                 \
    X(NOT_MEDIA)                                                                                   \
    X(UNSUPPORTED_CODEC)                                                                           \
    X(DAMAGED)                                                                                     \
    X(UNREADABLE_VIDEO)                                                                            \
    X(TOO_LONG)                                                                                    \
    X(TOO_LARGE)                                                                                   \
    X(TIMED_OUT)

#define FAILURE_DECLARE(NAME) extern const struct failure FAILURE_##NAME;
FAILURE_CODES(FAILURE_DECLARE)
#undef FAILURE_DECLARE

/* NULL where no row has that code: a record written by a newer version. */
const struct failure *failure_find(const char *code);

/* error_set() with the row; returns false. */
bool error_set_failure(struct error *error, enum error_kind kind, const struct failure *failure,
                       const char *format, ...) PRINTF_FORMAT(4, 5);
#define error_set_failure(...) always_false((error_set_failure)(__VA_ARGS__))
