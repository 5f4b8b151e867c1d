#include "media/id3.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

enum {
    HEADER_SIZE = 10,
    ENCODING_UTF8 = 3,
    PICTURE_FRONT_COVER = 3,
    TOC_TOP_LEVEL_ORDERED = 3,
};
#define NO_OFFSET 0xffffffffU

/* One frame's content, before it is known whether it fits. */
#define FRAME_SIZE_MAX (ID3_PICTURE_SIZE_MAX + 256)

static void add(struct buffer *content, const void *bytes, size_t size)
{
    /* A content that grew past its maximum is dropped as a whole by add_frame(). */
    if (!buffer_append(content, bytes, size, NULL))
        content->size_max = 0;
}

static void add_byte(struct buffer *content, unsigned char byte)
{
    add(content, &byte, 1);
}

static void add_number(struct buffer *content, uint32_t number)
{
    unsigned char bytes[4] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
                              (unsigned char)(number >> 8), (unsigned char)number};
    add(content, bytes, sizeof bytes);
}

/* Sizes have seven bits a byte, so that no byte looks like the start of an MPEG frame. */
static void format_size(size_t size, unsigned char out_bytes[4])
{
    for (unsigned i = 0; i < 4; i++)
        out_bytes[i] = (unsigned char)(size >> 7 * (3 - i) & 0x7f);
}

static void add_frame(struct buffer *to, const char frame_id[5], struct buffer *content)
{
    unsigned char header[HEADER_SIZE] = {0};
    memcpy(header, frame_id, 4);
    format_size(content->size, header + 4);
    size_t room = to->size_max - to->size;
    if (content->size_max != 0 && content->size != 0 && room >= HEADER_SIZE &&
        content->size <= room - HEADER_SIZE) {
        add(to, header, sizeof header);
        add(to, content->bytes, content->size);
    }
    buffer_finish(content);
}

/* False: nothing is left of it. */
static bool clean(const char *text, struct buffer *out_text)
{
    char cut[ID3_TEXT_SIZE_MAX + 1];
    text_copy(cut, sizeof cut, text);
    *out_text = BUFFER_WITH_MAX(3 * sizeof cut);
    return text_clean(cut, strlen(cut), out_text, NULL) && out_text->size > 0;
}

static void add_text_frame(struct buffer *to, const char frame_id[5], const char *prefix,
                           size_t prefix_size, const char *text)
{
    struct buffer cleaned;
    struct buffer content = BUFFER_WITH_MAX(FRAME_SIZE_MAX);
    if (clean(text, &cleaned)) {
        add_byte(&content, ENCODING_UTF8);
        add(&content, prefix, prefix_size);
        add(&content, cleaned.bytes, cleaned.size);
    }
    buffer_finish(&cleaned);
    add_frame(to, frame_id, &content);
}

void id3_add_text(struct buffer *tag, const char frame_id[5], const char *text)
{
    add_text_frame(tag, frame_id, "", 0, text);
}

void id3_add_comment(struct buffer *tag, const char *text)
{
    /* No known language, and an empty description with its NUL. */
    static const char prefix[] = "und";
    add_text_frame(tag, "COMM", prefix, sizeof prefix, text);
}

void id3_add_picture(struct buffer *tag, const char *media_type, const void *bytes, size_t size)
{
    struct buffer content = BUFFER_WITH_MAX(FRAME_SIZE_MAX);
    if (size == 0 || size > ID3_PICTURE_SIZE_MAX)
        return;
    add_byte(&content, ENCODING_UTF8);
    add(&content, media_type, strlen(media_type) + 1);
    add_byte(&content, PICTURE_FRONT_COVER);
    add_byte(&content, '\0'); /* no description */
    add(&content, bytes, size);
    add_frame(tag, "APIC", &content);
}

static size_t chapter_name(unsigned index, char out_name[16])
{
    int size = snprintf(out_name, 16, "ch%u", index);
    return (size_t)size + 1;
}

void id3_add_chapter(struct buffer *tag, unsigned index, uint32_t start_ms, uint32_t end_ms,
                     const char *title)
{
    struct buffer content = BUFFER_WITH_MAX(FRAME_SIZE_MAX);
    char name[16];
    add(&content, name, chapter_name(index, name));
    add_number(&content, start_ms);
    add_number(&content, end_ms);
    add_number(&content, NO_OFFSET);
    add_number(&content, NO_OFFSET);
    if (title != NULL)
        id3_add_text(&content, "TIT2", title);
    add_frame(tag, "CHAP", &content);
}

void id3_add_chapter_list(struct buffer *tag, unsigned count)
{
    struct buffer content = BUFFER_WITH_MAX(FRAME_SIZE_MAX);
    if (count == 0 || count > 255) /* the list counts in one byte */
        return;
    add(&content, "toc", sizeof "toc");
    add_byte(&content, TOC_TOP_LEVEL_ORDERED);
    add_byte(&content, (unsigned char)count);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        add(&content, name, chapter_name(i, name));
    }
    add_frame(tag, "CTOC", &content);
}

void id3_finish(struct buffer *tag)
{
    if (tag->size == 0)
        return;
    unsigned char header[HEADER_SIZE] = {'I', 'D', '3', 4, 0, 0};
    format_size(tag->size, header + 6);
    struct buffer whole = BUFFER_WITH_MAX(tag->size_max + HEADER_SIZE);
    add(&whole, header, sizeof header);
    add(&whole, tag->bytes, tag->size);
    buffer_finish(tag);
    *tag = whole;
}
