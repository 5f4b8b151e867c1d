#include "config/config_internal.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include <ctype.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "TAPEDECK_"
#define INI_FILE_SIZE_MAX (1024 * 1024)
/* inih cuts longer lines, and counts the rest as lines of their own. */
#define INI_LINE_SIZE_MAX 190

void config_environment_name(const char *name, char out_text[CONFIG_NAME_SIZE])
{
    snprintf(out_text, CONFIG_NAME_SIZE, PREFIX "%s", name);
    for (char *at = out_text; *at != '\0'; at++)
        *at = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}

/* The known name that the given one was most likely meant to be; NULL where none is near. */
static const char *suggest(const struct config *config, const char *name)
{
    const char *nearest = NULL;
    size_t nearest_distance = 2 + strlen(name) / 4;
    const char *key = strchr(name, '.');
    for (size_t i = 0; i < config->value_count; i++) {
        const char *known = config->values[i].option->name;
        size_t distance = text_distance(name, known);
        /* The right key in the wrong section is a likelier mistake than four wrong letters. */
        const char *known_key = strchr(known, '.');
        if (key != NULL && known_key != NULL && strcmp(key, known_key) == 0 && distance > 1)
            distance = 1;
        if (distance < nearest_distance) {
            nearest = known;
            nearest_distance = distance;
        }
    }
    return nearest;
}

static bool refuse_unknown(const struct config *config, const char *name, struct error *error)
{
    const char *nearest = suggest(config, name);
    if (nearest == NULL)
        return error_set(error, ERROR_BAD_INPUT,
                         "unknown option %.60s; `tapedeck config options` lists all", name);
    return error_set(error, ERROR_BAD_INPUT, "unknown option %.60s; did you mean %s?", name,
                     nearest);
}

struct ini_reading {
    struct config *config;
    const char *at;  /* the next line */
    int line;        /* number of the last one that was read */
    int failed_line; /* 0: none */
    struct error *error;
};

/* As fgets: one line at a time, so that its number is known when its value is taken. */
static char *read_ini_line(char *out_line, int size, void *context)
{
    struct ini_reading *reading = context;
    if (*reading->at == '\0' || reading->failed_line != 0)
        return NULL;
    size_t length = strcspn(reading->at, "\n");
    length += reading->at[length] == '\n';
    if (length > (size_t)size - 1)
        length = (size_t)size - 1;
    memcpy(out_line, reading->at, length);
    out_line[length] = '\0';
    reading->at += length;
    reading->line++;
    return out_line;
}

static int take_ini_line(void *context, const char *section, const char *key, const char *text)
{
    struct ini_reading *reading = context;
    char name[CONFIG_NAME_SIZE];
    struct error cause = {0};
    int size = snprintf(name, sizeof name, "%s.%s", section, key);
    if (section[0] == '\0')
        error_set(&cause, ERROR_BAD_INPUT, "%.60s stands before the first [section]", key);
    else if (size < 0 || (size_t)size >= sizeof name)
        refuse_unknown(reading->config, name, &cause);
    else if (config_set(reading->config, CONFIG_SOURCE_FILE, name, text, &cause))
        return 1;
    else if (cause.kind == ERROR_NOT_FOUND)
        refuse_unknown(reading->config, name, &cause);
    error_set(reading->error, ERROR_BAD_INPUT, "%s", cause.text);
    reading->failed_line = reading->line;
    return 0;
}

static bool check_lines(const struct buffer *bytes, struct error *error)
{
    if (memchr(buffer_text(bytes), '\0', bytes->size) != NULL)
        return error_set(error, ERROR_BAD_INPUT, "it is not a text file");
    int number = 1;
    for (const char *line = buffer_text(bytes); *line != '\0'; number++) {
        size_t size = strcspn(line, "\n");
        if (size > INI_LINE_SIZE_MAX)
            return error_set(error, ERROR_BAD_INPUT,
                             "line %d is longer than %d bytes; a long secret can stand in a file "
                             "of its own: section.key_file",
                             number, INI_LINE_SIZE_MAX);
        line += size + (line[size] == '\n');
    }
    return true;
}

bool config_read_file(struct config *config, const char *path, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(INI_FILE_SIZE_MAX);
    if (!file_load(path, &bytes, error))
        return error_prefix(error, "configuration");
    if (!check_lines(&bytes, error))
        return error_prefix(error, "%s", path);

    /* Indented lines are options of their own, as people expect who indent below a [section]. */
    ini_allow_multiline = false;
    struct ini_reading reading = {.config = config, .at = buffer_text(&bytes), .error = error};
    int line = ini_parse_stream(read_ini_line, &reading, take_ini_line, &reading);
    if (line < 0)
        abort(); /* out of memory */
    if (line != reading.failed_line)
        error_set(error, ERROR_BAD_INPUT, "expected [section], key = value or # comment");
    return line == 0 || error_prefix(error, "%s: line %d", path, line);
}

/* Variables that are no options, but ours. */
static bool is_other_variable(const char *name)
{
    return strcmp(name, PREFIX "CONFIG") == 0 || strcmp(name, PREFIX "SUPERVISOR_FD") == 0 ||
           text_starts_with(name, PREFIX "FAULT_");
}

/* Finds the option that a variable stands for; false: none. */
static bool find_by_variable(const struct config *config, const char *variable,
                             char out_name[CONFIG_NAME_SIZE])
{
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_option *option = config->values[i].option;
        char expected[CONFIG_NAME_SIZE];
        config_environment_name(option->name, expected);
        size_t length = strlen(expected);
        if (strncmp(variable, expected, length) != 0)
            continue;
        bool is_file = option->type == CONFIG_SECRET && strcmp(variable + length, "_FILE") == 0;
        if (variable[length] != '\0' && !is_file)
            continue;
        snprintf(out_name, CONFIG_NAME_SIZE, "%s%s", option->name, is_file ? "_file" : "");
        return true;
    }
    return false;
}

static bool take_variable(struct config *config, const char *variable, struct error *error)
{
    char name[CONFIG_NAME_SIZE];
    char option_name[CONFIG_NAME_SIZE];
    const char *equals = strchr(variable, '=');
    if (equals == NULL)
        return true;
    snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    if (is_other_variable(name))
        return true;
    if (!find_by_variable(config, name, option_name)) {
        /* No error: Kubernetes adds variables for every service that it knows. */
        log_warning("unknown environment variable ignored", FIELD_TEXT("variable", name));
        return true;
    }
    if (!config_set(config, CONFIG_SOURCE_ENVIRONMENT, option_name, equals + 1, error))
        return error_prefix(error, "environment variable %s", name);
    return true;
}

bool config_read_environment(struct config *config, const char *const *environment,
                             struct error *error)
{
    for (; *environment != NULL; environment++)
        if (text_starts_with(*environment, PREFIX) && !take_variable(config, *environment, error))
            return false;
    return true;
}

bool config_read_assignments(struct config *config, const char *const *assignments,
                             struct error *error)
{
    for (; *assignments != NULL; assignments++) {
        const char *equals = strchr(*assignments, '=');
        size_t length = equals != NULL ? (size_t)(equals - *assignments) : 0;
        char name[CONFIG_NAME_SIZE];
        if (length == 0 || length >= sizeof name)
            return error_set(error, ERROR_BAD_INPUT, "--set %.60s: expected section.key=value",
                             *assignments);
        memcpy(name, *assignments, length);
        name[length] = '\0';
        struct error cause = {0};
        if (config_set(config, CONFIG_SOURCE_ASSIGNMENT, name, equals + 1, &cause))
            continue;
        if (cause.kind == ERROR_NOT_FOUND)
            refuse_unknown(config, name, &cause);
        return error_set(error, ERROR_BAD_INPUT, "--set: %s", cause.text);
    }
    return true;
}
