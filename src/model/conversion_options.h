#pragma once

/* What a user may ask for in a conversion. One row of the table in conversion_options.c is an
 * option in all its forms: form field, query parameter, flag of `tapedeck convert` (dashes for
 * underscores), member of the record and of the worker's job. */

#include "base/error.h"
#include <jansson.h>
#include <stdint.h>

#define CONVERSION_TAG_SIZE 256     /* bytes with the NUL: title, artist, … */
#define CONVERSION_LANGUAGE_SIZE 12 /* ISO 639 */

enum conversion_tags { CONVERSION_TAGS_SOURCE, CONVERSION_TAGS_NONE };
enum conversion_copy { CONVERSION_COPY_AUTO, CONVERSION_COPY_NEVER };
enum conversion_notify { CONVERSION_NOTIFY_EMAIL, CONVERSION_NOTIFY_NONE };

struct conversion_options {
    uint32_t bitrate_kbps; /* CBR; 0: not given, 128 unless vbr_quality is */
    bool has_vbr_quality;
    uint32_t vbr_quality;    /* 0 (best) to 9 */
    uint32_t sample_rate_hz; /* one that MPEG 1, 2 or 2.5 knows; 0: the source's, or the nearest */
    uint32_t channels;       /* 1 or 2; 0: the source's, at most 2 */
    uint32_t track;          /* the nth audio stream, from 1; 0: not given */
    char language[CONVERSION_LANGUAGE_SIZE]; /* "": not given */
    int64_t start_us;                        /* of the source's time; 0: from the beginning */
    int64_t end_us;                          /* of the source's time; 0: to the end */
    int64_t loudness_ulufs;                  /* in millionths of LUFS; 0: as it is */
    char title[CONVERSION_TAG_SIZE];         /* "": the source's */
    char artist[CONVERSION_TAG_SIZE];
    char album[CONVERSION_TAG_SIZE];
    char year[CONVERSION_TAG_SIZE];
    char genre[CONVERSION_TAG_SIZE];
    char comment[CONVERSION_TAG_SIZE];
    enum conversion_tags tags;
    enum conversion_copy copy; /* an MP3 track that needs no change, frame by frame */
    enum conversion_notify notify;
};

/* Sets one option from text. ERROR_BAD_INPUT with FAILURE_UNKNOWN_OPTION or
 * FAILURE_OPTION_OUT_OF_RANGE, and a text that says what is allowed. `name` may have dashes. */
MUST_CHECK bool conversion_options_set(struct conversion_options *options, const char *name,
                                       const char *value, struct error *error);
/* What only all of them together can show: bitrate_kbps beside vbr_quality, track beside
 * language, an end that is not behind the start. FAILURE_OPTION_OUT_OF_RANGE. */
MUST_CHECK bool conversion_options_check(const struct conversion_options *options,
                                         struct error *error);
bool conversion_options_is_name(const char *name);
bool conversion_options_is_equal(const struct conversion_options *a,
                                 const struct conversion_options *b);
/* Forgets what could name a person: title, artist, album, comment. */
void conversion_options_erase_tags(struct conversion_options *options);

/* Only what was given. The result is the caller's. */
json_t *conversion_options_to_json(const struct conversion_options *options);
MUST_CHECK bool conversion_options_from_json(const json_t *json, struct conversion_options *out,
                                             struct error *error);

/* For help texts: calls visit(name, value form, sentence) for each, in the table's order. */
void conversion_options_describe(void (*visit)(void *context, const char *name, const char *form,
                                               const char *help),
                                 void *context);
