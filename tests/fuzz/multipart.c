#include "net/multipart.h"

#include "base/buffer.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

/* The first byte is the size of the pieces. However a body is cut, it is read as the same parts. */

#define PARTS_MAX 4
#define STORY_SIZE_MAX ((size_t)4 << 20)

static bool tell_begin(void *context, const struct multipart_part *part)
{
    must(strlen(part->name) < MULTIPART_NAME_SIZE);
    must(strchr(part->file_name, '/') == NULL);
    return buffer_append_format(context, NULL, "[%s|%s|%d|%s]", part->name, part->file_name,
                                part->has_file_name, part->content_type);
}

static bool tell_data(void *context, const void *bytes, size_t size)
{
    must(size > 0);
    return buffer_append(context, bytes, size, NULL);
}

static bool tell_end(void *context)
{
    return buffer_append_text(context, ";", NULL);
}

static const struct multipart_handler handler = {tell_begin, tell_data, tell_end};

static bool feed_in_pieces(const uint8_t *bytes, size_t size, size_t piece_size,
                           struct buffer *story, struct error *error)
{
    CLEANUP(multipart_closep) struct multipart *multipart = NULL;
    must(multipart_open("multipart/form-data; boundary=-x", PARTS_MAX, &handler, story, &multipart,
                        error));
    while (size > 0) {
        size_t count = size < piece_size ? size : piece_size;
        char *exact = malloc(count);
        if (exact == NULL)
            abort();
        memcpy(exact, bytes, count);
        bool is_fed = multipart_feed(multipart, exact, count, error);
        free(exact);
        if (!is_fed)
            return false;
        bytes += count;
        size -= count;
    }
    return multipart_finish(multipart, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0}, other_error = {0};
    if (size < 2)
        return 0;
    size_t piece_size = bytes[0] > 0 ? bytes[0] : 1;
    CLEANUP(buffer_finish) struct buffer story = BUFFER_WITH_MAX(STORY_SIZE_MAX);
    CLEANUP(buffer_finish) struct buffer other = BUFFER_WITH_MAX(STORY_SIZE_MAX);
    bool is_read = feed_in_pieces(bytes + 1, size - 1, size, &story, &error);
    must(feed_in_pieces(bytes + 1, size - 1, piece_size, &other, &other_error) == is_read);
    must(error.kind == other_error.kind);
    must(story.size == other.size);
    must(story.size == 0 || memcmp(story.bytes, other.bytes, story.size) == 0);
    return 0;
}
