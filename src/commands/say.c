#include "commands/say.h"

#include "base/buffer.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>

/* Two paths and some words; escaped, at most four times that. */
#define LINE_SIZE_MAX 10000

void say(const char *format, ...)
{
    char line[LINE_SIZE_MAX];
    va_list arguments;
    CLEANUP(buffer_finish) struct buffer shown = BUFFER_WITH_MAX((size_t)4 * LINE_SIZE_MAX);
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    ignore_failure(text_escape_terminal(line, &shown, NULL));
    fprintf(stderr, "%s\n", buffer_text(&shown));
}
