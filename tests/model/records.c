#include "records.h"

#include "model/conversion.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_MS 2000
#define NOW_MS (INT64_C(1000000) * UNIT_MS)
#define FAR_UNITS 14 /* a wait longer than every limit is as good as any other */
#define RECORDS_MAX 65535
#define SLOTS (1U << 18)
#define ARGUMENTS 8

/* Small, but in the order that the limits have to each other in earnest. */
static const struct conversion_policy policy = {
    .lease_ms = 1 * UNIT_MS,
    .grace_ms = 2 * UNIT_MS,
    .mail_timeout_ms = (MAIL_UNITS - 1) * UNIT_MS,
    .notice_age_max_ms = 5 * UNIT_MS,
    .conversion_age_max_ms = 6 * UNIT_MS,
    .mp3_retention_ms = 9 * UNIT_MS,
    .video_retention_ms = 4 * UNIT_MS,
    .upload_abandoned_ms = 3 * UNIT_MS,
    .attempts_max = 2,
};

static struct packed_record records[RECORDS_MAX + 1];
static unsigned count = 1; /* records[0] is "no record" */
static record_number slots[SLOTS];
/* What was answered before: refusals are kept as 0, so that answers are kept one higher. */
static uint32_t answers[ROW_COUNT][ARGUMENTS][RECORDS_MAX + 1];
static struct id ids_of_claims[CLAIMS_MAX + 2];
static enum row row_without_due = ROW_COUNT;

static const struct id conversion_id = {"66f0aabbccddeeff00112233"};

void records_forget_due(enum row row)
{
    row_without_due = row;
}

const struct packed_record *record_get(record_number number)
{
    return &records[number];
}

unsigned records_count(void)
{
    return count - 1;
}

static record_number intern(const struct packed_record *record)
{
    const unsigned char *bytes = (const unsigned char *)record;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof *record; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    unsigned slot = (unsigned)(hash ^ hash >> 32) & (SLOTS - 1);
    while (slots[slot] != 0) {
        if (memcmp(&records[slots[slot]], record, sizeof *record) == 0)
            return slots[slot];
        slot = (slot + 1) & (SLOTS - 1);
    }
    if (count > RECORDS_MAX) {
        fputs("more distinct records than the exploration can number\n", stderr);
        abort();
    }
    records[count] = *record;
    slots[slot] = (record_number)count;
    return (record_number)count++;
}

static struct id mark(unsigned holder)
{
    struct id id = {"000000000000000000000000"};
    id.text[0] = (char)('0' + holder);
    return id;
}

static const struct id *claim_id(unsigned claim)
{
    if (id_is_none(&ids_of_claims[claim]))
        ids_of_claims[claim] = conversion_mp3_id(&conversion_id, (int64_t)claim);
    return &ids_of_claims[claim];
}

static bool is_notice_open(const struct packed_record *packed)
{
    return packed->notice == CONVERSION_NOTICE_PENDING ||
           packed->notice == CONVERSION_NOTICE_SENDING;
}

static void unpack(const struct packed_record *packed, struct conversion *out)
{
    memset(out, 0, sizeof *out);
    int64_t then_ms = NOW_MS - packed->age * UNIT_MS;
    out->id = conversion_id;
    out->version = 1;
    out->state = (enum conversion_state)packed->state;
    out->created_at_ms = out->queued_at_ms = out->ended_at_ms = then_ms;
    out->expires_at_ms = NOW_MS + packed->expires_in * UNIT_MS;
    out->due_for = (enum conversion_role)packed->due_for;
    out->due_at_ms = packed->due_in == NEVER ? INT64_MAX : NOW_MS + packed->due_in * UNIT_MS;
    out->is_resumable = packed->is_resumable;
    out->generation = packed->generation;
    out->received_bytes = packed->received;
    out->video.size_bytes = SIZE_BYTES;
    out->video.is_removed = packed->is_video_removed;
    out->options.notify = packed->wants_no_mail ? CONVERSION_NOTIFY_NONE : CONVERSION_NOTIFY_EMAIL;
    out->foreign = (enum conversion_foreign)packed->foreign;
    out->claim = packed->claim;
    out->lost = packed->lost;
    out->attempts = packed->attempts;
    if (packed->holder != 0)
        out->holder = mark(packed->holder);
    if (packed->mp3_claim == MP3_FOREIGN)
        out->mp3.id = conversion_id;
    else if (packed->mp3_claim != 0)
        out->mp3.id = *claim_id(packed->mp3_claim);
    out->notice.state = (enum conversion_notice)packed->notice;
    out->notice.attempts = packed->notice_attempts;
    out->sweeps = packed->sweeps;
    out->clean_failures = packed->clean_failures;
}

static uint8_t units_until(int64_t at_ms)
{
    if (at_ms == INT64_MAX)
        return NEVER;
    if (at_ms > NOW_MS + FAR_UNITS * UNIT_MS)
        return FAR_UNITS;
    return at_ms <= NOW_MS ? 0 : (uint8_t)((at_ms - NOW_MS + UNIT_MS - 1) / UNIT_MS);
}

static unsigned age_limit(const struct packed_record *packed)
{
    switch (packed->state) {
    case CONVERSION_UPLOADING:
    case CONVERSION_QUEUED:
    case CONVERSION_CONVERTING:
        return (unsigned)(policy.conversion_age_max_ms / UNIT_MS);
    case CONVERSION_DELETING:
    case CONVERSION_CANCELLED:
        return 0;
    default:
        break;
    }
    if (is_notice_open(packed))
        return (unsigned)(2 * policy.notice_age_max_ms / UNIT_MS);
    bool keeps_video = packed->foreign == CONVERSION_OWN && !packed->is_video_removed;
    return keeps_video ? (unsigned)(policy.video_retention_ms / UNIT_MS) : 0;
}

/* Makes equal what no row can tell apart. */
static record_number intern_plain(struct packed_record *packed)
{
    if (packed->age > age_limit(packed))
        packed->age = (uint8_t)age_limit(packed);
    if (packed->state != CONVERSION_UPLOADING)
        packed->received = SIZE_BYTES;
    bool is_held = packed->state == CONVERSION_UPLOADING ||
                   packed->state == CONVERSION_CONVERTING ||
                   packed->notice == CONVERSION_NOTICE_SENDING;
    if (!is_held || packed->state == CONVERSION_DELETING)
        packed->holder = 0;
    if (packed->state >= CONVERSION_DONE)
        packed->lost = packed->attempts = packed->is_resumable = 0;
    else
        packed->expires_in = 0;
    if (packed->state == CONVERSION_DELETING)
        packed->notice = packed->expires_in = packed->wants_no_mail = packed->is_video_removed = 0;
    if (!is_notice_open(packed))
        packed->notice_attempts = 0;
    return intern(packed);
}

static uint8_t shorten(int64_t taken, int64_t last_alike, int64_t most)
{
    return (uint8_t)(taken == last_alike ? most - 1 : taken);
}

static record_number pack(const struct conversion *record, bool is_deleted_by_user)
{
    bool is_early = record->state <= CONVERSION_CONVERTING;
    int64_t since_ms = record->state == CONVERSION_UPLOADING ? record->created_at_ms
                       : is_early                            ? record->queued_at_ms
                                                             : record->ended_at_ms;
    struct packed_record packed = {
        .state = (uint8_t)record->state,
        .due_for = (uint8_t)record->due_for,
        .due_in = units_until(record->due_at_ms),
        .age = (uint8_t)((NOW_MS - since_ms) / UNIT_MS),
        .expires_in = units_until(record->expires_at_ms),
        .generation = (uint8_t)record->generation,
        .received = (uint8_t)record->received_bytes,
        .claim = (uint8_t)record->claim,
        .lost = shorten(record->lost, 1, CONVERSION_LOST_MAX),
        .attempts = (uint8_t)record->attempts,
        .holder = (uint8_t)(id_is_none(&record->holder) ? 0 : record->holder.text[0] - '0'),
        .notice = (uint8_t)record->notice.state,
        .notice_attempts = shorten(record->notice.attempts, 2, CONVERSION_NOTICE_ATTEMPTS_MAX),
        .sweeps = (uint8_t)record->sweeps,
        .clean_failures = (uint8_t)record->clean_failures,
        .is_resumable = record->is_resumable,
        .wants_no_mail = record->options.notify == CONVERSION_NOTIFY_NONE,
        .is_video_removed = record->video.is_removed,
        .foreign = (uint8_t)record->foreign,
        .is_deleted_by_user = is_deleted_by_user,
    };
    if (record->foreign == CONVERSION_FOREIGN_MP3)
        packed.mp3_claim = MP3_FOREIGN;
    for (unsigned claim = 1; packed.mp3_claim == 0 && claim <= CLAIMS_MAX; claim++)
        if (id_is_equal(&record->mp3.id, claim_id(claim)))
            packed.mp3_claim = (uint8_t)claim;
    return intern_plain(&packed);
}

/* ---- The rows ---- */

static bool begin(const struct conversion *record, unsigned argument, struct conversion *next)
{
    struct conversion_options options = {
        .notify = argument & 2 ? CONVERSION_NOTIFY_NONE : CONVERSION_NOTIFY_EMAIL,
    };
    const struct conversion_upload upload = {
        .id = conversion_id,
        .size_bytes = SIZE_BYTES,
        .options = &options,
        .is_resumable = argument & 1,
        .holder = mark(1 + (argument >> 2)),
    };
    (void)record;
    conversion_begin_upload(&policy, NOW_MS, &upload, next);
    return true;
}

static bool adopt_video(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)record;
    (void)argument;
    conversion_adopt_video(&policy, NOW_MS, &conversion_id, "u@example.org", SIZE_BYTES, next);
    return true;
}

static bool adopt_mp3(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)record;
    (void)argument;
    conversion_adopt_mp3(&policy, NOW_MS, &conversion_id, "u@example.org", next);
    /* Four days are more than the exploration counts to. */
    next->expires_at_ms = NOW_MS + policy.mp3_retention_ms;
    return true;
}

static bool resume(const struct conversion *record, unsigned argument, struct conversion *next)
{
    return conversion_resume_upload(record, &policy, NOW_MS, record->received_bytes, mark(argument),
                                    next);
}

static bool commit(const struct conversion *record, unsigned argument, struct conversion *next)
{
    int64_t received_bytes = argument & WHOLE ? SIZE_BYTES : 1;
    return conversion_commit_upload(record, &policy, NOW_MS, (int64_t)(argument & ~WHOLE),
                                    received_bytes, next);
}

static bool finish(const struct conversion *record, unsigned argument, struct conversion *next)
{
    const struct conversion_arrival arrival = {
        .generation = (int64_t)argument,
        .size_bytes = SIZE_BYTES,
    };
    return conversion_finish_upload(record, &policy, NOW_MS, &arrival, next);
}

static bool claim(const struct conversion *record, unsigned argument, struct conversion *next)
{
    return conversion_claim(record, &policy, NOW_MS, mark(argument), next);
}

static bool take_over(const struct conversion *record, unsigned argument, struct conversion *next)
{
    return conversion_take_over(record, &policy, NOW_MS, mark(argument), next);
}

static bool renew(const struct conversion *record, unsigned argument, struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_renew(record, &policy, NOW_MS, &holder, 0, next);
}

static bool hand_back_stopping(const struct conversion *record, unsigned argument,
                               struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_hand_back(record, &policy, NOW_MS, &holder, CONVERSION_STOPPING, next);
}

static bool hand_back_store_down(const struct conversion *record, unsigned argument,
                                 struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_hand_back(record, &policy, NOW_MS, &holder, CONVERSION_STORE_DOWN, next);
}

static bool hand_back_accused(const struct conversion *record, unsigned argument,
                              struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_hand_back(record, &policy, NOW_MS, &holder, CONVERSION_INPUT_ACCUSED, next);
}

static bool succeed(const struct conversion *record, unsigned argument, struct conversion *next)
{
    struct id holder = mark(argument);
    const struct conversion_result result = {.size_bytes = 1};
    return conversion_succeed(record, &policy, NOW_MS, &holder, &result, next);
}

static bool fail(const struct conversion *record, unsigned argument, struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_fail(record, &policy, NOW_MS, &holder, &FAILURE_DAMAGED, next);
}

static bool give_up(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_give_up(record, &policy, NOW_MS, next);
}

static bool cancel(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_cancel(record, &policy, NOW_MS, next);
}

static bool claim_notice(const struct conversion *record, unsigned argument,
                         struct conversion *next)
{
    return conversion_claim_notice(record, &policy, NOW_MS, mark(argument), next);
}

static bool take_over_notice(const struct conversion *record, unsigned argument,
                             struct conversion *next)
{
    return conversion_take_over_notice(record, &policy, NOW_MS, mark(argument), next);
}

static bool settle_sent(const struct conversion *record, unsigned argument, struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_settle_notice(record, &policy, NOW_MS, &holder, NULL, next);
}

static bool settle_failed(const struct conversion *record, unsigned argument,
                          struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_settle_notice(record, &policy, NOW_MS, &holder, "550", next);
}

static bool postpone_notice(const struct conversion *record, unsigned argument,
                            struct conversion *next)
{
    struct id holder = mark(argument);
    return conversion_postpone_notice(record, &policy, NOW_MS, &holder, "451", next);
}

static bool give_up_notice(const struct conversion *record, unsigned argument,
                           struct conversion *next)
{
    (void)argument;
    return conversion_give_up_notice(record, &policy, NOW_MS, next);
}

static bool clean(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_clean(record, &policy, NOW_MS, next);
}

static bool expire(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_expire(record, &policy, NOW_MS, next);
}

static bool abandon_by_gateway(const struct conversion *record, unsigned argument,
                               struct conversion *next)
{
    (void)argument;
    return conversion_abandon_upload(record, &policy, NOW_MS, false, next);
}

static bool abandon_by_cleaner(const struct conversion *record, unsigned argument,
                               struct conversion *next)
{
    (void)argument;
    return conversion_abandon_upload(record, &policy, NOW_MS, true, next);
}

static bool delete (const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_delete(record, &policy, NOW_MS, next);
}

static bool note_sweep(const struct conversion *record, unsigned argument, struct conversion *next)
{
    (void)argument;
    return conversion_note_sweep(record, &policy, NOW_MS, next);
}

static bool postpone_clean(const struct conversion *record, unsigned argument,
                           struct conversion *next)
{
    (void)argument;
    return conversion_postpone_clean(record, NOW_MS, next);
}

static const struct {
    const char *name;
    bool (*make)(const struct conversion *record, unsigned argument, struct conversion *next);
} rows[ROW_COUNT] = {
    [ROW_BEGIN] = {"row 1, begin the upload", begin},
    [ROW_ADOPT_VIDEO] = {"row 5, adopt a foreign video", adopt_video},
    [ROW_ADOPT_MP3] = {"row 5b, adopt a foreign MP3", adopt_mp3},
    [ROW_RESUME] = {"row 2, resume the upload", resume},
    [ROW_COMMIT] = {"row 3, commit an offset", commit},
    [ROW_FINISH] = {"row 4, queue", finish},
    [ROW_CLAIM] = {"row 6, claim", claim},
    [ROW_TAKE_OVER] = {"row 7, take over", take_over},
    [ROW_RENEW] = {"row 8, renew", renew},
    [ROW_HAND_BACK_STOPPING] = {"row 9, hand back to stop", hand_back_stopping},
    [ROW_HAND_BACK_STORE_DOWN] = {"row 9, hand back, store down", hand_back_store_down},
    [ROW_HAND_BACK_ACCUSED] = {"row 9, hand back, input accused", hand_back_accused},
    [ROW_SUCCEED] = {"row 10, done", succeed},
    [ROW_FAIL] = {"row 11, failed", fail},
    [ROW_GIVE_UP] = {"row 12, give up", give_up},
    [ROW_CANCEL] = {"row 13, cancel", cancel},
    [ROW_CLAIM_NOTICE] = {"row 14, claim the notice", claim_notice},
    [ROW_TAKE_OVER_NOTICE] = {"row 15, take the notice over", take_over_notice},
    [ROW_SETTLE_SENT] = {"row 16, sent", settle_sent},
    [ROW_SETTLE_FAILED] = {"row 16, refused for good", settle_failed},
    [ROW_POSTPONE_NOTICE] = {"row 17, postpone the notice", postpone_notice},
    [ROW_GIVE_UP_NOTICE] = {"row 17b, give the notice up", give_up_notice},
    [ROW_CLEAN] = {"row 18, note what was cleaned", clean},
    [ROW_EXPIRE] = {"row 19, expire", expire},
    [ROW_ABANDON_BY_GATEWAY] = {"row 20, client gone", abandon_by_gateway},
    [ROW_ABANDON_BY_CLEANER] = {"row 20, nobody went on", abandon_by_cleaner},
    [ROW_DELETE] = {"row 21, delete", delete},
    [ROW_NOTE_SWEEP] = {"row 22, note the first sweep", note_sweep},
    [ROW_POSTPONE_CLEAN] = {"row 24, postpone the sweep", postpone_clean},
};

const char *row_name(enum row row)
{
    return rows[row].name;
}

record_number record_after(enum row row, record_number record, unsigned argument)
{
    uint32_t *answer = &answers[row][argument][record];
    if (*answer != 0)
        return (record_number)(*answer - 1);
    struct conversion before, next;
    unpack(&records[record], &before);
    record_number after = 0;
    bool is_beginning = row <= ROW_ADOPT_MP3;
    if ((record != 0 || is_beginning) && rows[row].make(&before, argument, &next)) {
        if (row == row_without_due)
            next.due_at_ms = INT64_MAX;
        after = pack(&next, row == ROW_DELETE || records[record].is_deleted_by_user);
    }
    *answer = after + 1U;
    return after;
}

/* ---- Time ---- */

static uint8_t sooner(uint8_t in, unsigned units)
{
    if (in == NEVER)
        return NEVER;
    return (uint8_t)(in > units ? in - units : 0);
}

record_number record_later(record_number record, unsigned units)
{
    if (record == 0)
        return 0;
    struct packed_record later = records[record];
    later.due_in = sooner(later.due_in, units);
    later.expires_in = sooner(later.expires_in, units);
    later.age = (uint8_t)(later.age + units);
    return intern_plain(&later);
}

static void consider(unsigned *next, unsigned limit, unsigned age)
{
    if (limit > age && (*next == 0 || limit - age < *next))
        *next = limit - age;
}

unsigned record_next_time(record_number record)
{
    const struct packed_record *packed = &records[record];
    unsigned next = 0;
    if (record == 0)
        return 0;
    if (packed->due_in != NEVER)
        consider(&next, packed->due_in, 0);
    consider(&next, packed->expires_in, 0);
    consider(&next, age_limit(packed), packed->age);
    if (is_notice_open(packed))
        consider(&next, (unsigned)(policy.notice_age_max_ms / UNIT_MS), packed->age);
    return next;
}

record_number record_without_marks(record_number record, unsigned known_marks)
{
    const struct packed_record *packed = &records[record];
    if (packed->holder == 0 || (known_marks >> packed->holder & 1) != 0)
        return record;
    struct packed_record orphan = *packed;
    orphan.holder = 0;
    return intern(&orphan);
}

bool record_is_due(record_number record)
{
    return record != 0 && records[record].due_in == 0;
}

bool record_is_done(record_number record)
{
    return record != 0 && records[record].state == CONVERSION_DONE;
}

bool record_is_hopeful(record_number record)
{
    const struct packed_record *packed = &records[record];
    bool is_waiting = packed->state == CONVERSION_QUEUED || packed->state == CONVERSION_CONVERTING;
    return record != 0 && is_waiting && packed->lost < CONVERSION_LOST_MAX - 1 &&
           packed->age + packed->due_in + 2U < age_limit(packed);
}

bool record_is_removable(record_number record)
{
    struct conversion unpacked;
    unpack(&records[record], &unpacked);
    return record != 0 && conversion_is_removable(&unpacked, NOW_MS);
}

unsigned record_sweep(record_number record)
{
    struct conversion unpacked;
    unpack(&records[record], &unpacked);
    struct conversion_sweep sweep = conversion_plan_clean(&unpacked, &policy, NOW_MS);
    unsigned plan = sweep.removes_video;
    for (unsigned i = 1; i <= CLAIMS_MAX && (int64_t)i <= sweep.claims; i++)
        if (!id_is_equal(claim_id(i), &sweep.kept_mp3))
            plan |= 1U << i;
    return plan;
}

void record_describe(record_number record, char *out_text, unsigned size)
{
    const struct packed_record *packed = &records[record];
    if (record == 0) {
        snprintf(out_text, size, "no record");
        return;
    }
    snprintf(out_text, size, "%s gen %u claim %u holder %u notice %s, due for %s in %d",
             conversion_state_name((enum conversion_state)packed->state), packed->generation,
             packed->claim, packed->holder,
             conversion_notice_name((enum conversion_notice)packed->notice),
             conversion_role_name((enum conversion_role)packed->due_for),
             packed->due_in == NEVER ? -1 : packed->due_in);
}
