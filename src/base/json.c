#include "base/json.h"

#include "base/text.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* jansson recurses to a depth of 2048 before it complains; this looks before it starts. */
static bool is_too_deep(const char *bytes, size_t size)
{
    int depth = 0;
    bool is_in_string = false;
    for (size_t i = 0; i < size; i++) {
        char byte = bytes[i];
        if (is_in_string) {
            if (byte == '\\')
                i++;
            else if (byte == '"')
                is_in_string = false;
        } else if (byte == '"') {
            is_in_string = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if (byte == ']' || byte == '}') {
            depth--;
        }
    }
    return false;
}

/* jansson's own text quotes the input, which may be a password. */
static const char *parse_problem(const json_error_t *problem)
{
    switch (json_error_code(problem)) {
    case json_error_duplicate_key:
        return "a member twice";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a NUL in a string";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_premature_end_of_input:
        return "it ends too early";
    case json_error_end_of_input_expected:
        return "something after its end";
    case json_error_numeric_overflow:
        return "a number too large";
    default:
        return "bad syntax";
    }
}

bool json_parse(const void *bytes, size_t size, json_t **out_json, struct error *error)
{
    if (is_too_deep(bytes, size))
        return error_set(error, ERROR_BAD_INPUT, "JSON nested deeper than %d", JSON_DEPTH_MAX);
    json_error_t problem;
    json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (json == NULL)
        return error_set(error, ERROR_BAD_INPUT, "not JSON: %s, line %d column %d",
                         parse_problem(&problem), problem.line, problem.column);
    *out_json = json;
    return true;
}

struct sink {
    struct buffer *buffer;
    struct error *error;
};

static int sink_append(const char *bytes, size_t size, void *context)
{
    struct sink *sink = context;
    return buffer_append(sink->buffer, bytes, size, sink->error) ? 0 : -1;
}

bool json_format(const json_t *json, struct buffer *out_text, struct error *error)
{
    size_t size_before = out_text->size;
    struct error cause = {.kind = ERROR_INTERNAL, .text = "JSON that cannot be written"};
    struct sink sink = {out_text, &cause};
    /* Fifteen digits are what a double always keeps: 0.42 stays 0.42. */
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    if (json_dump_callback(json, sink_append, &sink, flags) == 0)
        return true;
    buffer_truncate(out_text, size_before);
    return error_set(error, cause.kind, "%s", cause.text);
}

/* The member's value, NULL where it is missing or null and may be. */
static bool find_member(const json_t *object, const char *member, enum json_need need,
                        const json_t **out_value, struct error *error)
{
    if (!json_is_object(object))
        return error_set(error, ERROR_BAD_INPUT, "a JSON object was expected around \"%s\"",
                         member);
    const json_t *value = json_object_get(object, member);
    if (json_is_null(value))
        value = NULL;
    if (value == NULL && need == JSON_REQUIRED)
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is missing", member);
    *out_value = value;
    return true;
}

bool json_get_text(const json_t *object, const char *member, enum json_need need, char *out_text,
                   size_t size, struct error *error)
{
    const json_t *value = NULL;
    if (!find_member(object, member, need, &value, error))
        return false;
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is not a string", member);
    size_t length = json_string_length(value);
    if (length >= size || strlen(json_string_value(value)) != length)
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is longer than %zu bytes", member,
                         size - 1);
    memcpy(out_text, json_string_value(value), length + 1);
    return true;
}

bool json_get_id(const json_t *object, const char *member, enum json_need need, struct id *out_id,
                 struct error *error)
{
    const json_t *value = NULL;
    if (!find_member(object, member, need, &value, error))
        return false;
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is not a string", member);
    return id_parse(json_string_value(value), out_id, error) ||
           error_prefix(error, "member \"%s\"", member);
}

/* NOLINTNEXTLINE(readability-function-size): a bound is half a parameter */
bool json_get_integer(const json_t *object, const char *member, enum json_need need, int64_t least,
                      int64_t most, int64_t *out_integer, struct error *error)
{
    const json_t *value = NULL;
    if (!find_member(object, member, need, &value, error))
        return false;
    if (value == NULL)
        return true;
    int64_t integer = json_integer_value(value);
    if (!json_is_integer(value) || integer < least || integer > most)
        return error_set(error, ERROR_BAD_INPUT,
                         "member \"%s\" is not a whole number from %" PRId64 " to %" PRId64, member,
                         least, most);
    *out_integer = integer;
    return true;
}

bool json_get_real(const json_t *object, const char *member, enum json_need need, double *out_real,
                   struct error *error)
{
    const json_t *value = NULL;
    if (!find_member(object, member, need, &value, error))
        return false;
    if (value == NULL)
        return true;
    if (!json_is_number(value))
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is not a number", member);
    *out_real = json_number_value(value);
    return true;
}

bool json_get_bool(const json_t *object, const char *member, enum json_need need, bool *out_bool,
                   struct error *error)
{
    const json_t *value = NULL;
    if (!find_member(object, member, need, &value, error))
        return false;
    if (value == NULL)
        return true;
    if (!json_is_boolean(value))
        return error_set(error, ERROR_BAD_INPUT, "member \"%s\" is not true or false", member);
    *out_bool = json_is_true(value);
    return true;
}

void json_set_take(json_t *object, const char *member, json_t *value)
{
    if (value == NULL || json_object_set_new(object, member, value) != 0)
        abort();
}

static json_t *make_string(const char *text)
{
    size_t length = strlen(text);
    if (text_is_utf8(text, length))
        return json_stringn_nocheck(text, length);
    /* Three bytes of U+FFFD for every bad one is the most that it can grow to. */
    CLEANUP(buffer_finish) struct buffer clean = BUFFER_WITH_MAX(3 * length);
    if (!text_clean(text, length, &clean, NULL))
        abort();
    return json_stringn_nocheck(buffer_text(&clean), clean.size);
}

void json_set_text(json_t *object, const char *member, const char *text)
{
    json_set_take(object, member, text != NULL ? make_string(text) : json_null());
}

void json_set_id(json_t *object, const char *member, const struct id *id)
{
    json_set_text(object, member, id_is_none(id) ? NULL : id->text);
}

void json_set_integer(json_t *object, const char *member, int64_t integer)
{
    json_set_take(object, member, json_integer(integer));
}

void json_set_real(json_t *object, const char *member, double real)
{
    json_t *value = json_real(real);
    json_set_take(object, member, value != NULL ? value : json_null());
}

void json_set_bool(json_t *object, const char *member, bool value)
{
    json_set_take(object, member, json_boolean(value));
}

json_t *json_object_make(void)
{
    json_t *object = json_object();
    if (object == NULL)
        abort();
    return object;
}

json_t *json_array_make(void)
{
    json_t *array = json_array();
    if (array == NULL)
        abort();
    return array;
}
