#include "model/conversion.h"

#include "base/clock.h"
#include "model/conversion_internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_MAX_MS CLOCK_HOUR_MS
#define BACKOFF_DOUBLINGS_MAX 30

const char *const conversion_state_names[] = {
    [CONVERSION_UPLOADING] = "uploading",   [CONVERSION_QUEUED] = "queued",
    [CONVERSION_CONVERTING] = "converting", [CONVERSION_DONE] = "done",
    [CONVERSION_FAILED] = "failed",         [CONVERSION_CANCELLED] = "cancelled",
    [CONVERSION_DELETING] = "deleting",     NULL,
};

const char *const conversion_role_names[] = {
    [CONVERSION_DUE_CONVERT] = "convert",
    [CONVERSION_DUE_NOTIFY] = "notify",
    [CONVERSION_DUE_CLEAN] = "clean",
    NULL,
};

const char *const conversion_notice_names[] = {
    [CONVERSION_NOTICE_NONE] = "none",       [CONVERSION_NOTICE_PENDING] = "pending",
    [CONVERSION_NOTICE_SENDING] = "sending", [CONVERSION_NOTICE_SENT] = "sent",
    [CONVERSION_NOTICE_FAILED] = "failed",   NULL,
};

const char *const conversion_foreign_names[] = {
    [CONVERSION_OWN] = "none",
    [CONVERSION_FOREIGN_VIDEO] = "video",
    [CONVERSION_FOREIGN_MP3] = "mp3",
    NULL,
};

const char *conversion_state_name(enum conversion_state state)
{
    return conversion_state_names[state];
}

bool conversion_state_parse(const char *text, enum conversion_state *out_state)
{
    for (size_t i = 0; conversion_state_names[i] != NULL; i++) {
        if (strcmp(text, conversion_state_names[i]) == 0) {
            *out_state = (enum conversion_state)i;
            return true;
        }
    }
    return false;
}

const char *conversion_role_name(enum conversion_role role)
{
    return conversion_role_names[role];
}

const char *conversion_notice_name(enum conversion_notice state)
{
    return conversion_notice_names[state];
}

struct id conversion_mp3_id(const struct id *conversion_id, int64_t claim)
{
    char text[sizeof conversion_id->text + 24];
    int length = snprintf(text, sizeof text, "%s:%lld", conversion_id->text, (long long)claim);
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)text, (unsigned long long)length);
    return id_from_bytes(digest);
}

bool conversion_has_ended(const struct conversion *record)
{
    return record->state >= CONVERSION_DONE;
}

bool conversion_is_due(const struct conversion *record, enum conversion_role role, int64_t now_ms)
{
    return record->due_for == role && record->due_at_ms <= now_ms;
}

bool conversion_change(struct conversion *next, int64_t now_ms, struct conversion *out_next)
{
    next->changed_at_ms = now_ms;
    *out_next = *next;
    return true;
}

void conversion_set_due(struct conversion *next, enum conversion_role role, int64_t due_at_ms)
{
    next->due_for = role;
    next->due_at_ms = due_at_ms;
}

int64_t conversion_backoff_ms(int64_t first_ms, int64_t failures)
{
    int64_t doublings = failures < 1 ? 0 : failures - 1;
    if (doublings > BACKOFF_DOUBLINGS_MAX)
        return BACKOFF_MAX_MS;
    int64_t backoff_ms = first_ms << doublings;
    return backoff_ms < BACKOFF_MAX_MS ? backoff_ms : BACKOFF_MAX_MS;
}

void conversion_end(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                    enum conversion_state state)
{
    next->state = state;
    next->ended_at_ms = now_ms;
    next->expires_at_ms = now_ms + policy->mp3_retention_ms;
    conversion_set_due(next, CONVERSION_DUE_CLEAN, now_ms + policy->lease_ms);
}

void conversion_wish_notice(struct conversion *next, int64_t due_at_ms)
{
    if (next->options.notify == CONVERSION_NOTIFY_NONE)
        return;
    next->notice.state = CONVERSION_NOTICE_PENDING;
    conversion_set_due(next, CONVERSION_DUE_NOTIFY, due_at_ms);
}

void conversion_start_deleting(struct conversion *next, int64_t due_at_ms)
{
    next->state = CONVERSION_DELETING;
    memset(next->owner.email, 0, sizeof next->owner.email);
    memset(next->video.name, 0, sizeof next->video.name);
    conversion_options_erase_tags(&next->options);
    /* A mail server's words name the address that they refuse. */
    memset(next->notice.error, 0, sizeof next->notice.error);
    memset(next->request_key, 0, sizeof next->request_key);
    memcpy(next->request_key, next->id.text, sizeof next->id.text);
    next->sweeps = 0;
    next->clean_failures = 0;
    conversion_set_due(next, CONVERSION_DUE_CLEAN, due_at_ms);
}

bool conversion_is_too_old(const struct conversion *record, const struct conversion_policy *policy,
                           int64_t now_ms)
{
    int64_t from_ms =
        record->state == CONVERSION_UPLOADING ? record->created_at_ms : record->queued_at_ms;
    return now_ms - from_ms >= policy->conversion_age_max_ms;
}
