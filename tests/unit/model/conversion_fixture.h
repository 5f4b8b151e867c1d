#pragma once

/* Records and a policy that the tests of conversion*.c begin with. Times are round, so that a test
 * can be read without reckoning. */

#include "model/conversion.h"

#define NOW_MS INT64_C(1000000000)

static const struct conversion_policy policy = {
    .lease_ms = 30000,
    .grace_ms = 3600000,
    .mail_timeout_ms = 60000,
    .notice_age_max_ms = 172800000,
    .conversion_age_max_ms = 604800000,
    .mp3_retention_ms = 2592000000,
    .video_retention_ms = 86400000,
    .upload_abandoned_ms = 86400000,
    .attempts_max = 3,
};

static const struct id video_id = {"66f0aabbccddeeff00112233"};
static const struct id owner_id = {"66f0aabbccddeeff00999999"};
static const struct id mine = {"aaaaaaaaaaaaaaaaaaaaaaaa"};
static const struct id other = {"bbbbbbbbbbbbbbbbbbbbbbbb"};

/* A function that does not need it would be a warning. */
#define MAYBE_UNUSED __attribute__((unused))

MAYBE_UNUSED static struct conversion uploading(bool is_resumable)
{
    struct conversion record;
    conversion_begin_upload(&policy, NOW_MS,
                            &(struct conversion_upload){
                                .id = video_id,
                                .owner_id = owner_id,
                                .owner_email = "a@example.org",
                                .request_key = "key",
                                .trace_request = "request",
                                .trace_parent = "parent",
                                .video_name = "talk.mp4",
                                .size_bytes = 1000,
                                .holder = mine,
                                .is_resumable = is_resumable,
                            },
                            &record);
    return record;
}

MAYBE_UNUSED static struct conversion queued(void)
{
    struct conversion record = uploading(false);
    record.state = CONVERSION_QUEUED;
    record.received_bytes = 1000;
    record.queued_at_ms = NOW_MS;
    record.due_for = CONVERSION_DUE_CONVERT;
    record.due_at_ms = NOW_MS + policy.lease_ms;
    return record;
}

MAYBE_UNUSED static struct conversion converting(void)
{
    struct conversion record = queued();
    record.state = CONVERSION_CONVERTING;
    record.claim = 1;
    record.holder = mine;
    record.progress = 0.25;
    return record;
}

MAYBE_UNUSED static struct conversion ended(enum conversion_state state,
                                            enum conversion_notice notice)
{
    struct conversion record = converting();
    record.state = state;
    record.ended_at_ms = NOW_MS;
    record.expires_at_ms = NOW_MS + policy.mp3_retention_ms;
    record.notice.state = notice;
    if (state == CONVERSION_DONE)
        record.mp3.id = conversion_mp3_id(&record.id, 1);
    bool is_for_notifier =
        notice == CONVERSION_NOTICE_PENDING || notice == CONVERSION_NOTICE_SENDING;
    record.due_for = is_for_notifier ? CONVERSION_DUE_NOTIFY : CONVERSION_DUE_CLEAN;
    record.due_at_ms = NOW_MS;
    record.notice.attempts = notice == CONVERSION_NOTICE_SENDING ? 1 : 0;
    return record;
}

MAYBE_UNUSED static struct conversion deleting(void)
{
    struct conversion record;
    struct conversion before = ended(CONVERSION_DONE, CONVERSION_NOTICE_SENT);
    before.claim = 3;
    ignore_failure(conversion_delete(&before, &policy, NOW_MS, &record));
    return record;
}

/* A record in each state, for what must be refused in most of them. */
MAYBE_UNUSED static struct conversion in_state(enum conversion_state state)
{
    switch (state) {
    case CONVERSION_UPLOADING:
        return uploading(true);
    case CONVERSION_QUEUED:
        return queued();
    case CONVERSION_CONVERTING:
        return converting();
    case CONVERSION_DELETING:
        return deleting();
    case CONVERSION_DONE:
    case CONVERSION_FAILED:
    case CONVERSION_CANCELLED:
        break;
    }
    return ended(state, CONVERSION_NOTICE_NONE);
}
