#pragma once

/* What a slot remembers of the record store's failures (docs/conversion.md, "After an outage"):
 * then every lease looks expired, of holders too that are alive and could only not say so. Who saw
 * the store fail leaves other holders' records alone until one lease has passed since the first
 * failure, and a third of one since the first answer after the last: by then each holder that lives
 * has found the store again, and renewed. Answers count, not failures: who asks seldom sees its
 * last failure long before the outage's end. Pure. */

#include <stdbool.h>
#include <stdint.h>

struct outage {
    bool is_known;
    bool is_over;
    int64_t first_boot_ms, last_boot_ms; /* of the failures that belong together */
    int64_t answered_boot_ms;            /* where it is over */
};

/* Failures less than a lease apart are one outage. */
void outage_note_failure(struct outage *outage, int64_t boot_ms, int64_t lease_ms);
void outage_note_answer(struct outage *outage, int64_t boot_ms);
bool outage_allows_take_over(const struct outage *outage, int64_t boot_ms, int64_t lease_ms);
