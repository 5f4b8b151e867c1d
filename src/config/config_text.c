#include "base/file.h"
#include "config/config_internal.h"
#include <stdio.h>
#include <string.h>

/* ---- Sections: two tables may have options of the same ---- */

static int section_length(const char *name)
{
    return (int)strcspn(name, ".");
}

static bool is_same_section(const struct config_option *a, const struct config_option *b)
{
    int length = section_length(a->name);
    return section_length(b->name) == length && strncmp(a->name, b->name, (size_t)length) == 0;
}

/* The index of the first option of the same section, which is where the section is printed. */
static size_t first_of_section(const struct config *config, const struct config_option *option)
{
    size_t i = 0;
    while (!is_same_section(config->values[i].option, option))
        i++;
    return i;
}

/* ---- What is in force ---- */

static const char *shown_text(const struct config_value *value)
{
    if (value->text == NULL)
        return "";
    return value->option->type == CONFIG_SECRET && value->text[0] != '\0' ? "********"
                                                                          : value->text;
}

static bool show_value(const struct config *config, const struct config_value *value,
                       struct buffer *out_text, struct error *error)
{
    char source[FILE_PATH_SIZE];
    config_describe_source(config, value, source, sizeof source);
    if (value->text == NULL)
        snprintf(source, sizeof source, "nowhere: it has no default");
    return buffer_append_format(out_text, error, "%s = %s  # from %s%s%s\n", value->option->name,
                                shown_text(value), source,
                                value->secret_path != NULL ? ", by " : "",
                                value->secret_path != NULL ? value->secret_path : "");
}

bool config_show(const struct config *config, struct buffer *out_text, struct error *error)
{
    for (size_t i = 0; i < config->value_count; i++) {
        if (first_of_section(config, config->values[i].option) != i)
            continue;
        for (size_t j = i; j < config->value_count; j++) {
            if (is_same_section(config->values[j].option, config->values[i].option) &&
                !show_value(config, &config->values[j], out_text, error))
                return false;
        }
    }
    return true;
}

/* ---- All options there are ---- */

static void describe_default(const struct config_option *option, const char *quote, char *out_text,
                             size_t size)
{
    if (option->standard == NULL)
        snprintf(out_text, size, "must be given");
    else if (option->standard[0] == '\0')
        snprintf(out_text, size, "empty");
    else
        snprintf(out_text, size, "%s%s%s", quote, option->standard, quote);
}

static bool append_row_markdown(const struct config_option *option, struct buffer *out_text,
                                struct error *error)
{
    char value[200];
    char standard[200];
    config_value_describe(option, value, sizeof value);
    describe_default(option, "`", standard, sizeof standard);
    return buffer_append_format(out_text, error, "| `%s` | %s | %s | %s |\n", option->name, value,
                                standard, option->help);
}

static bool append_row_terminal(const struct config_option *option, struct buffer *out_text,
                                struct error *error)
{
    char value[200];
    char standard[200];
    char variable[CONFIG_NAME_SIZE];
    config_value_describe(option, value, sizeof value);
    describe_default(option, "", standard, sizeof standard);
    config_environment_name(option->name, variable);
    return buffer_append_format(out_text, error, "  %s (%s)\n    %s\n    %s; %s%s\n", option->name,
                                standard, option->help, value, variable,
                                option->type == CONFIG_SECRET ? " or ..._FILE" : "");
}

static const struct reference_form {
    const char *introduction;
    const char *before_section, *after_section; /* around its name, as a heading */
    bool (*append_row)(const struct config_option *option, struct buffer *out_text,
                       struct error *error);
} reference_forms[] = {
    [CONFIG_REFERENCE_MARKDOWN] =
        {
            .introduction =
                "# Options\n\n"
                "Written by `tapedeck config options --markdown`; the rows stand beside the code "
                "that uses them.\n\n"
                "An option is set, in rising precedence, by its default, by the INI file "
                "(`--config FILE` or `TAPEDECK_CONFIG`), by the environment as "
                "`TAPEDECK_SECTION_KEY`, and by `--set section.key=value`. A secret can also be "
                "given as `section.key_file`, the path of a file that holds it. Durations take "
                "`ms s m h d`, sizes `B kB KiB MB MiB GB GiB TB TiB`; where 0 is allowed it can "
                "be written `off`.\n",
            .before_section = "\n## ",
            .after_section = "\n\n| option | value | default | meaning |\n|---|---|---|---|\n",
            .append_row = append_row_markdown,
        },
    [CONFIG_REFERENCE_TERMINAL] =
        {
            .introduction = "Each option with its default, its meaning, what it takes, and the "
                            "environment variable that sets it.\n",
            .before_section = "\n[",
            .after_section = "]\n",
            .append_row = append_row_terminal,
        },
};

bool config_reference(const struct config_option *const *tables, enum config_reference_form form,
                      struct buffer *out_text, struct error *error)
{
    const struct reference_form *shape = &reference_forms[form];
    const struct config_sources none = {0};
    CLEANUP(config_closep) struct config *config = NULL;
    if (!config_open(tables, &none, &config, error) ||
        !buffer_append_text(out_text, shape->introduction, error))
        return false;
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_option *first = config->values[i].option;
        if (first_of_section(config, first) != i)
            continue;
        if (!buffer_append_format(out_text, error, "%s%.*s%s", shape->before_section,
                                  section_length(first->name), first->name, shape->after_section))
            return false;
        for (size_t j = i; j < config->value_count; j++) {
            const struct config_option *option = config->values[j].option;
            if (is_same_section(option, first) && !shape->append_row(option, out_text, error))
                return false;
        }
    }
    return true;
}
