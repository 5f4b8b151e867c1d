#pragma once

/* Between the files of config/: the values as they are put together, and what one value may be. */

#include "config/config.h"

enum config_source {
    CONFIG_SOURCE_DEFAULT,
    CONFIG_SOURCE_FILE,
    CONFIG_SOURCE_ENVIRONMENT,
    CONFIG_SOURCE_ASSIGNMENT,
};

/* The longest value, and the longest content of a `_file`. */
#define CONFIG_VALUE_SIZE_MAX 65536

struct config_value {
    const struct config_option *option; /* the first row of that name; borrowed */
    char *text;                         /* owned; NULL: not given, and no default */
    char *secret_path;                  /* owned; where the text was read from, NULL: nowhere */
    enum config_source source;
};

struct config {
    struct config_value *values; /* owned; in the order of the tables */
    size_t value_count;
    char *file; /* owned; the INI file's path, NULL: none */
};

struct config_value *config_find(const struct config *config, const char *name);

/* Sets a value by its name, or by its name with "_file", from a source that is at least as strong
 * as those before it. ERROR_NOT_FOUND where no option has the name, ERROR_CONFLICT where the same
 * source gave it already. */
bool config_set(struct config *config, enum config_source source, const char *name,
                const char *text, struct error *error);

/* The three sources. */
bool config_read_file(struct config *config, const char *path, struct error *error);
bool config_read_environment(struct config *config, const char *const *environment,
                             struct error *error);
bool config_read_assignments(struct config *config, const char *const *assignments,
                             struct error *error);

/* What one text means for one option. ERROR_BAD_INPUT says what was expected. */
union config_meaning {
    bool is_on;
    uint64_t number;
    int64_t duration_ms;
};
bool config_value_parse(const struct config_option *option, const char *text,
                        union config_meaning *out_meaning, struct error *error);
/* "whole number from 1 to 64", "duration up to 1h", "one of files, mongodb". */
void config_value_describe(const struct config_option *option, char *out_text, size_t size);

/* "the environment", "the file /etc/tapedeck.ini". */
void config_describe_source(const struct config *config, const struct config_value *value,
                            char *out_text, size_t size);

#define CONFIG_NAME_SIZE 96
/* TAPEDECK_SECTION_KEY. */
void config_environment_name(const char *name, char out_text[CONFIG_NAME_SIZE]);
