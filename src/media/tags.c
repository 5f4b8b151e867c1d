#include "media/tags.h"

#include "base/compiler.h"
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
    id3_finish(out_tag);
}
