#include "config/config_internal.h"

#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The bounds as a person would write them; "" for none. */
static void describe_bounds(const struct config_option *option,
                            void (*format)(uint64_t number, char out_text[TEXT_UNIT_SIZE]),
                            char *out_text, size_t size)
{
    char least[TEXT_UNIT_SIZE];
    char most[TEXT_UNIT_SIZE];
    format(option->least, least);
    format(option->most, most);
    if (option->least != 0 && option->most != 0)
        snprintf(out_text, size, " from %s to %s", least, most);
    else if (option->least != 0)
        snprintf(out_text, size, " of at least %s", least);
    else if (option->most != 0)
        snprintf(out_text, size, " up to %s", most);
    else
        out_text[0] = '\0';
}

static void format_count(uint64_t number, char out_text[TEXT_UNIT_SIZE])
{
    snprintf(out_text, TEXT_UNIT_SIZE, "%" PRIu64, number);
}

static void format_duration(uint64_t number, char out_text[TEXT_UNIT_SIZE])
{
    text_format_duration_ms((int64_t)number, out_text);
}

static void describe_choices(const struct config_option *option, char *out_text, size_t size)
{
    size_t used = (size_t)snprintf(out_text, size, "one of");
    for (size_t i = 0; option->choices[i] != NULL && used < size; i++)
        used += (size_t)snprintf(out_text + used, size - used, "%s %s", i == 0 ? "" : ",",
                                 option->choices[i]);
}

void config_value_describe(const struct config_option *option, char *out_text, size_t size)
{
    char bounds[100];
    switch (option->type) {
    case CONFIG_TEXT:
        snprintf(out_text, size, "text");
        return;
    case CONFIG_SECRET:
        snprintf(out_text, size, "secret text");
        return;
    case CONFIG_BOOL:
        snprintf(out_text, size, "on or off");
        return;
    case CONFIG_COUNT:
        describe_bounds(option, format_count, bounds, sizeof bounds);
        snprintf(out_text, size, "whole number%s", bounds);
        return;
    case CONFIG_DURATION:
        describe_bounds(option, format_duration, bounds, sizeof bounds);
        snprintf(out_text, size, "duration%s", bounds);
        return;
    case CONFIG_SIZE:
        describe_bounds(option, text_format_size, bounds, sizeof bounds);
        snprintf(out_text, size, "size%s", bounds);
        return;
    case CONFIG_CHOICE:
        describe_choices(option, out_text, size);
        return;
    }
}

static bool is_within(const struct config_option *option, uint64_t number)
{
    return number >= option->least && (option->most == 0 || number <= option->most);
}

static bool refuse_bounds(const struct config_option *option, struct error *error)
{
    char expected[200];
    config_value_describe(option, expected, sizeof expected);
    return error_set(error, ERROR_BAD_INPUT, "expected %s%s",
                     option->type == CONFIG_CHOICE ? "" : "a ", expected);
}

static bool is_choice(const struct config_option *option, const char *text)
{
    for (size_t i = 0; option->choices[i] != NULL; i++)
        if (strcmp(option->choices[i], text) == 0)
            return true;
    return false;
}

static bool check_text(const char *text, struct error *error)
{
    if (!text_is_utf8(text, strlen(text)))
        return error_set(error, ERROR_BAD_INPUT, "expected text in UTF-8");
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return error_set(error, ERROR_BAD_INPUT, "expected text without control characters");
    return true;
}

static bool parse_switch(const char *text, bool *out_is_on, struct error *error)
{
    bool is_on = strcmp(text, "on") == 0;
    if (!is_on && strcmp(text, "off") != 0)
        return error_set(error, ERROR_BAD_INPUT, "expected on or off");
    *out_is_on = is_on;
    return true;
}

bool config_value_parse(const struct config_option *option, const char *text,
                        union config_meaning *out_meaning, struct error *error)
{
    union config_meaning meaning = {0};
    switch (option->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return check_text(text, error) && (option->check == NULL || option->check(text, error));
    case CONFIG_CHOICE:
        return is_choice(option, text) || refuse_bounds(option, error);
    case CONFIG_BOOL:
        return parse_switch(text, &out_meaning->is_on, error);
    case CONFIG_COUNT:
        if (!text_parse_count(text, UINT64_MAX, &meaning.number, NULL) ||
            !is_within(option, meaning.number))
            return refuse_bounds(option, error);
        break;
    case CONFIG_DURATION:
        if (!text_parse_duration_ms(text, &meaning.duration_ms, error))
            return false;
        if (!is_within(option, (uint64_t)meaning.duration_ms))
            return refuse_bounds(option, error);
        break;
    case CONFIG_SIZE:
        if (!text_parse_size(text, &meaning.number, error))
            return false;
        if (!is_within(option, meaning.number))
            return refuse_bounds(option, error);
        break;
    }
    *out_meaning = meaning;
    return true;
}
