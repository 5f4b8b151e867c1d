#pragma once

/* Rules 1 and 5 of docs/conversion.md in one place: every change of a record is read, decide,
 * compare-and-set; on a conflict read again and decide again; after an unknown outcome repeat the
 * same write until a read shows what became of it. All services change records through here. */

#include "base/error.h"
#include "model/conversion.h"
#include "stores/record_store/record_store.h"
#include <stdint.h>

/* One or more rows of model/conversion.h: false is a refusal. May be called several times. */
typedef bool record_decision(void *context, const struct conversion *record, int64_t now_ms,
                             struct conversion *out_next);

enum record_outcome {
    RECORD_WRITTEN, /* *record is as stored now */
    RECORD_REFUSED, /* the decision said no; *record is as read. It can show the caller's own
                       write of before, changed since: look at what it names */
    RECORD_ABSENT,  /* there is none */
    RECORD_UNKNOWN, /* the store does not answer: *error says why. The write may still land: nothing
                       is removed or repeated in another way because of this */
};

/* Reads the record first. Blocks while the outcome of a write is unknown, for at most timeout_ms
 * and one answer of the store; where it cannot even be read, RECORD_UNKNOWN at once. */
MUST_CHECK enum record_outcome records_change(struct record_store *store, const struct id *id,
                                              record_decision *decide, void *context,
                                              int64_t timeout_ms, struct conversion *out_record,
                                              struct error *error);
/* Begins with *record as it was read before. */
MUST_CHECK enum record_outcome records_change_read(struct record_store *store,
                                                   struct conversion *record,
                                                   record_decision *decide, void *context,
                                                   int64_t timeout_ms, struct error *error);

/* A look (docs/conversion.md, "Waiting and work"): takes overdue records of the role one after
 * another until there is none or `act` says stop. Of those read it begins at a random one, so that
 * several lookers do not meet. `act` changes the record it is given by records_change_read(), where
 * it changes it; a record that stays as it was is left for the next look. Returns false where the
 * store could not be asked. */
enum look_verdict { LOOK_GO_ON, LOOK_STOP };
typedef enum look_verdict look_action(void *context, struct conversion *record);
MUST_CHECK bool records_look(struct record_store *store, enum conversion_role role,
                             look_action *act, void *context, struct error *error);

/* Age of the oldest overdue record in seconds, 0 where none is: tapedeck_overdue_seconds{role}. */
MUST_CHECK bool records_overdue_seconds(struct record_store *store, enum conversion_role role,
                                        double *out_seconds, struct error *error);
