#include "services/common/outage.h"

void outage_note(struct outage *outage, int64_t boot_ms, int64_t lease_ms)
{
    if (!outage->is_known || boot_ms - outage->last_boot_ms > lease_ms)
        outage->first_boot_ms = boot_ms;
    outage->last_boot_ms = boot_ms;
    outage->is_known = true;
}

bool outage_allows_take_over(const struct outage *outage, int64_t boot_ms, int64_t lease_ms)
{
    return !outage->is_known || (boot_ms - outage->first_boot_ms >= lease_ms &&
                                 boot_ms - outage->last_boot_ms >= lease_ms / 3);
}
