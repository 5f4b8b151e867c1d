/* Rows 1 to 5b: how a record begins, until it is queued; and 13, 20 and 21, by which its owner (or
 * nobody's interest) ends it. */

#include "model/conversion.h"

#include "base/text.h"
#include "model/conversion_internal.h"
#include <string.h>

#define PLAIN_UPLOAD_LEASES 10

/* A resumable upload may pause for long; a plain one ends with its connection, so silence means
 * that its gateway is gone. Neither can be kept open for ever by a trickle of bytes. */
static void set_upload_due(struct conversion *next, const struct conversion_policy *policy,
                           int64_t now_ms)
{
    int64_t silent_at_ms = next->is_resumable ? now_ms + policy->upload_abandoned_ms
                                              : now_ms + PLAIN_UPLOAD_LEASES * policy->lease_ms;
    int64_t old_at_ms = next->created_at_ms + policy->conversion_age_max_ms;
    conversion_set_due(next, CONVERSION_DUE_CLEAN,
                       silent_at_ms < old_at_ms ? silent_at_ms : old_at_ms);
}

bool conversion_is_upload_held(const struct conversion *record,
                               const struct conversion_policy *policy, int64_t now_ms)
{
    return record->state == CONVERSION_UPLOADING &&
           (record->is_resumable || now_ms - record->changed_at_ms < policy->lease_ms);
}

static struct conversion new_record(const struct id *id, int64_t now_ms)
{
    struct conversion record = {
        .id = *id,
        .version = 1,
        .created_at_ms = now_ms,
        .changed_at_ms = now_ms,
        .generation = 1,
    };
    memcpy(record.request_key, id->text, sizeof id->text);
    return record;
}

/* Nothing of an earlier text stays behind the new one: equal records are equal bytes. */
static void copy_optional(char *out_text, size_t size, const char *text)
{
    if (text == NULL)
        return;
    memset(out_text, 0, size);
    text_copy(out_text, size, text);
}

void conversion_begin_upload(const struct conversion_policy *policy, int64_t now_ms,
                             const struct conversion_upload *upload, struct conversion *out_next)
{
    struct conversion next = new_record(&upload->id, now_ms);
    next.state = CONVERSION_UPLOADING;
    next.owner.id = upload->owner_id;
    next.holder = upload->holder;
    next.is_resumable = upload->is_resumable;
    next.video.size_bytes = upload->size_bytes >= 0 ? upload->size_bytes : CONVERSION_SIZE_UNKNOWN;
    if (upload->options != NULL)
        next.options = *upload->options;
    copy_optional(next.owner.email, sizeof next.owner.email, upload->owner_email);
    copy_optional(next.request_key, sizeof next.request_key, upload->request_key);
    copy_optional(next.trace.request, sizeof next.trace.request, upload->trace_request);
    copy_optional(next.trace.parent, sizeof next.trace.parent, upload->trace_parent);
    copy_optional(next.video.name, sizeof next.video.name, upload->video_name);
    set_upload_due(&next, policy, now_ms);
    conversion_change(&next, now_ms, out_next);
}

bool conversion_resume_upload(const struct conversion *record,
                              const struct conversion_policy *policy, int64_t now_ms,
                              int64_t offset, struct id holder, struct conversion *out_next)
{
    if (record->state != CONVERSION_UPLOADING || !record->is_resumable ||
        record->received_bytes != offset)
        return false;
    struct conversion next = *record;
    next.generation++;
    next.holder = holder;
    set_upload_due(&next, policy, now_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_commit_upload(const struct conversion *record,
                              const struct conversion_policy *policy, int64_t now_ms,
                              int64_t generation, int64_t received_bytes,
                              struct conversion *out_next)
{
    if (record->state != CONVERSION_UPLOADING || record->generation != generation ||
        received_bytes <= record->received_bytes)
        return false;
    /* A full offset tells the client that nothing is left to send: only row 4 may say so. */
    if (record->video.size_bytes != CONVERSION_SIZE_UNKNOWN &&
        received_bytes >= record->video.size_bytes)
        return false;
    struct conversion next = *record;
    next.received_bytes = received_bytes;
    set_upload_due(&next, policy, now_ms);
    return conversion_change(&next, now_ms, out_next);
}

static void queue(struct conversion *next, const struct conversion_policy *policy, int64_t now_ms,
                  int64_t size_bytes)
{
    next->state = CONVERSION_QUEUED;
    next->received_bytes = size_bytes;
    next->video.size_bytes = size_bytes;
    next->queued_at_ms = now_ms;
    /* One lease for the message to do its work; whoever looks after that needs none. */
    conversion_set_due(next, CONVERSION_DUE_CONVERT, now_ms + policy->lease_ms);
}

bool conversion_finish_upload(const struct conversion *record,
                              const struct conversion_policy *policy, int64_t now_ms,
                              const struct conversion_arrival *arrival, struct conversion *out_next)
{
    if (record->state != CONVERSION_UPLOADING || record->generation != arrival->generation ||
        arrival->size_bytes <= 0 || arrival->size_bytes < record->received_bytes)
        return false;
    if (record->video.size_bytes != CONVERSION_SIZE_UNKNOWN &&
        record->video.size_bytes != arrival->size_bytes)
        return false;
    struct conversion next = *record;
    queue(&next, policy, now_ms, arrival->size_bytes);
    copy_optional(next.video.name, sizeof next.video.name, arrival->video_name);
    if (arrival->options != NULL)
        next.options = *arrival->options;
    return conversion_change(&next, now_ms, out_next);
}

void conversion_adopt_video(const struct conversion_policy *policy, int64_t now_ms,
                            const struct id *video_id, const char *username, int64_t size_bytes,
                            struct conversion *out_next)
{
    struct conversion next = new_record(video_id, now_ms);
    next.foreign = CONVERSION_FOREIGN_VIDEO;
    text_copy(next.owner.email, sizeof next.owner.email, username);
    queue(&next, policy, now_ms, size_bytes);
    conversion_change(&next, now_ms, out_next);
}

void conversion_adopt_mp3(const struct conversion_policy *policy, int64_t now_ms,
                          const struct id *mp3_id, const char *username,
                          struct conversion *out_next)
{
    struct conversion next = new_record(mp3_id, now_ms);
    next.foreign = CONVERSION_FOREIGN_MP3;
    next.progress = 1;
    next.video.size_bytes = CONVERSION_SIZE_UNKNOWN;
    next.mp3.id = *mp3_id;
    text_copy(next.owner.email, sizeof next.owner.email, username);
    conversion_end(&next, policy, now_ms, CONVERSION_DONE);
    next.expires_at_ms = now_ms + CONVERSION_FOREIGN_MP3_KEPT_MS;
    conversion_wish_notice(&next, now_ms + policy->lease_ms);
    conversion_change(&next, now_ms, out_next);
}

bool conversion_cancel(const struct conversion *record, const struct conversion_policy *policy,
                       int64_t now_ms, struct conversion *out_next)
{
    if (conversion_has_ended(record))
        return false;
    struct conversion next = *record;
    conversion_end(&next, policy, now_ms, CONVERSION_CANCELLED);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_abandon_upload(const struct conversion *record,
                               const struct conversion_policy *policy, int64_t now_ms,
                               bool is_cleaner, struct conversion *out_next)
{
    if (record->state != CONVERSION_UPLOADING)
        return false;
    bool is_over = conversion_is_due(record, CONVERSION_DUE_CLEAN, now_ms) ||
                   conversion_is_too_old(record, policy, now_ms);
    bool is_given_up = !is_cleaner && !record->is_resumable;
    if (!is_over && !is_given_up)
        return false;
    struct conversion next = *record;
    conversion_start_deleting(&next, now_ms);
    return conversion_change(&next, now_ms, out_next);
}

bool conversion_delete(const struct conversion *record, const struct conversion_policy *policy,
                       int64_t now_ms, struct conversion *out_next)
{
    (void)policy;
    if (record->state == CONVERSION_DELETING)
        return false;
    struct conversion next = *record;
    conversion_start_deleting(&next, now_ms);
    return conversion_change(&next, now_ms, out_next);
}
