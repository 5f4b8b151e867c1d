#include "services/notifier/mail_text.h"

#include "base/text.h"
#include <stddef.h>
#include <string.h>

/* A template is laid out as the mail is. */
/* clang-format off */
static const char done_text[] =
    "Hello,\n"
    "\n"
    "your MP3 is ready.\n"
    "\n"
    "Fetch it here:  {link}\n"
    "\n"
    "Video:          {name}\n"
    "Length:         {length}\n"
    "Size:           {size}\n"
    "Quality:        {quality}\n"
    "MP3 id:         {mp3_id}\n"
    "Kept until:     {expiry}\n"
    "\n"
    "{warning}\n"
    "\n"
    "You will be asked to log in; nobody else can fetch it.\n"
    "\n"
    "-- \n"
    "Tapedeck\n";

static const char failed_text[] =
    "Hello,\n"
    "\n"
    "sorry: this video could not be turned into an MP3.\n"
    "\n"
    "Video:            {name}\n"
    "What was wrong:   {problem}\n"
    "What you can do:  {advice}\n"
    "\n"
    "Its page:         {link}\n"
    "Conversion id:    {conversion_id}\n"
    "\n"
    "-- \n"
    "Tapedeck\n";

/* Tables and inline styles, since that is what mail programs understand. */
#define HTML_HEAD                                                                                  \
    "<!DOCTYPE html>\n"                                                                            \
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"                                           \
    "<meta name=\"color-scheme\" content=\"light dark\">\n"                                        \
    "<title>Tapedeck</title></head>\n"                                                             \
    "<body style=\"font-family:sans-serif;font-size:16px;line-height:1.5;max-width:34em;"          \
    "margin:0 auto;padding:1.5em\">\n"
#define HTML_FOOT                                                                                  \
    "<p style=\"color:#777;font-size:13px\">Tapedeck</p>\n"                                        \
    "</body></html>\n"
#define HTML_TABLE "<table style=\"font-size:15px;border-spacing:0\">\n"
#define HTML_ROW(label, place)                                                                     \
    "<tr><td style=\"color:#777;padding:0 1.5em 0 0;vertical-align:top\">" label                   \
    "</td><td>" place "</td></tr>\n"
#define HTML_BUTTON(text)                                                                          \
    "<p><a href=\"{link}\" style=\"display:inline-block;background:#1f6f54;color:#fff;"            \
    "text-decoration:none;padding:.6em 1.4em;border-radius:6px\">" text "</a></p>\n"

static const char done_html[] =
    HTML_HEAD
    "<h1 style=\"font-size:22px\">Your MP3 is ready</h1>\n"
    HTML_BUTTON("Fetch the MP3")
    HTML_TABLE
    HTML_ROW("Video", "{name}")
    HTML_ROW("Length", "{length}")
    HTML_ROW("Size", "{size}")
    HTML_ROW("Quality", "{quality}")
    HTML_ROW("MP3 id", "<code>{mp3_id}</code>")
    HTML_ROW("Kept until", "{expiry}")
    "</table>\n"
    "<p>{warning}</p>\n"
    "<p>You will be asked to log in; nobody else can fetch it.</p>\n"
    HTML_FOOT;

static const char failed_html[] =
    HTML_HEAD
    "<h1 style=\"font-size:22px\">This video could not be turned into an MP3</h1>\n"
    HTML_TABLE
    HTML_ROW("Video", "{name}")
    HTML_ROW("What was wrong", "{problem}")
    HTML_ROW("What you can do", "{advice}")
    HTML_ROW("Conversion id", "<code>{conversion_id}</code>")
    "</table>\n"
    HTML_BUTTON("The page of this conversion")
    HTML_FOOT;
/* clang-format on */

static const char *const templates[2][2] = {
    [MAIL_DONE] = {[MAIL_TEXT] = done_text, [MAIL_HTML] = done_html},
    [MAIL_FAILED] = {[MAIL_TEXT] = failed_text, [MAIL_HTML] = failed_html},
};

static const struct place {
    const char *name;
    size_t offset;
} places[] = {
    {"name", offsetof(struct mail_facts, name)},
    {"conversion_id", offsetof(struct mail_facts, conversion_id)},
    {"mp3_id", offsetof(struct mail_facts, mp3_id)},
    {"link", offsetof(struct mail_facts, link)},
    {"size", offsetof(struct mail_facts, size)},
    {"length", offsetof(struct mail_facts, length)},
    {"quality", offsetof(struct mail_facts, quality)},
    {"expiry", offsetof(struct mail_facts, expiry)},
    {"warning", offsetof(struct mail_facts, warning)},
    {"problem", offsetof(struct mail_facts, problem)},
    {"advice", offsetof(struct mail_facts, advice)},
};

static const char *value_of(const struct mail_facts *facts, const char *name, size_t size)
{
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (strlen(places[i].name) != size || memcmp(places[i].name, name, size) != 0)
            continue;
        const char *value;
        memcpy(&value, (const char *)facts + places[i].offset, sizeof value);
        return value == NULL ? "" : value;
    }
    return "";
}

static bool append_value(struct buffer *text, enum mail_form form, const char *value,
                         struct error *error)
{
    return form == MAIL_HTML ? text_escape_html(value, text, error)
                             : buffer_append_text(text, value, error);
}

/* *out_is_whole is false where the line names a value that is not known. */
static bool write_line(struct buffer *text, enum mail_form form, const struct mail_facts *facts,
                       const char *line, size_t size, bool *out_is_whole, struct error *error)
{
    const char *end = line + size;
    *out_is_whole = true;
    while (line < end) {
        const char *open = memchr(line, '{', (size_t)(end - line));
        const char *close = open == NULL ? NULL : memchr(open, '}', (size_t)(end - open));
        if (close == NULL)
            return buffer_append(text, line, (size_t)(end - line), error);
        const char *value = value_of(facts, open + 1, (size_t)(close - open - 1));
        if (value[0] == '\0') {
            *out_is_whole = false;
            return true;
        }
        if (!buffer_append(text, line, (size_t)(open - line), error) ||
            !append_value(text, form, value, error))
            return false;
        line = close + 1;
    }
    return true;
}

bool mail_text_write(struct buffer *out_text, enum mail_kind kind, enum mail_form form,
                     const struct mail_facts *facts, struct error *error)
{
    bool was_empty = false;
    for (const char *line = templates[kind][form]; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        size_t before = out_text->size;
        bool is_whole = true;
        if (size == 0 && was_empty) {
            line++;
            continue;
        }
        if (!write_line(out_text, form, facts, line, size, &is_whole, error))
            return false;
        if (!is_whole)
            buffer_truncate(out_text, before);
        else if (!buffer_append_text(out_text, "\n", error))
            return false;
        else
            was_empty = size == 0;
        line += size + 1;
    }
    return true;
}
