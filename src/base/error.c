#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool(error_set)(struct error *error, enum error_kind kind, const char *format, ...)
{
    if (error == NULL)
        return false;
    error->kind = kind;
    error->failure = NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

bool(error_prefix)(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    char prefix[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);

    char cause[ERROR_TEXT_SIZE];
    memcpy(cause, error->text, sizeof cause);
    /* Both are cut to what fits: the prefix first, since it says where to look. */
    int written = snprintf(error->text, sizeof error->text, "%s: ", prefix);
    if (written > 0 && (size_t)written < sizeof error->text)
        snprintf(error->text + written, sizeof error->text - (size_t)written, "%s", cause);
    return false;
}

static enum error_kind kind_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_CONFLICT;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERROR_TOO_LARGE;
    default:
        return ERROR_UNAVAILABLE;
    }
}

bool(error_set_errno)(struct error *error, int errno_value, const char *format, ...)
{
    if (error == NULL)
        return false;
    char subject[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(subject, sizeof subject, format, arguments);
    va_end(arguments);

    char reason[80];
    /* GNU's strerror_r returns the text, which may not be in the buffer. */
    const char *text = strerror_r(errno_value, reason, sizeof reason);
    return error_set(error, kind_of_errno(errno_value), "%.150s: %s", subject, text);
}
