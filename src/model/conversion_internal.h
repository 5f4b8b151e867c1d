#pragma once

/* What the rows share; only conversion*.c include it. */

#include "model/conversion.h"

/* The last line of every row: the record as it is to be stored. Returns true. */
bool conversion_change(struct conversion *next, int64_t now_ms, struct conversion *out_next);

/* Exactly one role at a time is waited for, from a moment that has always a value: no record can be
 * left that nobody looks at. */
void conversion_set_due(struct conversion *next, enum conversion_role role, int64_t due_at_ms);

/* first_ms, doubled for each failure but the first, at most an hour. */
int64_t conversion_backoff_ms(int64_t first_ms, int64_t failures);

/* Done, failed or cancelled: sets state, ended_at and expires_at; no notice yet, due for clean
 * after a lease, by when a holder that has not heard of the end has been refused. */
void conversion_end(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                    enum conversion_state state);
/* After conversion_end(): the user is to be told, from due_at_ms on, unless they asked not to be.
 */
void conversion_wish_notice(struct conversion *next, int64_t due_at_ms);

/* Rows 19 to 21: forgets the person and leaves only bytes to remove. */
void conversion_start_deleting(struct conversion *next, int64_t due_at_ms);

/* Older than limits.conversion_age_max: while uploading from created_at, then from queued_at. */
bool conversion_is_too_old(const struct conversion *record, const struct conversion_policy *policy,
                           int64_t now_ms);

/* How the enums are stored, NULL-terminated. */
extern const char *const conversion_state_names[];
extern const char *const conversion_role_names[];
extern const char *const conversion_notice_names[];
extern const char *const conversion_foreign_names[];
