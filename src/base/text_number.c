#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Reads digits as far as they go. False: none, or more than a uint64_t holds. */
static bool read_digits(const char **at, uint64_t *out_number)
{
    const char *start = *at;
    uint64_t number = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out_number = number;
    return *at != start;
}

bool text_parse_count(const char *text, uint64_t most, uint64_t *out_count, struct error *error)
{
    const char *at = text;
    uint64_t count;
    if (!read_digits(&at, &count) || *at != '\0' || count > most)
        return error_set(error, ERROR_BAD_INPUT, "expected a whole number from 0 to %" PRIu64,
                         most);
    *out_count = count;
    return true;
}

/* At most six digits, as millionths: "5" is 500000. */
static bool read_fraction(const char **at, uint64_t *out_millionths)
{
    const char *start = *at;
    uint64_t millionths;
    if (!read_digits(at, &millionths) || *at - start > 6)
        return false;
    for (ptrdiff_t digits = *at - start; digits < 6; digits++)
        millionths *= 10;
    *out_millionths = millionths;
    return true;
}

bool text_parse_decimal(const char *text, int64_t *out_millionths, struct error *error)
{
    bool is_negative = *text == '-';
    const char *at = text + is_negative;
    uint64_t whole;
    uint64_t fraction = 0;
    bool is_number = read_digits(&at, &whole) && whole < INT64_MAX / 1000000;
    if (is_number && *at == '.') {
        at++;
        is_number = read_fraction(&at, &fraction);
    }
    if (!is_number || *at != '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "expected a number with at most six digits after the point");
    int64_t millionths = (int64_t)(whole * 1000000 + fraction);
    *out_millionths = is_negative ? -millionths : millionths;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},   {"TB", UINT64_C(1000000000000)}, {"GiB", UINT64_C(1) << 30},
    {"GB", UINT64_C(1000000000)}, {"MiB", UINT64_C(1) << 20},      {"MB", UINT64_C(1000000)},
    {"KiB", UINT64_C(1) << 10},   {"kB", UINT64_C(1000)},          {"B", UINT64_C(1)},
};

struct quantity {
    const struct unit *units;
    size_t unit_count;
    uint64_t most;
    const char *expected;
};

static const struct quantity durations = {
    .units = duration_units,
    .unit_count = ARRAY_COUNT(duration_units),
    .most = INT64_MAX,
    .expected = "expected a whole number with its unit, ms s m h or d, like 30s",
};

static const struct quantity sizes = {
    .units = size_units,
    .unit_count = ARRAY_COUNT(size_units),
    .most = UINT64_MAX,
    .expected = "expected a whole number with its unit, B kB KiB MB MiB GB GiB TB or TiB, like "
                "4GiB",
};

static const struct unit *find_unit(const struct quantity *quantity, const char *name)
{
    for (size_t i = 0; i < quantity->unit_count; i++) {
        if (strcmp(name, quantity->units[i].name) == 0)
            return &quantity->units[i];
    }
    return NULL;
}

static bool read_quantity(const char *text, const struct quantity *quantity, uint64_t *out_number,
                          struct error *error)
{
    if (strcmp(text, "0") == 0 || strcmp(text, "off") == 0) {
        *out_number = 0;
        return true;
    }
    size_t digit_count = strspn(text, "0123456789");
    const struct unit *unit = find_unit(quantity, text + digit_count);
    uint64_t number;
    if (digit_count == 0 || unit == NULL)
        return error_set(error, ERROR_BAD_INPUT, "%s", quantity->expected);
    if (!read_digits(&text, &number) || number > quantity->most / unit->factor)
        return error_set(error, ERROR_BAD_INPUT, "that is too large a number");
    *out_number = number * unit->factor;
    return true;
}

bool text_parse_duration_ms(const char *text, int64_t *out_ms, struct error *error)
{
    uint64_t ms;
    if (!read_quantity(text, &durations, &ms, error))
        return false;
    *out_ms = (int64_t)ms;
    return true;
}

bool text_parse_size(const char *text, uint64_t *out_bytes, struct error *error)
{
    return read_quantity(text, &sizes, out_bytes, error);
}

static void format_quantity(uint64_t quantity, const struct unit *units,
                            char out_text[TEXT_UNIT_SIZE])
{
    if (quantity == 0) {
        snprintf(out_text, TEXT_UNIT_SIZE, "off");
        return;
    }
    while (quantity % units->factor != 0)
        units++;
    snprintf(out_text, TEXT_UNIT_SIZE, "%" PRIu64 "%s", quantity / units->factor, units->name);
}

void text_format_duration_ms(int64_t ms, char out_text[TEXT_UNIT_SIZE])
{
    assert(ms >= 0);
    format_quantity((uint64_t)ms, duration_units, out_text);
}

void text_format_size(uint64_t bytes, char out_text[TEXT_UNIT_SIZE])
{
    format_quantity(bytes, size_units, out_text);
}

void text_format_size_for_people(uint64_t bytes, char out_text[TEXT_UNIT_SIZE])
{
    static const char *const names[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        snprintf(out_text, TEXT_UNIT_SIZE, "%" PRIu64 " B", bytes);
        return;
    }
    uint64_t factor = 1000;
    size_t i = 0;
    /* One past what rounds to 999.9, so that nothing is ever shown as "1000.0 kB". */
    while (bytes >= factor * 1000 - factor / 20 && i + 1 < ARRAY_COUNT(names)) {
        factor *= 1000;
        i++;
    }
    uint64_t tenth = factor / 10;
    uint64_t tenths = bytes / tenth + (bytes % tenth >= tenth / 2);
    snprintf(out_text, TEXT_UNIT_SIZE, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
             names[i]);
}

void text_format_length_for_people(double seconds, char out_text[TEXT_UNIT_SIZE])
{
    /* Bounded before the conversion: what a file says of its length can be anything. */
    double bounded = seconds < 1e9 ? seconds : 1e9;
    int64_t whole = seconds > 0 ? (int64_t)(bounded + 0.5) : 0;
    int hours = (int)(whole / 3600);
    int minutes = (int)(whole / 60 % 60);
    int rest = (int)(whole % 60);
    if (hours != 0)
        snprintf(out_text, TEXT_UNIT_SIZE, "%d:%02d:%02d", hours, minutes, rest);
    else
        snprintf(out_text, TEXT_UNIT_SIZE, "%d:%02d", minutes, rest);
}
