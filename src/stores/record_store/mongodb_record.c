#include "stores/record_store/mongodb_record.h"

#include "base/json.h"
#include "base/text.h"
#include "model/conversion_document.h"
#include "stores/shared/mongodb.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 64
#define TEXT_SIZE_MAX ((size_t)4096)
#define INTEGER_MOST (INT64_C(1) << 53) /* as in the form of JSON */

/* ---- Writing ---- */

void mongodb_record_append_id(bson_t *document, const char *member, const struct id *id)
{
    bson_oid_t oid;
    if (id_is_none(id)) {
        bson_append_null(document, member, -1);
        return;
    }
    bson_oid_init_from_string(&oid, id->text);
    bson_append_oid(document, member, -1, &oid);
}

/* BSON knows only UTF-8. */
static void append_text(bson_t *document, const char *member, const char *text)
{
    CLEANUP(buffer_finish) struct buffer clean = BUFFER_WITH_MAX(TEXT_SIZE_MAX);
    if (!text_is_utf8(text, strlen(text)) && text_clean(text, strlen(text), &clean, NULL))
        text = buffer_text(&clean);
    bson_append_utf8(document, member, -1, text, -1);
}

static void append_time(bson_t *document, const char *member, int64_t time_ms)
{
    if (time_ms == 0)
        bson_append_null(document, member, -1);
    else
        bson_append_date_time(document, member, -1, time_ms);
}

static const char *enum_name(const struct conversion_field *field, const void *value)
{
    int index;
    memcpy(&index, value, sizeof index);
    return field->names[index];
}

/* Numbers, texts and bools, so that both forms say the same. */
static void append_json(bson_t *document, const char *member, const json_t *value)
{
    if (json_is_string(value))
        append_text(document, member, json_string_value(value));
    else if (json_is_integer(value))
        bson_append_int64(document, member, -1, json_integer_value(value));
    else if (json_is_real(value))
        bson_append_double(document, member, -1, json_real_value(value));
    else if (json_is_boolean(value))
        bson_append_bool(document, member, -1, json_is_true(value));
}

static void append_options(bson_t *document, const char *member,
                           const struct conversion_options *options)
{
    CLEANUP(json_decrefp) json_t *json = conversion_options_to_json(options);
    const char *name = NULL;
    const json_t *value = NULL;
    bson_t object;
    bson_append_document_begin(document, member, -1, &object);
    json_object_foreach(json, name, value)
    {
        append_json(&object, name, value);
    }
    bson_append_document_end(document, &object);
}

static void append_field(bson_t *document, const char *member, const struct conversion_field *field,
                         const void *value)
{
    switch (field->type) {
    case CONVERSION_FIELD_ID:
        mongodb_record_append_id(document, member, value);
        break;
    case CONVERSION_FIELD_TEXT:
        append_text(document, member, value);
        break;
    case CONVERSION_FIELD_INTEGER:
        bson_append_int64(document, member, -1, *(const int64_t *)value);
        break;
    case CONVERSION_FIELD_NUMBER:
        bson_append_int64(document, member, -1, *(const uint32_t *)value);
        break;
    case CONVERSION_FIELD_TIME:
        append_time(document, member, *(const int64_t *)value);
        break;
    case CONVERSION_FIELD_REAL:
        bson_append_double(document, member, -1, *(const double *)value);
        break;
    case CONVERSION_FIELD_BOOL:
        bson_append_bool(document, member, -1, *(const bool *)value);
        break;
    case CONVERSION_FIELD_ENUM:
        append_text(document, member, enum_name(field, value));
        break;
    case CONVERSION_FIELD_OPTIONS:
        append_options(document, member, value);
        break;
    }
}

static const void *value_of(const struct conversion *record, const struct conversion_field *field)
{
    return (const char *)record + field->offset;
}

/* "owner" of "owner.id"; 0: of no object. */
static size_t outer_size(const struct conversion_field *field)
{
    const char *dot = field->path == NULL ? NULL : strchr(field->path, '.');
    return dot == NULL ? 0 : (size_t)(dot - field->path);
}

/* The fields of one object stand together in the table. */
static const struct conversion_field *append_object(bson_t *document,
                                                    const struct conversion_field *field,
                                                    const struct conversion *record)
{
    const char *path = field->path;
    size_t size = outer_size(field);
    bson_t object;
    bson_append_document_begin(document, path, (int)size, &object);
    for (; outer_size(field) == size && strncmp(field->path, path, size) == 0; field++)
        append_field(&object, field->path + size + 1, field, value_of(record, field));
    bson_append_document_end(document, &object);
    return field;
}

void mongodb_record_append(bson_t *document, const struct conversion *record)
{
    const struct conversion_field *field = conversion_fields;
    while (field->path != NULL) {
        if (outer_size(field) != 0) {
            field = append_object(document, field, record);
            continue;
        }
        append_field(document, field->path, field, value_of(record, field));
        field++;
    }
}

struct option_update {
    const char *path;    /* "options" */
    json_t *given;       /* borrowed */
    bson_t *set, *unset; /* borrowed */
};

static void append_option_update(void *context, const char *name, const char *form,
                                 const char *help)
{
    (void)form;
    (void)help;
    const struct option_update *update = context;
    const json_t *value = json_object_get(update->given, name);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s.%s", update->path, name);
    if (value != NULL)
        append_json(update->set, path, value);
    else
        bson_append_utf8(update->unset, path, -1, "", -1);
}

static void append_options_update(bson_t *set, bson_t *unset, const struct conversion_field *field,
                                  const struct conversion *record)
{
    if (record->state == CONVERSION_DELETING) {
        append_field(set, field->path, field, value_of(record, field));
        return;
    }
    CLEANUP(json_decrefp) json_t *given = conversion_options_to_json(&record->options);
    struct option_update update = {.path = field->path, .given = given, .set = set, .unset = unset};
    conversion_options_describe(append_option_update, &update);
}

void mongodb_record_append_update(bson_t *update, const struct conversion *record)
{
    CLEANUP(bson_destroy) bson_t unset = BSON_INITIALIZER;
    bson_t set;
    bson_append_document_begin(update, "$set", -1, &set);
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        if (field->type == CONVERSION_FIELD_OPTIONS)
            append_options_update(&set, &unset, field, record);
        else if (strcmp(field->path, "_id") != 0)
            append_field(&set, field->path, field, value_of(record, field));
    }
    bson_append_document_end(update, &set);
    if (!bson_empty(&unset))
        bson_append_document(update, "$unset", -1, &unset);
}

/* ---- Reading ---- */

static bool fail_type(const struct conversion_field *field, const char *expected,
                      struct error *error)
{
    return error_set(error, ERROR_INTERNAL, "%s is not %s", field->path, expected);
}

static bool read_id(const bson_iter_t *value, const struct conversion_field *field,
                    struct id *out_id, struct error *error)
{
    if (!BSON_ITER_HOLDS_OID(value))
        return fail_type(field, "an ObjectId", error);
    *out_id = id_from_bytes(bson_iter_oid(value)->bytes);
    return true;
}

static bool read_text(const bson_iter_t *value, const struct conversion_field *field,
                      char *out_text, struct error *error)
{
    uint32_t size = 0;
    if (!BSON_ITER_HOLDS_UTF8(value))
        return fail_type(field, "a text", error);
    const char *text = bson_iter_utf8(value, &size);
    if (size >= field->size || strlen(text) != size)
        return fail_type(field, "a text of its size", error);
    memcpy(out_text, text, (size_t)size + 1);
    return true;
}

static bool read_integer(const bson_iter_t *value, const struct conversion_field *field,
                         int64_t *out_integer, struct error *error)
{
    return mongodb_whole_number(value, CONVERSION_SIZE_UNKNOWN, INTEGER_MOST, out_integer) ||
           fail_type(field, "a whole number within its bounds", error);
}

static bool read_number(const bson_iter_t *value, const struct conversion_field *field,
                        uint32_t *out_number, struct error *error)
{
    int64_t integer = 0;
    if (!mongodb_whole_number(value, 0, UINT32_MAX, &integer))
        return fail_type(field, "a whole number within its bounds", error);
    *out_number = (uint32_t)integer;
    return true;
}

static bool read_enum(const bson_iter_t *value, const struct conversion_field *field,
                      void *out_value, struct error *error)
{
    if (!BSON_ITER_HOLDS_UTF8(value))
        return fail_type(field, "a name", error);
    const char *text = bson_iter_utf8(value, NULL);
    for (int i = 0; field->names[i] != NULL; i++) {
        if (strcmp(text, field->names[i]) == 0) {
            memcpy(out_value, &i, sizeof i);
            return true;
        }
    }
    return error_set(error, ERROR_INTERNAL, "%s is \"%.40s\", which this version does not know",
                     field->path, text);
}

static void json_text_freep(char **text)
{
    bson_free(*text);
}

static bool read_options(const bson_iter_t *value, const struct conversion_field *field,
                         struct conversion_options *out_options, struct error *error)
{
    uint32_t size = 0;
    const uint8_t *bytes = NULL;
    bson_t document;
    if (!BSON_ITER_HOLDS_DOCUMENT(value))
        return fail_type(field, "an object", error);
    bson_iter_document(value, &size, &bytes);
    if (!bson_init_static(&document, bytes, size))
        return fail_type(field, "whole", error);
    size_t text_size = 0;
    CLEANUP(json_text_freep) char *text = bson_as_relaxed_extended_json(&document, &text_size);
    CLEANUP(json_decrefp) json_t *json = NULL;
    return (text != NULL && json_parse(text, text_size, &json, error) &&
            conversion_options_from_json(json, out_options, error)) ||
           (text == NULL && fail_type(field, "readable", error));
}

static bool read_value(const bson_iter_t *value, const struct conversion_field *field,
                       void *out_value, struct error *error)
{
    switch (field->type) {
    case CONVERSION_FIELD_ID:
        return read_id(value, field, out_value, error);
    case CONVERSION_FIELD_TEXT:
        return read_text(value, field, out_value, error);
    case CONVERSION_FIELD_INTEGER:
        return read_integer(value, field, out_value, error);
    case CONVERSION_FIELD_NUMBER:
        return read_number(value, field, out_value, error);
    case CONVERSION_FIELD_TIME:
        if (!BSON_ITER_HOLDS_DATE_TIME(value))
            return fail_type(field, "a date", error);
        *(int64_t *)out_value = bson_iter_date_time(value);
        return true;
    case CONVERSION_FIELD_REAL:
        if (!BSON_ITER_HOLDS_NUMBER(value))
            return fail_type(field, "a number", error);
        *(double *)out_value = bson_iter_as_double(value);
        return true;
    case CONVERSION_FIELD_BOOL:
        if (!BSON_ITER_HOLDS_BOOL(value))
            return fail_type(field, "a bool", error);
        *(bool *)out_value = bson_iter_bool(value);
        return true;
    case CONVERSION_FIELD_ENUM:
        return read_enum(value, field, out_value, error);
    case CONVERSION_FIELD_OPTIONS:
        return read_options(value, field, out_value, error);
    }
    return error_set(error, ERROR_INTERNAL, "%s has no known type", field->path);
}

/* What is missing was not known to the version that wrote the record; an enum never is. */
static bool read_field(const bson_t *document, const struct conversion_field *field,
                       void *out_value, struct error *error)
{
    bson_iter_t top;
    bson_iter_t value;
    bool is_there = bson_iter_init(&top, document) &&
                    bson_iter_find_descendant(&top, field->path, &value) &&
                    !BSON_ITER_HOLDS_NULL(&value);
    if (!is_there)
        return field->type != CONVERSION_FIELD_ENUM || fail_type(field, "there", error);
    return read_value(&value, field, out_value, error);
}

bool mongodb_record_read(const bson_t *document, struct conversion *out_record, struct error *error)
{
    struct conversion record = {.video.size_bytes = CONVERSION_SIZE_UNKNOWN};
    struct error cause = {0};
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        if (!read_field(document, field, (char *)&record + field->offset, &cause))
            return error_set(error, ERROR_INTERNAL, "conversion %s: %s", record.id.text,
                             cause.text);
    }
    if (!conversion_check(&record, error))
        return false;
    *out_record = record;
    return true;
}
