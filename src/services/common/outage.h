#pragma once

/* What a slot remembers of the record store's failures (docs/conversion.md, "Time"): after an
 * outage every lease looks expired, of holders too that are alive and could only not say so. Who
 * saw the store fail leaves other holders' records alone until one lease has passed since the first
 * failure, and a third of one since the last: by then each holder that lives has renewed. Pure. */

#include <stdbool.h>
#include <stdint.h>

struct outage {
    bool is_known;
    int64_t first_boot_ms, last_boot_ms; /* of the failures that belong together */
};

/* Failures less than a lease apart are one outage. */
void outage_note(struct outage *outage, int64_t boot_ms, int64_t lease_ms);
bool outage_allows_take_over(const struct outage *outage, int64_t boot_ms, int64_t lease_ms);
