#include "model/conversion_options.h"

#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"
#include "model/failure.h"
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One form of value: how it is read from text and from JSON, and written to JSON. */
struct option_row;

struct option_type {
    bool (*set_text)(const struct option_row *row, struct conversion_options *options,
                     const char *value, struct error *error);
    bool (*set_json)(const struct option_row *row, struct conversion_options *options,
                     const json_t *json, struct error *error);
    void (*write_json)(const struct option_row *row, const struct conversion_options *options,
                       json_t *json);
};

struct option_row {
    const char *name;
    const struct option_type *type;
    size_t field;         /* offset in struct conversion_options */
    size_t given;         /* offset of the bool that says so; 0: the value 0 is "not given" */
    uint32_t least, most; /* numbers */
    int64_t least_millionths, most_millionths; /* decimals */
    const uint32_t *numbers; /* the only ones allowed; ends with 0; NULL: all of the range */
    size_t size;             /* texts, with the NUL */
    bool (*is_valid)(const char *text); /* texts; NULL: any */
    const char *const *choices; /* by the enum's value; ends with NULL; [0] is the default */
    bool names_a_person;
    const char *form;
    const char *help;
};

static bool refuse(const struct option_row *row, struct error *error)
{
    return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_OPTION_OUT_OF_RANGE, "%s must be %s",
                             row->name, row->form);
}

static void *field_of(const struct option_row *row, struct conversion_options *options)
{
    return (char *)options + row->field;
}

static const void *const_field_of(const struct option_row *row,
                                  const struct conversion_options *options)
{
    return (const char *)options + row->field;
}

/* Numbers. */

static bool number_set(const struct option_row *row, struct conversion_options *options,
                       uint64_t number, struct error *error)
{
    if (number < row->least || number > row->most)
        return refuse(row, error);
    const uint32_t *allowed = row->numbers;
    while (allowed != NULL && *allowed != 0 && *allowed != number)
        allowed++;
    if (allowed != NULL && *allowed == 0)
        return refuse(row, error);
    *(uint32_t *)field_of(row, options) = (uint32_t)number;
    if (row->given != 0)
        *(bool *)((char *)options + row->given) = true;
    return true;
}

static bool number_set_text(const struct option_row *row, struct conversion_options *options,
                            const char *value, struct error *error)
{
    uint64_t number;
    if (!text_parse_count(value, row->most, &number, NULL))
        return refuse(row, error);
    return number_set(row, options, number, error);
}

static bool number_set_json(const struct option_row *row, struct conversion_options *options,
                            const json_t *json, struct error *error)
{
    json_int_t number = json_integer_value(json);
    if (!json_is_integer(json) || number < 0)
        return refuse(row, error);
    return number_set(row, options, (uint64_t)number, error);
}

static void number_write_json(const struct option_row *row,
                              const struct conversion_options *options, json_t *json)
{
    uint32_t number = *(const uint32_t *)const_field_of(row, options);
    bool is_given = number != 0;
    if (row->given != 0)
        is_given = *(const bool *)((const char *)options + row->given);
    if (is_given)
        json_set_integer(json, row->name, number);
}

static const struct option_type number_type = {
    .set_text = number_set_text,
    .set_json = number_set_json,
    .write_json = number_write_json,
};

/* Decimals, kept in millionths; 0 is "not given". */

static bool decimal_set(const struct option_row *row, struct conversion_options *options,
                        int64_t millionths, struct error *error)
{
    if (millionths < row->least_millionths || millionths > row->most_millionths)
        return refuse(row, error);
    *(int64_t *)field_of(row, options) = millionths;
    return true;
}

static bool decimal_set_text(const struct option_row *row, struct conversion_options *options,
                             const char *value, struct error *error)
{
    int64_t millionths;
    if (!text_parse_decimal(value, &millionths, NULL))
        return refuse(row, error);
    return decimal_set(row, options, millionths, error);
}

static bool decimal_set_json(const struct option_row *row, struct conversion_options *options,
                             const json_t *json, struct error *error)
{
    double number = json_number_value(json);
    /* A bound that leaves the conversion defined; that of the row is narrower. */
    if (!json_is_number(json) || !(number > -1e9 && number < 1e9))
        return refuse(row, error);
    return decimal_set(row, options, (int64_t)(number * 1e6 + (number < 0 ? -0.5 : 0.5)), error);
}

static void decimal_write_json(const struct option_row *row,
                               const struct conversion_options *options, json_t *json)
{
    int64_t millionths = *(const int64_t *)const_field_of(row, options);
    if (millionths != 0)
        json_set_real(json, row->name, (double)millionths / 1e6);
}

static const struct option_type decimal_type = {
    .set_text = decimal_set_text,
    .set_json = decimal_set_json,
    .write_json = decimal_write_json,
};

/* Texts. */

static bool text_set_text(const struct option_row *row, struct conversion_options *options,
                          const char *value, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer clean = BUFFER_WITH_MAX(row->size - 1);
    if (!text_clean_lines(value, strlen(value), &clean, NULL))
        return refuse(row, error);
    const char *text = buffer_text(&clean);
    if (row->is_valid != NULL && text[0] != '\0' && !row->is_valid(text))
        return refuse(row, error);
    memcpy(field_of(row, options), text, clean.size + 1);
    return true;
}

static bool text_set_json(const struct option_row *row, struct conversion_options *options,
                          const json_t *json, struct error *error)
{
    if (!json_is_string(json))
        return refuse(row, error);
    return row->type->set_text(row, options, json_string_value(json), error);
}

static void text_write_json(const struct option_row *row, const struct conversion_options *options,
                            json_t *json)
{
    const char *text = const_field_of(row, options);
    if (text[0] != '\0')
        json_set_text(json, row->name, text);
}

static const struct option_type text_type = {
    .set_text = text_set_text,
    .set_json = text_set_json,
    .write_json = text_write_json,
};

/* Choices. All enums here are stored as int by both compilers. */

static bool choice_set_text(const struct option_row *row, struct conversion_options *options,
                            const char *value, struct error *error)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], value) != 0)
            continue;
        memcpy(field_of(row, options), &i, sizeof i);
        return true;
    }
    return refuse(row, error);
}

static void choice_write_json(const struct option_row *row,
                              const struct conversion_options *options, json_t *json)
{
    int choice;
    memcpy(&choice, const_field_of(row, options), sizeof choice);
    if (choice != 0)
        json_set_text(json, row->name, row->choices[choice]);
}

static const struct option_type choice_type = {
    .set_text = choice_set_text,
    .set_json = text_set_json,
    .write_json = choice_write_json,
};

static_assert(sizeof(enum conversion_tags) == sizeof(int), "choice_set_text writes an int");
static_assert(sizeof(enum conversion_copy) == sizeof(int), "choice_set_text writes an int");
static_assert(sizeof(enum conversion_notify) == sizeof(int), "choice_set_text writes an int");

/* ISO 639-1 has two letters, 639-2 and 639-3 have three. */
static bool is_language(const char *text)
{
    size_t length = strlen(text);
    return (length == 2 || length == 3) && strspn(text, "abcdefghijklmnopqrstuvwxyz") == length;
}

/* "2026", "2026-11" or "2026-11-24": what an ID3v2.4 time stamp may be cut to (§4, TDRC). */
static bool is_year(const char *text)
{
    static const char pattern[] = "dddd-dd-dd";
    size_t length = strlen(text);
    if (length != 4 && length != 7 && length != 10)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == 'd' ? !is_digit : text[i] != '-')
            return false;
    }
    /* Two digits each, as the pattern has them. */
    bool is_month =
        length < 7 || (strncmp(text + 5, "01", 2) >= 0 && strncmp(text + 5, "12", 2) <= 0);
    bool is_day =
        length < 10 || (strncmp(text + 8, "01", 2) >= 0 && strncmp(text + 8, "31", 2) <= 0);
    return is_month && is_day;
}

#define MILLION INT64_C(1000000)
#define SECONDS_MAX 360000 /* a hundred hours */

static const uint32_t sample_rates[] = {8000,  11025, 12000, 16000, 22050,
                                        24000, 32000, 44100, 48000, 0};
static const char *const tags_choices[] = {
    [CONVERSION_TAGS_SOURCE] = "source",
    [CONVERSION_TAGS_NONE] = "none",
    NULL,
};
static const char *const copy_choices[] = {
    [CONVERSION_COPY_AUTO] = "auto",
    [CONVERSION_COPY_NEVER] = "never",
    NULL,
};
static const char *const notify_choices[] = {
    [CONVERSION_NOTIFY_EMAIL] = "email",
    [CONVERSION_NOTIFY_NONE] = "none",
    NULL,
};

#define FIELD(member) .field = offsetof(struct conversion_options, member)
#define TAG(member, sentence)                                                                      \
    .name = #member, .type = &text_type, FIELD(member), .size = CONVERSION_TAG_SIZE,               \
    .form = "a text of at most 255 bytes", .help = (sentence)

static const struct option_row rows[] = {
    {
        .name = "bitrate_kbps",
        .type = &number_type,
        FIELD(bitrate_kbps),
        .least = 8,
        .most = 320,
        .form = "a whole number from 8 to 320",
        .help = "Constant bitrate, 128 if neither this nor vbr_quality is given; one that MPEG "
                "does not know at the sample rate becomes the next lower, or the lowest.",
    },
    {
        .name = "vbr_quality",
        .type = &number_type,
        FIELD(vbr_quality),
        .given = offsetof(struct conversion_options, has_vbr_quality),
        .least = 0,
        .most = 9,
        .form = "a whole number from 0 (best) to 9 (smallest)",
        .help = "Variable bitrate of this quality, in place of bitrate_kbps.",
    },
    {
        .name = "sample_rate_hz",
        .type = &number_type,
        FIELD(sample_rate_hz),
        .most = 48000,
        .numbers = sample_rates,
        .form = "one of 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 and 48000",
        .help = "Sample rate of the MP3; the source's or the nearest to it if not given.",
    },
    {
        .name = "channels",
        .type = &number_type,
        FIELD(channels),
        .least = 1,
        .most = 2,
        .form = "1 (mono) or 2 (stereo)",
        .help = "Channels of the MP3; the source's, at most two, if not given.",
    },
    {
        .name = "track",
        .type = &number_type,
        FIELD(track),
        .least = 1,
        .most = 999,
        .form = "a whole number from 1 to 999",
        .help = "Which sound track of the video, counted from 1; the player's choice if not given.",
    },
    {
        .name = "language",
        .type = &text_type,
        FIELD(language),
        .size = CONVERSION_LANGUAGE_SIZE,
        .is_valid = is_language,
        .form = "an ISO 639 code of two or three small letters, like en or eng",
        .help = "The sound track in this language, in place of track.",
    },
    {
        .name = "start_seconds",
        .type = &decimal_type,
        FIELD(start_us),
        .most_millionths = SECONDS_MAX * MILLION,
        .form = "a number of seconds from 0 to 360000, with at most six decimals, like 90 or 12.5",
        .help = "Where in the video the MP3 begins; at its beginning if not given.",
    },
    {
        .name = "end_seconds",
        .type = &decimal_type,
        FIELD(end_us),
        .least_millionths = 1,
        .most_millionths = SECONDS_MAX * MILLION,
        .form =
            "a number of seconds above 0, to 360000, with at most six decimals, like 90 or 12.5",
        .help = "Where in the video the MP3 ends; at its end if not given.",
    },
    {
        .name = "loudness_lufs",
        .type = &decimal_type,
        FIELD(loudness_ulufs),
        .least_millionths = -70 * MILLION,
        .most_millionths = -5 * MILLION,
        .form = "a number from -70 to -5, with at most six decimals, like -16 or -16.5",
        .help = "Loudness of the MP3 (EBU R128), with peaks limited to -1 dBTP before they are "
                "encoded; the video's if not given.",
    },
    {TAG(title, "Title in the MP3's tags; the video's if not given."), .names_a_person = true},
    {TAG(artist, "Artist in the MP3's tags; the video's if not given."), .names_a_person = true},
    {TAG(album, "Album in the MP3's tags; the video's if not given."), .names_a_person = true},
    {
        .name = "year",
        .type = &text_type,
        FIELD(year),
        .size = CONVERSION_TAG_SIZE,
        .is_valid = is_year,
        .form = "a year or a date, like 2026 or 2026-11-24",
        .help = "Year in the MP3's tags; the video's if not given.",
    },
    {TAG(genre, "Genre in the MP3's tags; the video's if not given.")},
    {TAG(comment, "Comment in the MP3's tags; the video's if not given."), .names_a_person = true},
    {
        .name = "tags",
        .type = &choice_type,
        FIELD(tags),
        .choices = tags_choices,
        .form = "source or none",
        .help = "Whether the video's own tags, chapters and cover are carried over; source if not "
                "given.",
    },
    {
        .name = "copy",
        .type = &choice_type,
        FIELD(copy),
        .choices = copy_choices,
        .form = "auto or never",
        .help = "Whether MP3 sound of which nothing else is asked is copied as it is, or encoded "
                "again all the same; auto if not given.",
    },
    {
        .name = "notify",
        .type = &choice_type,
        FIELD(notify),
        .choices = notify_choices,
        .form = "email or none",
        .help = "Whether an email tells of the end; email if not given.",
    },
};

/* Dashes are as good as underscores: they are what a command line is used to. */
static bool is_same_name(const char *name, const char *other)
{
    for (; *name != '\0' && *name == (*other == '-' ? '_' : *other); name++)
        other++;
    return *name == '\0' && *other == '\0';
}

static const struct option_row *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (is_same_name(rows[i].name, name))
            return &rows[i];
    return NULL;
}

bool conversion_options_set(struct conversion_options *options, const char *name, const char *value,
                            struct error *error)
{
    const struct option_row *row = find_row(name);
    if (row == NULL)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_UNKNOWN_OPTION,
                                 "there is no option \"%.40s\"", name);
    return row->type->set_text(row, options, value, error);
}

bool conversion_options_check(const struct conversion_options *options, struct error *error)
{
    if (options->bitrate_kbps != 0 && options->has_vbr_quality)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_OPTION_OUT_OF_RANGE,
                                 "bitrate_kbps and vbr_quality exclude each other: give one");
    if (options->track != 0 && options->language[0] != '\0')
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_OPTION_OUT_OF_RANGE,
                                 "track and language exclude each other: give one");
    if (options->end_us != 0 && options->end_us <= options->start_us)
        return error_set_failure(error, ERROR_BAD_INPUT, &FAILURE_OPTION_OUT_OF_RANGE,
                                 "end_seconds must be more than start_seconds");
    return true;
}

bool conversion_options_is_name(const char *name)
{
    return find_row(name) != NULL;
}

bool conversion_options_is_equal(const struct conversion_options *a,
                                 const struct conversion_options *b)
{
    CLEANUP(json_decrefp) json_t *json_a = conversion_options_to_json(a);
    CLEANUP(json_decrefp) json_t *json_b = conversion_options_to_json(b);
    return json_equal(json_a, json_b) == 1;
}

void conversion_options_erase_tags(struct conversion_options *options)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].names_a_person)
            memset(field_of(&rows[i], options), 0, rows[i].size);
}

json_t *conversion_options_to_json(const struct conversion_options *options)
{
    json_t *json = json_object_make();
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        rows[i].type->write_json(&rows[i], options, json);
    return json;
}

bool conversion_options_from_json(const json_t *json, struct conversion_options *out,
                                  struct error *error)
{
    struct conversion_options options = {0};
    if (json != NULL && !json_is_null(json) && !json_is_object(json))
        return error_set(error, ERROR_BAD_INPUT, "options are not a JSON object");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const json_t *value = json_object_get(json, rows[i].name);
        if (value == NULL || json_is_null(value))
            continue;
        if (!rows[i].type->set_json(&rows[i], &options, value, error))
            return false;
    }
    *out = options;
    return true;
}

void conversion_options_describe(void (*visit)(void *context, const char *name, const char *form,
                                               const char *help),
                                 void *context)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        visit(context, rows[i].name, rows[i].form, rows[i].help);
}
