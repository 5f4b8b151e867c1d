#include "media/id3.h"

#include "base/compiler.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    HEADER_SIZE = 10,
    ENCODING_LATIN1 = 0,
    ENCODING_UTF8 = 3,
    FRONT_COVER = 3,
    /* Of a table of contents: the first one, and its chapters follow one another. */
    TOP_LEVEL = 2,
    ORDERED = 1,
};

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
                    text_clean_lines(cut, strlen(cut), &content, NULL);
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

static void format_number(uint32_t number, unsigned char out_bytes[4])
{
    for (unsigned i = 0; i < 4; i++)
        out_bytes[i] = (unsigned char)(number >> 8 * (3 - i));
}

#define CHAPTER_ID_SIZE 8 /* "chp254" */

static size_t format_chapter_id(size_t index, char out_id[CHAPTER_ID_SIZE])
{
    return (size_t)snprintf(out_id, CHAPTER_ID_SIZE, "chp%u", (unsigned)index % 1000) + 1;
}

static bool append_chapter(struct buffer *tag, size_t index, const struct id3_chapter *chapter)
{
    char id[CHAPTER_ID_SIZE], cut[ID3_TEXT_SIZE_MAX + 1], title[ID3_CHAPTER_TITLE_SIZE_MAX + 1];
    unsigned char times[16];
    CLEANUP(buffer_finish) struct buffer clean = BUFFER_WITH_MAX(CONTENT_SIZE_MAX);
    CLEANUP(buffer_finish) struct buffer content = BUFFER_WITH_MAX(CONTENT_SIZE_MAX);
    size_t id_size = format_chapter_id(index, id);
    format_number(chapter->begin_ms, times);
    format_number(chapter->end_ms, times + 4);
    memset(times + 8, 0xff, 8); /* only times count, no places in the file */
    if (!buffer_append(&content, id, id_size, NULL) ||
        !buffer_append(&content, times, sizeof times, NULL))
        return false;
    text_copy(cut, sizeof cut, chapter->title);
    if (!text_clean_lines(cut, strlen(cut), &clean, NULL))
        return false;
    text_copy(title, sizeof title, buffer_text(&clean));
    id3_add_text(&content, "TIT2", title);
    return append_frame(tag, "CHAP", &content);
}

static bool append_contents(struct buffer *tag, size_t count)
{
    const char start[] = {'t', 'o', 'c', '\0', TOP_LEVEL | ORDERED, (char)count};
    CLEANUP(buffer_finish) struct buffer content = BUFFER_WITH_MAX(CONTENT_SIZE_MAX);
    bool is_whole = buffer_append(&content, start, sizeof start, NULL);
    for (size_t i = 0; i < count && is_whole; i++) {
        char id[CHAPTER_ID_SIZE];
        size_t id_size = format_chapter_id(i, id);
        is_whole = buffer_append(&content, id, id_size, NULL);
    }
    return is_whole && append_frame(tag, "CTOC", &content);
}

void id3_add_chapters(struct buffer *tag, const struct id3_chapter *chapters, size_t count)
{
    assert(count <= ID3_CHAPTERS_MAX);
    size_t size_before = tag->size;
    bool is_whole = count == 0 || append_contents(tag, count);
    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = append_chapter(tag, i, &chapters[i]);
    if (!is_whole)
        buffer_truncate(tag, size_before);
}

static const char *find_picture_type(const unsigned char *bytes, size_t size)
{
    static const struct {
        const char *type, *magic;
        size_t magic_size;
    } kinds[] = {{"image/jpeg", "\xff\xd8\xff", 3}, {"image/png", "\x89PNG\r\n\x1a\n", 8}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (size > kinds[i].magic_size && memcmp(bytes, kinds[i].magic, kinds[i].magic_size) == 0)
            return kinds[i].type;
    return NULL;
}

bool id3_add_picture(struct buffer *tag, const unsigned char *bytes, size_t size)
{
    static const unsigned char encoding = ENCODING_LATIN1;
    static const unsigned char kind[] = {FRONT_COVER, '\0'}; /* and an empty description */
    const char *type = find_picture_type(bytes, size);
    if (type == NULL || size > ID3_PICTURE_SIZE_MAX)
        return false;
    size_t size_before = tag->size;
    CLEANUP(buffer_finish)
    struct buffer content = BUFFER_WITH_MAX(ID3_PICTURE_SIZE_MAX + CONTENT_SIZE_MAX);
    bool is_added = buffer_append(&content, &encoding, 1, NULL) &&
                    buffer_append(&content, type, strlen(type) + 1, NULL) &&
                    buffer_append(&content, kind, sizeof kind, NULL) &&
                    buffer_append(&content, bytes, size, NULL) &&
                    append_frame(tag, "APIC", &content);
    if (!is_added)
        buffer_truncate(tag, size_before);
    return is_added;
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
