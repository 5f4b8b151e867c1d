#include "media/id3.h"

#include "base/text.h"
#include <string.h>

enum { HEADER_SIZE = 10, ENCODING_UTF8 = 3 };

/* Three bytes for each that is not UTF-8, and what stands before a text. */
#define CONTENT_SIZE_MAX (3 * ID3_TEXT_SIZE_MAX + 16)

/* Sizes have seven bits a byte, so that no byte looks like the start of an MPEG frame. */
static void format_size(size_t size, unsigned char out_bytes[4])
{
    for (unsigned i = 0; i < 4; i++)
        out_bytes[i] = (unsigned char)(size >> 7 * (3 - i) & 0x7f);
}

static bool append_frame(struct buffer *tag, const char frame_id[5], const struct buffer *content)
{
    unsigned char header[HEADER_SIZE] = {0};
    memcpy(header, frame_id, 4);
    format_size(content->size, header + 4);
    return buffer_append(tag, header, sizeof header, NULL) &&
           buffer_append(tag, content->bytes, content->size, NULL);
}

/* `start` is what the content begins with: the encoding, and what a frame has before its text. */
static void add_frame(struct buffer *tag, const char frame_id[5], const char *start,
                      size_t start_size, const char *text)
{
    char cut[ID3_TEXT_SIZE_MAX + 1];
    size_t size_before = tag->size;
    CLEANUP(buffer_finish) struct buffer content = BUFFER_WITH_MAX(CONTENT_SIZE_MAX);
    text_copy(cut, sizeof cut, text);
    bool is_whole = buffer_append(&content, start, start_size, NULL) &&
                    text_clean(cut, strlen(cut), &content, NULL);
    if (is_whole && content.size > start_size && !append_frame(tag, frame_id, &content))
        buffer_truncate(tag, size_before);
}

void id3_add_text(struct buffer *tag, const char frame_id[5], const char *text)
{
    static const char start[] = {ENCODING_UTF8};
    add_frame(tag, frame_id, start, sizeof start, text);
}

void id3_add_comment(struct buffer *tag, const char *text)
{
    /* No known language, and an empty description with its NUL. */
    static const char start[] = {ENCODING_UTF8, 'u', 'n', 'd', '\0'};
    add_frame(tag, "COMM", start, sizeof start, text);
}

void id3_finish(struct buffer *tag)
{
    if (tag->size == 0)
        return;
    unsigned char header[HEADER_SIZE] = {'I', 'D', '3', 4, 0, 0};
    format_size(tag->size, header + 6);
    struct buffer whole = BUFFER_WITH_MAX(tag->size_max + HEADER_SIZE);
    ignore_failure(buffer_append(&whole, header, sizeof header, NULL) &&
                   buffer_append(&whole, tag->bytes, tag->size, NULL));
    buffer_finish(tag);
    *tag = whole;
}
