#pragma once

/* The record as a document: what a store keeps, and what a client is shown. */

#include "base/error.h"
#include "model/conversion.h"
#include <jansson.h>
#include <stddef.h>

/* Every field of the record: one row each, so that a store's codec (JSON, BSON) is a loop over this
 * table. Paths have at most one dot: "owner.email". A codec of its own ends with
 * conversion_check(), as conversion_from_json() does; a field that is missing was not known to the
 * version that wrote the record and stays zero, but enums are never left out. */
enum conversion_field_type {
    CONVERSION_FIELD_ID,      /* struct id; none is null */
    CONVERSION_FIELD_TEXT,    /* char[size] */
    CONVERSION_FIELD_INTEGER, /* int64_t */
    CONVERSION_FIELD_NUMBER,  /* uint32_t */
    CONVERSION_FIELD_TIME,    /* int64_t milliseconds since 1970; 0 is null */
    CONVERSION_FIELD_REAL,    /* double */
    CONVERSION_FIELD_BOOL,
    CONVERSION_FIELD_ENUM,    /* an int-sized enum, stored as its name: see .names */
    CONVERSION_FIELD_OPTIONS, /* struct conversion_options, an object */
};

struct conversion_field {
    const char *path; /* NULL ends the table */
    enum conversion_field_type type;
    size_t offset, size;
    const char *const *names; /* of an enum, NULL-terminated */
};

extern const struct conversion_field conversion_fields[];

/* The stored form: all fields. from_json: ERROR_INTERNAL for what a record cannot be; members that
 * this version does not know are ignored. The json_t is the caller's. */
json_t *conversion_to_json(const struct conversion *record);
MUST_CHECK bool conversion_from_json(const json_t *json, struct conversion *out_record,
                                     struct error *error);

/* ERROR_INTERNAL for values that no row can have made. */
MUST_CHECK bool conversion_check(const struct conversion *record, struct error *error);

/* What the HTTP API shows (docs/http-api.md, "A conversion"). The json_t is the caller's. */
json_t *conversion_to_public_json(const struct conversion *record);
