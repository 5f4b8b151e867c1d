#include "commands/metrics_merge.h"

#include "base/text.h"
#include <assert.h>
#include <string.h>

/* One family of one text: its comments, then its samples; all borrowed from the text. */
struct family {
    const char *name;
    size_t name_size;
    const char *start;   /* of the comments */
    const char *samples; /* of the first line that is none */
    const char *end;
};

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL ? end + 1 : line + strlen(line);
}

/* Of "# HELP name …" and "# TYPE name …"; false where the line is neither. */
static bool read_name(const char *line, struct family *family)
{
    if (!text_starts_with(line, "# HELP ") && !text_starts_with(line, "# TYPE "))
        return false;
    family->name = line + strlen("# HELP ");
    family->name_size = strcspn(family->name, " \n");
    return true;
}

static bool is_same(const struct family *a, const struct family *b)
{
    return a->name_size == b->name_size && memcmp(a->name, b->name, a->name_size) == 0;
}

/* The family that begins at `at` or, where none does, the first one after it. */
static bool read_family(const char *at, struct family *out_family)
{
    struct family family = {.name = ""};
    while (*at != '\0' && !read_name(at, &family))
        at = next_line(at);
    if (*at == '\0')
        return false;
    family.start = at;
    while (*at == '#') {
        struct family other;
        if (read_name(at, &other) && !is_same(&other, &family))
            break;
        at = next_line(at);
    }
    family.samples = at;
    while (*at != '\0' && *at != '#')
        at = next_line(at);
    family.end = at;
    *out_family = family;
    return true;
}

static bool find_family(const char *text, const struct family *wanted, struct family *out_family)
{
    for (const char *at = text; read_family(at, out_family); at = out_family->end) {
        if (is_same(out_family, wanted))
            return true;
    }
    return false;
}

static bool append_everywhere(const char *const *texts, size_t count, size_t first,
                              const struct family *family, struct buffer *out_text,
                              struct error *error)
{
    size_t comments_size = (size_t)(family->samples - family->start);
    if (!buffer_append(out_text, family->start, comments_size, error))
        return false;
    for (size_t i = first; i < count; i++) {
        struct family same;
        if (find_family(texts[i], family, &same) &&
            !buffer_append(out_text, same.samples, (size_t)(same.end - same.samples), error))
            return false;
    }
    return true;
}

bool metrics_merge(const char *const *texts, size_t count, struct buffer *out_text,
                   struct error *error)
{
    assert(count <= METRICS_MERGE_TEXTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct family family;
        for (const char *at = texts[i]; read_family(at, &family); at = family.end) {
            struct family earlier;
            bool is_done = false;
            for (size_t j = 0; j < i && !is_done; j++)
                is_done = find_family(texts[j], &family, &earlier);
            if (!is_done && !append_everywhere(texts, count, i, &family, out_text, error))
                return false;
        }
    }
    return true;
}
