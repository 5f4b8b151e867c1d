#pragma once

/* JSON from outside, with jansson: bounded, types checked, errors that name the member.
 *
 * Members that nobody asks for are ignored. The getters below leave *out untouched and return true
 * where an optional member is missing or null; a member of another type is ERROR_BAD_INPUT.
 *
 * For CLEANUP there is jansson's own json_decrefp(json_t **). */

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include <jansson.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16

/* One JSON value and nothing after it; duplicate members, NUL in strings and depth over
 * JSON_DEPTH_MAX are ERROR_BAD_INPUT. */
MUST_CHECK bool json_parse(const void *bytes, size_t size, json_t **out_json, struct error *error);
/* Appends it on one line, members in the order they were set in. */
MUST_CHECK bool json_format(const json_t *json, struct buffer *out_text, struct error *error);

enum json_need { JSON_OPTIONAL, JSON_REQUIRED };

/* Copied; ERROR_BAD_INPUT where it does not fit `size`. */
MUST_CHECK bool json_get_text(const json_t *object, const char *member, enum json_need need,
                              char *out_text, size_t size, struct error *error);
MUST_CHECK bool json_get_id(const json_t *object, const char *member, enum json_need need,
                            struct id *out_id, struct error *error);
MUST_CHECK bool json_get_integer(const json_t *object, const char *member, enum json_need need,
                                 int64_t least, int64_t most, int64_t *out_integer,
                                 struct error *error);
MUST_CHECK bool json_get_real(const json_t *object, const char *member, enum json_need need,
                              double *out_real, struct error *error);
MUST_CHECK bool json_get_bool(const json_t *object, const char *member, enum json_need need,
                              bool *out_bool, struct error *error);

/* Setters on an object that we build: they abort out of memory, as all our small allocations do.
 * Text that is not UTF-8 is put through text_clean(); a real that JSON cannot say becomes null. */
void json_set_text(json_t *object, const char *member, const char *text);  /* NULL: null */
void json_set_id(json_t *object, const char *member, const struct id *id); /* none: null */
void json_set_integer(json_t *object, const char *member, int64_t integer);
void json_set_real(json_t *object, const char *member, double real);
void json_set_bool(json_t *object, const char *member, bool value);
void json_set_take(json_t *object, const char *member, json_t *value); /* ownership moves */
json_t *json_object_make(void);
json_t *json_array_make(void);
