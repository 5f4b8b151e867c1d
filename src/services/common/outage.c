#include "services/common/outage.h"

void outage_note_failure(struct outage *outage, int64_t boot_ms, int64_t lease_ms)
{
    bool is_another =
        !outage->is_known || (outage->is_over && boot_ms - outage->last_boot_ms > lease_ms);
    if (is_another)
        outage->first_boot_ms = boot_ms;
    outage->last_boot_ms = boot_ms;
    outage->is_known = true;
    outage->is_over = false;
}

void outage_note_answer(struct outage *outage, int64_t boot_ms)
{
    if (outage->is_over)
        return;
    outage->is_over = true;
    outage->answered_boot_ms = boot_ms;
}

bool outage_allows_take_over(const struct outage *outage, int64_t boot_ms, int64_t lease_ms)
{
    return !outage->is_known || (outage->is_over && boot_ms - outage->first_boot_ms >= lease_ms &&
                                 boot_ms - outage->answered_boot_ms >= lease_ms / 3);
}
