#include "media/tags.h"

#include "base/compiler.h"
#include "media/cut.h"
#include "media/id3.h"
#include <stddef.h>
#include <string.h>

#define NO_OPTION SIZE_MAX

/* `names` are libavformat's, tried in turn. */
static const struct tag {
    char frame_id[5];
    size_t option; /* offset in struct conversion_options */
    const char *names[3];
} tags[] = {
    {"TIT2", offsetof(struct conversion_options, title), {"title"}},
    {"TPE1", offsetof(struct conversion_options, artist), {"artist", "author"}},
    {"TALB", offsetof(struct conversion_options, album), {"album"}},
    {"TDRC", offsetof(struct conversion_options, year), {"date", "year"}},
    {"TCON", offsetof(struct conversion_options, genre), {"genre"}},
    {"COMM", offsetof(struct conversion_options, comment), {"comment", "description"}},
    {"TPE2", NO_OPTION, {"album_artist"}},
    {"TCOM", NO_OPTION, {"composer"}},
    {"TRCK", NO_OPTION, {"track"}},
    {"TPOS", NO_OPTION, {"disc"}},
    {"TCOP", NO_OPTION, {"copyright"}},
    {"TPUB", NO_OPTION, {"publisher"}},
};

static const char *find_in_source(const struct source *source, const struct tag *tag)
{
    for (size_t i = 0; i < ARRAY_COUNT(tag->names) && tag->names[i] != NULL; i++) {
        const char *text = source_tag(source, tag->names[i]);
        if (text != NULL && text[0] != '\0')
            return text;
    }
    return "";
}

static const char *find(const struct source *source, const struct conversion_options *options,
                        const struct tag *tag)
{
    if (tag->option != NO_OPTION) {
        const char *given = (const char *)options + tag->option;
        if (given[0] != '\0')
            return given;
    }
    return options->tags == CONVERSION_TAGS_NONE ? "" : find_in_source(source, tag);
}

static uint32_t to_ms(int64_t time_us)
{
    int64_t time_ms = time_us / 1000;
    return time_ms < UINT32_MAX ? (uint32_t)time_ms : UINT32_MAX - 1;
}

static void add_chapters(const struct source *source, const struct cut *cut, struct buffer *tag)
{
    struct id3_chapter chapters[ID3_CHAPTERS_MAX];
    size_t count = 0, source_count = source_chapter_count(source);
    int64_t sound_start_us = source_sound_start_us(source);
    for (size_t i = 0; i < source_count && count < ID3_CHAPTERS_MAX; i++) {
        struct source_chapter chapter = source_chapter(source, i);
        struct cut_span span = {.begin_us = chapter.begin_us, .end_us = chapter.end_us};
        if (!cut_span(cut, sound_start_us, &span))
            continue;
        chapters[count++] = (struct id3_chapter){
            .begin_ms = to_ms(span.begin_us),
            .end_ms = to_ms(span.end_us),
            .title = chapter.title,
        };
    }
    id3_add_chapters(tag, chapters, count);
}

/* The first that is of a kind and size to be taken. */
static void add_picture(const struct source *source, struct buffer *tag)
{
    const unsigned char *bytes;
    size_t index = 0, size;
    while (source_picture(source, &index, &bytes, &size))
        if (id3_add_picture(tag, bytes, size))
            return;
}

void tags_format(const struct source *source, const struct conversion_options *options,
                 struct buffer *out_tag)
{
    *out_tag = BUFFER_WITH_MAX(ID3_SIZE_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++) {
        const char *text = find(source, options, &tags[i]);
        if (text[0] == '\0')
            continue;
        if (strcmp(tags[i].frame_id, "COMM") == 0)
            id3_add_comment(out_tag, text);
        else
            id3_add_text(out_tag, tags[i].frame_id, text);
    }
    if (options->tags != CONVERSION_TAGS_NONE) {
        const struct cut cut = {.start_us = options->start_us, .end_us = options->end_us};
        add_chapters(source, &cut, out_tag);
        add_picture(source, out_tag);
    }
    id3_finish(out_tag);
}
