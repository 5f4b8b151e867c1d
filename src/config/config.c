#include "config/config.h"

#include "base/file.h"
#include "config/config_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

struct config_value *config_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->value_count; i++)
        if (strcmp(config->values[i].option->name, name) == 0)
            return &config->values[i];
    return NULL;
}

void config_describe_source(const struct config *config, const struct config_value *value,
                            char *out_text, size_t size)
{
    switch (value->source) {
    case CONFIG_SOURCE_DEFAULT:
        snprintf(out_text, size, "the default");
        return;
    case CONFIG_SOURCE_FILE:
        snprintf(out_text, size, "the file %s", config->file);
        return;
    case CONFIG_SOURCE_ENVIRONMENT:
        snprintf(out_text, size, "the environment");
        return;
    case CONFIG_SOURCE_ASSIGNMENT:
        snprintf(out_text, size, "--set");
        return;
    }
}

/* The option that a name gives the file of: "smtp.uri_file" for smtp.uri; NULL where none. */
static struct config_value *find_secret(const struct config *config, const char *name)
{
    static const char suffix[] = "_file";
    size_t length = strlen(name);
    if (length <= sizeof suffix - 1 || strcmp(name + length - (sizeof suffix - 1), suffix) != 0)
        return NULL;
    char secret_name[CONFIG_NAME_SIZE];
    snprintf(secret_name, sizeof secret_name, "%.*s", (int)(length - (sizeof suffix - 1)), name);
    struct config_value *value = config_find(config, secret_name);
    return value != NULL && value->option->type == CONFIG_SECRET ? value : NULL;
}

bool config_set(struct config *config, enum config_source source, const char *name,
                const char *text, struct error *error)
{
    struct config_value *value = config_find(config, name);
    bool is_path = value == NULL;
    if (is_path)
        value = find_secret(config, name);
    if (value == NULL)
        return error_set(error, ERROR_NOT_FOUND, "unknown option %.60s", name);
    if (strlen(text) > CONFIG_VALUE_SIZE_MAX)
        return error_set(error, ERROR_BAD_INPUT, "%s is longer than %d bytes", name,
                         CONFIG_VALUE_SIZE_MAX);
    /* A later --set overrides an earlier one, as people expect who repeat a command line. */
    if (value->source == source && source != CONFIG_SOURCE_ASSIGNMENT)
        return error_set(error, ERROR_CONFLICT, "%s is given twice", value->option->name);

    free(value->text);
    free(value->secret_path);
    value->text = is_path ? NULL : copy_text(text);
    value->secret_path = is_path ? copy_text(text) : NULL;
    value->source = source;
    return true;
}

static bool load_secret(const char *path, char **out_text, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(CONFIG_VALUE_SIZE_MAX);
    if (!file_load(path, &bytes, error))
        return false;
    const char *content = buffer_text(&bytes);
    if (strlen(content) != bytes.size)
        return error_set(error, ERROR_BAD_INPUT, "%s is not a text file", path);
    size_t size = bytes.size;
    if (size > 0 && content[size - 1] == '\n')
        size--;
    if (size > 0 && content[size - 1] == '\r')
        size--;
    buffer_truncate(&bytes, size);
    *out_text = copy_text(buffer_text(&bytes));
    return true;
}

/* Only the strongest source's file is read: the others' need not exist. */
static bool read_secret(struct config_value *value, struct error *error)
{
    if (value->secret_path == NULL || load_secret(value->secret_path, &value->text, error))
        return true;
    return error_prefix(error, "%s_file", value->option->name);
}

static bool check_value(const struct config *config, const struct config_value *value,
                        struct error *error)
{
    union config_meaning meaning;
    if (value->text == NULL || config_value_parse(value->option, value->text, &meaning, error))
        return true;
    char source[FILE_PATH_SIZE];
    config_describe_source(config, value, source, sizeof source);
    /* Of a secret not even a wrong value is shown. */
    if (value->option->type == CONFIG_SECRET)
        return error_prefix(error, "%s, from %.60s", value->option->name, source);
    return error_prefix(error, "%s = %.40s, from %.60s", value->option->name, value->text, source);
}

static bool is_same_default(const struct config_option *a, const struct config_option *b)
{
    if (a->standard == NULL || b->standard == NULL)
        return a->standard == b->standard;
    return a->type == b->type && strcmp(a->standard, b->standard) == 0;
}

/* An option that two modules need stands in both their tables; it is still one option. */
static bool add_row(struct config *config, const struct config_option *option, struct error *error)
{
    const struct config_value *known = config_find(config, option->name);
    if (known != NULL && !is_same_default(known->option, option))
        return error_set(error, ERROR_INTERNAL, "two different options are named %s", option->name);
    if (known != NULL)
        return true;
    config->values[config->value_count++] = (struct config_value){
        .option = option,
        .text = option->standard != NULL ? copy_text(option->standard) : NULL,
    };
    return true;
}

static bool add_tables(struct config *config, const struct config_option *const *tables,
                       struct error *error)
{
    size_t row_count = 0;
    for (size_t i = 0; tables[i] != NULL; i++)
        for (const struct config_option *row = tables[i]; row->name != NULL; row++)
            row_count++;
    config->values = calloc(row_count + 1, sizeof *config->values);
    if (config->values == NULL)
        abort();
    for (size_t i = 0; tables[i] != NULL; i++)
        for (const struct config_option *row = tables[i]; row->name != NULL; row++)
            if (!add_row(config, row, error))
                return false;
    return true;
}

static bool fill(struct config *config, const struct config_sources *sources, struct error *error)
{
    if (sources->file != NULL) {
        config->file = copy_text(sources->file);
        if (!config_read_file(config, sources->file, error))
            return false;
    }
    if (sources->environment != NULL &&
        !config_read_environment(config, sources->environment, error))
        return false;
    if (sources->assignments != NULL &&
        !config_read_assignments(config, sources->assignments, error))
        return false;
    for (size_t i = 0; i < config->value_count; i++)
        if (!read_secret(&config->values[i], error) ||
            !check_value(config, &config->values[i], error))
            return false;
    return true;
}

bool config_open(const struct config_option *const *tables, const struct config_sources *sources,
                 struct config **out_config, struct error *error)
{
    CLEANUP(config_closep) struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        abort();
    if (!add_tables(config, tables, error) || !fill(config, sources, error))
        return false;
    *out_config = config;
    config = NULL; /* the caller's now */
    return true;
}

void config_close(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->value_count; i++) {
        free(config->values[i].text);
        free(config->values[i].secret_path);
    }
    free(config->values);
    free(config->file);
    free(config);
}

void config_closep(struct config **config)
{
    config_close(*config);
}

static bool load_row(const struct config *config, const struct config_option *row, void *settings,
                     struct error *error)
{
    const struct config_value *value = config_find(config, row->name);
    assert(value != NULL); /* its table was not among those of config_open() */
    if (value->text == NULL) {
        char variable[CONFIG_NAME_SIZE];
        config_environment_name(row->name, variable);
        return error_set(error, ERROR_BAD_INPUT, "%s must be given, as an option or as %s%s",
                         row->name, variable, row->type == CONFIG_SECRET ? "[_FILE]" : "");
    }
    union config_meaning meaning = {0};
    if (!config_value_parse(row, value->text, &meaning, error))
        return error_prefix(error, "%s", row->name);
    void *field = (char *)settings + row->field;
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_CHOICE:
        *(const char **)field = value->text;
        break;
    case CONFIG_BOOL:
        *(bool *)field = meaning.is_on;
        break;
    case CONFIG_COUNT:
    case CONFIG_SIZE:
        *(uint64_t *)field = meaning.number;
        break;
    case CONFIG_DURATION:
        *(int64_t *)field = meaning.duration_ms;
        break;
    }
    return true;
}

bool config_load(const struct config *config, const struct config_option *table, void *settings,
                 struct error *error)
{
    for (; table->name != NULL; table++)
        if (!load_row(config, table, settings, error))
            return false;
    return true;
}

bool config_is_given(const struct config *config, const char *name)
{
    const struct config_value *value = config_find(config, name);
    return value != NULL && value->source != CONFIG_SOURCE_DEFAULT;
}
