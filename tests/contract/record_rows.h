#pragma once

/* Records at every stage of their life, made by the rows of model/conversion.h, and every row that
 * changes a record of a stage: what two services may try at the same time. */

#include "model/conversion.h"

enum record_stage {
    STAGE_UPLOADING, /* resumable */
    STAGE_QUEUED,
    STAGE_CONVERTING,
    STAGE_DONE, /* notice pending */
    STAGE_SENDING,
    STAGE_SENT,
    STAGE_DELETING,
    STAGE_SWEPT,
};

extern const struct conversion_policy record_policy;
extern const struct id record_owner;

#define RECORD_BEGUN_MS INT64_C(1700000000000)

/* With a fresh id. */
struct conversion record_make(enum record_stage stage);

struct record_row {
    const char *name;
    enum record_stage stage;
    bool is_removal; /* apply then only says whether it may be removed */
    bool (*apply)(const struct conversion *record, struct conversion *out_next);
};

extern const struct record_row record_rows[];
extern const size_t record_row_count;
