#pragma once

/* A record as a document of MongoDB: ids are ObjectIds, times are dates, so that an operator can
 * read and search it. A loop over conversion_fields (model/conversion_document.h). */

#include "model/conversion.h"
#include <bson/bson.h>

/* The whole record. */
void mongodb_record_append(bson_t *document, const struct conversion *record);

/* What makes the stored record this one: {$set, $unset}. Members that this version does not know
 * stay, but of options only while the record is not being deleted: they may name a person. */
void mongodb_record_append_update(bson_t *update, const struct conversion *record);

/* ERROR_INTERNAL for what a record cannot be. */
MUST_CHECK bool mongodb_record_read(const bson_t *document, struct conversion *out_record,
                                    struct error *error);

/* none: null. */
void mongodb_record_append_id(bson_t *document, const char *member, const struct id *id);
