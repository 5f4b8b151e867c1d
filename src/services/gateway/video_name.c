#include "services/gateway/video_name.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define NAME_READ_MAX 65536
#define ENDING_SIZE_MAX 16

static void last_part(const char **bytes, size_t *size)
{
    /* Both slashes, whatever system the name comes from. */
    for (size_t i = *size; i > 0; i--) {
        if ((*bytes)[i - 1] == '/' || (*bytes)[i - 1] == '\\') {
            *bytes += i;
            *size -= i;
            return;
        }
    }
}

static const char *ending_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name && strlen(dot) <= ENDING_SIZE_MAX ? dot : "";
}

/* As much of the stem as leaves room for the ending. */
static void join(const char *stem, const char *ending, char out_name[CONVERSION_NAME_SIZE])
{
    text_copy(out_name, CONVERSION_NAME_SIZE - strlen(ending), stem);
    size_t size = strlen(out_name);
    snprintf(out_name + size, CONVERSION_NAME_SIZE - size, "%s", ending);
}

void video_name_clean(const void *bytes, size_t size, char out_name[CONVERSION_NAME_SIZE])
{
    const char *part = bytes;
    last_part(&part, &size);
    CLEANUP(buffer_finish) struct buffer clean = BUFFER_WITH_MAX(NAME_READ_MAX);
    if (size > NAME_READ_MAX / 3)
        size = NAME_READ_MAX / 3; /* each byte may become three: U+FFFD */
    ignore_failure(text_clean(part, size, &clean, NULL));

    const char *name = buffer_text(&clean);
    name += strspn(name, " ");
    size_t length = strlen(name);
    while (length != 0 && name[length - 1] == ' ')
        length--;
    char *end = clean.bytes != NULL ? clean.bytes + (name - clean.bytes) + length : NULL;
    if (end != NULL)
        *end = '\0';
    if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        name = "video";
    if (strlen(name) < CONVERSION_NAME_SIZE)
        snprintf(out_name, CONVERSION_NAME_SIZE, "%s", name);
    else
        join(name, ending_of(name), out_name);
}

void video_name_to_mp3(const char *name, char out_name[CONVERSION_NAME_SIZE])
{
    char stem[CONVERSION_NAME_SIZE];
    text_copy(stem, sizeof stem, name);
    stem[strlen(stem) - strlen(ending_of(stem))] = '\0';
    join(stem, ".mp3", out_name);
}
