#pragma once

/* Options: one row is the only place that knows an option's name, environment variable, default,
 * bounds and help. Tables stand beside the struct that they fill, in the module that uses it.
 *
 * Values come, in rising precedence, from the default, one INI file, the environment
 * (TAPEDECK_SECTION_KEY) and --set section.key=value. Every option of type CONFIG_SECRET can also
 * be given as `section.key_file`, a path whose content (without a final newline) is the value. */

#include "base/buffer.h"
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TEXT,     /* const char *, never NULL; borrowed from the config */
    CONFIG_SECRET,   /* const char *; masked in every output */
    CONFIG_BOOL,     /* bool; "on" or "off" */
    CONFIG_COUNT,    /* uint64_t */
    CONFIG_DURATION, /* int64_t, milliseconds; "off" is 0 where .least is 0 */
    CONFIG_SIZE,     /* uint64_t, bytes; "off" is 0 */
    CONFIG_CHOICE,   /* const char *, one of .choices */
};

struct config_option {
    const char *name; /* "section.key"; NULL ends the table */
    enum config_type type;
    size_t field;               /* offset in the settings struct: CONFIG_FIELD */
    const char *standard;       /* the default, as it would be written; NULL: must be given */
    uint64_t least, most;       /* for counts, durations (ms) and sizes; most 0: no maximum */
    const char *const *choices; /* NULL-terminated */
    /* Of a text, whether it is one that its module can use; NULL: any is. ERROR_BAD_INPUT. */
    bool (*check)(const char *text, struct error *error);
    const char *help; /* one or two sentences */
};

/* The offset of a field, refused by the compiler where its type is not the one named. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type in _Generic takes none */
#define CONFIG_FIELD(settings_type, member, member_type)                                           \
    (offsetof(settings_type, member) +                                                             \
     0 * sizeof(_Generic(((settings_type *)0)->member, member_type                                 \
                         : (char)0)))
/* NOLINTEND(bugprone-macro-parentheses) */

struct config; /* immutable after config_open; may be read by any thread */

struct config_sources {
    const char *file;               /* NULL: none */
    const char *const *environment; /* NULL-terminated "NAME=value", as environ; NULL: none */
    const char *const
        *assignments; /* NULL-terminated "section.key=value", from --set; NULL: none */
};

/* An option that several modules need may stand in each of their tables, with the same default.
 *
 * `tables` is a NULL-terminated list of every table of the program. An unknown key in the file or
 * an assignment is ERROR_BAD_INPUT, with the nearest known name suggested; an unknown TAPEDECK_
 * variable is only logged as a warning. Every given value is checked here, so that all of a
 * configuration's mistakes that can be seen are seen before anything starts. */
MUST_CHECK bool config_open(const struct config_option *const *tables,
                            const struct config_sources *sources, struct config **out_config,
                            struct error *error);
void config_close(struct config *config); /* NULL is fine */
void config_closep(struct config **config);

/* Fills *settings from the rows of one table. ERROR_BAD_INPUT names the option and where its value
 * came from. Text fields are borrowed from the config, which must outlive the settings. */
MUST_CHECK bool config_load(const struct config *config, const struct config_option *table,
                            void *settings, struct error *error);

/* "section.key = value  # from the environment", one line an option, secrets masked. */
MUST_CHECK bool config_show(const struct config *config, struct buffer *out_text,
                            struct error *error);
/* The reference of all options, as Markdown (docs/options.md) or for a terminal. */
enum config_reference_form { CONFIG_REFERENCE_MARKDOWN, CONFIG_REFERENCE_TERMINAL };
MUST_CHECK bool config_reference(const struct config_option *const *tables,
                                 enum config_reference_form form, struct buffer *out_text,
                                 struct error *error);

/* True where the file, the environment or an assignment gave it. */
bool config_is_given(const struct config *config, const char *name);
