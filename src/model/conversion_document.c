#include "model/conversion_document.h"

#include "base/json.h"
#include "model/conversion_internal.h"
#include <stdio.h>
#include <string.h>

#define PATH_PART_SIZE 32
#define COUNT_MOST INT64_C(1000000)           /* takings, attempts, sweeps */
#define INTEGER_MOST (INT64_C(1) << 53)       /* what every JSON reader counts to exactly */
#define TIME_MOST_MS INT64_C(253402300799999) /* the end of the year 9999 */
#define DURATION_MOST_SECONDS (366.0 * 86400.0)

#define FIELD(path_, type_, member)                                                                \
    {                                                                                              \
        .path = (path_), .type = CONVERSION_FIELD_##type_,                                         \
        .offset = offsetof(struct conversion, member),                                             \
        .size = sizeof(((struct conversion *)NULL)->member)                                        \
    }
#define ENUM_FIELD(path_, member, names_)                                                          \
    {                                                                                              \
        .path = (path_), .type = CONVERSION_FIELD_ENUM,                                            \
        .offset = offsetof(struct conversion, member),                                             \
        .size = sizeof(((struct conversion *)NULL)->member), .names = (names_)                     \
    }

const struct conversion_field conversion_fields[] = {
    FIELD("_id", ID, id),
    FIELD("version", INTEGER, version),
    ENUM_FIELD("state", state, conversion_state_names),
    FIELD("owner.id", ID, owner.id),
    FIELD("owner.email", TEXT, owner.email),
    FIELD("request_key", TEXT, request_key),
    FIELD("trace.request", TEXT, trace.request),
    FIELD("trace.parent", TEXT, trace.parent),
    FIELD("created_at", TIME, created_at_ms),
    FIELD("queued_at", TIME, queued_at_ms),
    FIELD("ended_at", TIME, ended_at_ms),
    FIELD("changed_at", TIME, changed_at_ms),
    FIELD("expires_at", TIME, expires_at_ms),
    ENUM_FIELD("due_for", due_for, conversion_role_names),
    FIELD("due_at", TIME, due_at_ms),
    FIELD("resumable", BOOL, is_resumable),
    FIELD("generation", INTEGER, generation),
    FIELD("received", INTEGER, received_bytes),
    FIELD("video.name", TEXT, video.name),
    FIELD("video.size", INTEGER, video.size_bytes),
    FIELD("video.duration", REAL, video.duration_seconds),
    FIELD("video.removed", BOOL, video.is_removed),
    FIELD("options", OPTIONS, options),
    ENUM_FIELD("foreign", foreign, conversion_foreign_names),
    FIELD("claim", INTEGER, claim),
    FIELD("lost", INTEGER, lost),
    FIELD("attempts", INTEGER, attempts),
    FIELD("holder", ID, holder),
    FIELD("progress", REAL, progress),
    FIELD("mp3.id", ID, mp3.id),
    FIELD("mp3.size", INTEGER, mp3.size_bytes),
    FIELD("mp3.duration", REAL, mp3.duration_seconds),
    FIELD("mp3.bitrate_kbps", NUMBER, mp3.bitrate_kbps),
    FIELD("mp3.sample_rate_hz", NUMBER, mp3.sample_rate_hz),
    FIELD("mp3.channels", NUMBER, mp3.channels),
    FIELD("mp3.truncated", BOOL, mp3.is_truncated),
    FIELD("error.code", TEXT, error.code),
    FIELD("error.message", TEXT, error.message),
    ENUM_FIELD("notice.state", notice.state, conversion_notice_names),
    FIELD("notice.attempts", INTEGER, notice.attempts),
    FIELD("notice.error", TEXT, notice.error),
    FIELD("sweeps", INTEGER, sweeps),
    FIELD("clean_failures", INTEGER, clean_failures),
    {0},
};

/* "owner.email" is member "email" of the member "owner". */
static const char *split_path(const char *path, char out_outer[PATH_PART_SIZE])
{
    const char *dot = strchr(path, '.');
    if (dot == NULL)
        return path;
    snprintf(out_outer, PATH_PART_SIZE, "%.*s", (int)(dot - path), path);
    return dot + 1;
}

static const char *enum_name(const struct conversion_field *field, const void *value)
{
    int index;
    memcpy(&index, value, sizeof index);
    return field->names[index];
}

static void set_field(json_t *object, const char *member, const struct conversion_field *field,
                      const void *value)
{
    switch (field->type) {
    case CONVERSION_FIELD_ID:
        json_set_id(object, member, value);
        break;
    case CONVERSION_FIELD_TEXT:
        json_set_text(object, member, value);
        break;
    case CONVERSION_FIELD_INTEGER:
        json_set_integer(object, member, *(const int64_t *)value);
        break;
    case CONVERSION_FIELD_NUMBER:
        json_set_integer(object, member, *(const uint32_t *)value);
        break;
    case CONVERSION_FIELD_TIME:
        if (*(const int64_t *)value == 0)
            json_set_text(object, member, NULL);
        else
            json_set_integer(object, member, *(const int64_t *)value);
        break;
    case CONVERSION_FIELD_REAL:
        json_set_real(object, member, *(const double *)value);
        break;
    case CONVERSION_FIELD_BOOL:
        json_set_bool(object, member, *(const bool *)value);
        break;
    case CONVERSION_FIELD_ENUM:
        json_set_text(object, member, enum_name(field, value));
        break;
    case CONVERSION_FIELD_OPTIONS:
        json_set_take(object, member, conversion_options_to_json(value));
        break;
    }
}

json_t *conversion_to_json(const struct conversion *record)
{
    json_t *json = json_object_make();
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        char outer[PATH_PART_SIZE] = "";
        const char *member = split_path(field->path, outer);
        json_t *object = json;
        if (outer[0] != '\0') {
            if (json_object_get(json, outer) == NULL)
                json_set_take(json, outer, json_object_make());
            object = json_object_get(json, outer);
        }
        set_field(object, member, field, (const char *)record + field->offset);
    }
    return json;
}

static bool get_number(const json_t *object, const char *member, uint32_t *out_number,
                       struct error *error)
{
    int64_t integer = 0;
    if (!json_get_integer(object, member, JSON_OPTIONAL, 0, UINT32_MAX, &integer, error))
        return false;
    *out_number = (uint32_t)integer;
    return true;
}

static bool get_enum(const json_t *object, const char *member, const struct conversion_field *field,
                     void *out_value, struct error *error)
{
    char text[CONVERSION_CODE_SIZE] = "";
    if (!json_get_text(object, member, JSON_REQUIRED, text, sizeof text, error))
        return false;
    for (int i = 0; field->names[i] != NULL; i++) {
        if (strcmp(text, field->names[i]) == 0) {
            memcpy(out_value, &i, sizeof i);
            return true;
        }
    }
    return error_set(error, ERROR_INTERNAL, "%s is \"%s\", which this version does not know",
                     field->path, text);
}

static bool get_field(const json_t *object, const char *member,
                      const struct conversion_field *field, void *out_value, struct error *error)
{
    switch (field->type) {
    case CONVERSION_FIELD_ID:
        return json_get_id(object, member, JSON_OPTIONAL, out_value, error);
    case CONVERSION_FIELD_TEXT:
        return json_get_text(object, member, JSON_OPTIONAL, out_value, field->size, error);
    case CONVERSION_FIELD_INTEGER:
        return json_get_integer(object, member, JSON_OPTIONAL, CONVERSION_SIZE_UNKNOWN,
                                INTEGER_MOST, out_value, error);
    case CONVERSION_FIELD_NUMBER:
        return get_number(object, member, out_value, error);
    case CONVERSION_FIELD_TIME:
        return json_get_integer(object, member, JSON_OPTIONAL, 0, TIME_MOST_MS, out_value, error);
    case CONVERSION_FIELD_REAL:
        return json_get_real(object, member, JSON_OPTIONAL, out_value, error);
    case CONVERSION_FIELD_BOOL:
        return json_get_bool(object, member, JSON_OPTIONAL, out_value, error);
    case CONVERSION_FIELD_ENUM:
        return get_enum(object, member, field, out_value, error);
    case CONVERSION_FIELD_OPTIONS: {
        const json_t *options = json_object_get(object, member);
        return options == NULL || json_is_null(options) ||
               conversion_options_from_json(options, out_value, error);
    }
    }
    return error_set(error, ERROR_INTERNAL, "%s has no known type", field->path);
}

static bool read_fields(const json_t *json, struct conversion *out_record, struct error *error)
{
    if (!json_is_object(json))
        return error_set(error, ERROR_INTERNAL, "not an object");
    for (const struct conversion_field *field = conversion_fields; field->path != NULL; field++) {
        char outer[PATH_PART_SIZE] = "";
        const char *member = split_path(field->path, outer);
        const json_t *object = outer[0] == '\0' ? json : json_object_get(json, outer);
        if (object != NULL && !json_is_object(object))
            return error_set(error, ERROR_INTERNAL, "%s is not an object", outer);
        /* Written by a version that did not have it, unless it is an enum, whose "none" is never
         * left out: get_enum() says so. */
        if (object == NULL && field->type != CONVERSION_FIELD_ENUM)
            continue;
        if (!get_field(object, member, field, (char *)out_record + field->offset, error))
            return false;
    }
    return true;
}

static bool is_count(int64_t count)
{
    return count >= 0 && count <= COUNT_MOST;
}

static bool is_integer(int64_t integer, int64_t least)
{
    return integer >= least && integer <= INTEGER_MOST;
}

static bool is_time(int64_t time_ms)
{
    return time_ms >= 0 && time_ms <= TIME_MOST_MS;
}

static bool is_duration(double seconds)
{
    return seconds >= 0 && seconds <= DURATION_MOST_SECONDS;
}

static const char *find_impossible(const struct conversion *record)
{
    if (id_is_none(&record->id))
        return "_id";
    if (!is_integer(record->version, 1))
        return "version";
    if (!is_time(record->created_at_ms) || !is_time(record->queued_at_ms) ||
        !is_time(record->ended_at_ms) || !is_time(record->changed_at_ms) ||
        !is_time(record->expires_at_ms) || !is_time(record->due_at_ms))
        return "a time";
    if (!is_integer(record->generation, 0))
        return "generation";
    if (!is_integer(record->received_bytes, 0))
        return "received";
    if (!is_integer(record->video.size_bytes, CONVERSION_SIZE_UNKNOWN) ||
        !is_duration(record->video.duration_seconds))
        return "video";
    if (!is_count(record->claim) || !is_count(record->lost) || !is_count(record->attempts))
        return "claim, lost or attempts";
    if (!is_count(record->notice.attempts))
        return "notice.attempts";
    if (!is_count(record->sweeps) || !is_count(record->clean_failures))
        return "sweeps or clean_failures";
    if (!(record->progress >= 0 && record->progress <= 1))
        return "progress";
    if (record->mp3.size_bytes < 0 || !is_duration(record->mp3.duration_seconds))
        return "mp3";
    if (record->state == CONVERSION_DONE && id_is_none(&record->mp3.id))
        return "mp3.id of what is done";
    return NULL;
}

bool conversion_check(const struct conversion *record, struct error *error)
{
    const char *impossible = find_impossible(record);
    return impossible == NULL ||
           error_set(error, ERROR_INTERNAL, "conversion %s: %s makes no sense", record->id.text,
                     impossible);
}

bool conversion_from_json(const json_t *json, struct conversion *out_record, struct error *error)
{
    struct conversion record = {.video.size_bytes = CONVERSION_SIZE_UNKNOWN};
    struct error cause = {0};
    if (!read_fields(json, &record, &cause))
        return error_set(error, ERROR_INTERNAL, "conversion %s: %s", record.id.text, cause.text);
    if (!conversion_check(&record, error))
        return false;
    *out_record = record;
    return true;
}
