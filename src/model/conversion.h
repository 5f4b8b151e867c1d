#pragma once

/* The conversion's record and everything that may happen to it: the one truth that messages, blobs
 * and emails follow from.
 *
 * One row of the table in docs/conversion.md is one function here. Each is pure: the record as
 * read, the policy, the store's time and the event in; the next record, or a refusal, out. No
 * clock, no store, no I/O. Services store what comes out by one compare-and-set on `version`
 * (record_store_update) and on a conflict read again and decide again. Nothing else changes a
 * record, and tests/model explores these very functions through every interleaving. */

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "model/claims.h"
#include "model/conversion_options.h"
#include "model/failure.h"
#include <stdbool.h>
#include <stdint.h>

#define CONVERSION_NAME_SIZE 256        /* a video's name, UTF-8, with the NUL */
#define CONVERSION_REQUEST_KEY_SIZE 256 /* Idempotency-Key; 1 to 255 visible ASCII characters */
#define CONVERSION_TRACE_SIZE 65        /* request id; traceparent (W3C) */
#define CONVERSION_CODE_SIZE 32
#define CONVERSION_REASON_SIZE 240

#define CONVERSION_SIZE_UNKNOWN (-1)
#define CONVERSION_LOST_MAX 20            /* takings over from holders that vanished */
#define CONVERSION_NOTICE_ATTEMPTS_MAX 20 /* mail dialogues begun */
/* How long the record of an original converter's MP3 is kept: until no notifier can be asked about
 * it again. The MP3 itself stays. */
#define CONVERSION_FOREIGN_MP3_KEPT_MS (INT64_C(4) * 24 * 3600 * 1000)

enum conversion_state {
    CONVERSION_UPLOADING,
    CONVERSION_QUEUED,
    CONVERSION_CONVERTING,
    CONVERSION_DONE,
    CONVERSION_FAILED,
    CONVERSION_CANCELLED,
    CONVERSION_DELETING, /* 404 to everyone; only bytes are left to remove */
};

/* Whose turn it is once due_at has come. */
enum conversion_role { CONVERSION_DUE_CONVERT, CONVERSION_DUE_NOTIFY, CONVERSION_DUE_CLEAN };

enum conversion_notice {
    CONVERSION_NOTICE_NONE,
    CONVERSION_NOTICE_PENDING,
    CONVERSION_NOTICE_SENDING,
    CONVERSION_NOTICE_SENT,
    CONVERSION_NOTICE_FAILED,
};

/* Whose blob is not ours to delete: an original gateway's video, an original converter's MP3. */
enum conversion_foreign {
    CONVERSION_OWN,
    CONVERSION_FOREIGN_VIDEO,
    CONVERSION_FOREIGN_MP3,
};

struct conversion {
    struct id id; /* also the video's */
    int64_t version;
    enum conversion_state state;

    struct {
        struct id id; /* none: the account with that email, if older than the record */
        char email[CLAIMS_EMAIL_SIZE];
    } owner;
    char request_key[CONVERSION_REQUEST_KEY_SIZE]; /* without an Idempotency-Key the own id */
    struct {
        char request[CONVERSION_TRACE_SIZE];
        char parent[CONVERSION_TRACE_SIZE];
    } trace;

    /* The store's time, milliseconds since 1970; 0: not yet. */
    int64_t created_at_ms, queued_at_ms, ended_at_ms, changed_at_ms, expires_at_ms;
    enum conversion_role due_for;
    int64_t due_at_ms;

    bool is_resumable;      /* a tus upload: another request may continue it */
    int64_t generation;     /* of the upload; a newer PATCH has a greater one */
    int64_t received_bytes; /* committed */

    struct {
        char name[CONVERSION_NAME_SIZE];
        int64_t size_bytes;      /* CONVERSION_SIZE_UNKNOWN until it is known */
        double duration_seconds; /* 0: not known yet */
        bool is_removed;
    } video;
    struct conversion_options options;
    enum conversion_foreign foreign;

    int64_t claim;    /* counts takings; a fence, and what the MP3's id is made from */
    int64_t lost;     /* takings over from a holder that vanished */
    int64_t attempts; /* ends that accuse the input */
    struct id holder; /* drawn for each taking: "mine" means equal */
    double progress;  /* 0 to 1 */

    struct {
        struct id id; /* none: there is none. Set once */
        int64_t size_bytes;
        double duration_seconds;
        uint32_t bitrate_kbps; /* of VBR the average */
        uint32_t sample_rate_hz;
        uint32_t channels;
        bool is_truncated; /* the source ended early */
    } mp3;
    struct {
        char code[CONVERSION_CODE_SIZE]; /* "": none; a row of model/failure.c */
        char message[CONVERSION_REASON_SIZE];
    } error;
    struct {
        enum conversion_notice state;
        int64_t attempts;
        char error[CONVERSION_REASON_SIZE]; /* the mail server's reason */
    } notice;
    int64_t sweeps;
    int64_t clean_failures; /* in a row: the backoff of row 24 */
};

/* How long things take; each an option (recovery.*, retention.*, limits.*, mail.timeout, …). */
struct conversion_policy {
    int64_t lease_ms;
    int64_t grace_ms;
    int64_t mail_timeout_ms;
    int64_t notice_age_max_ms;
    int64_t conversion_age_max_ms; /* of an upload from created_at, then from queued_at */
    int64_t mp3_retention_ms;
    int64_t video_retention_ms;
    int64_t upload_abandoned_ms;
    int64_t attempts_max;
};

/* The MP3 that the given taking of the conversion writes: the first 12 bytes of
 * SHA-256(conversion id as 24 hex digits, ':', claim in decimal). */
struct id conversion_mp3_id(const struct id *conversion_id, int64_t claim);

/* Everywhere below: true and *out_next, or false, a refusal, and *out_next untouched. out_next may
 * be the record itself. A refusal is an answer, not an error: the event cannot happen to the record
 * as it is. Every function sets changed_at_ms; the store alone raises version. Functions that make
 * a record give it version 1.
 *
 * `holder` is never cleared, so that whoever reads the record after a write whose outcome it does
 * not know can tell whether that write was its own. */

/* Row 1: the record before the first byte. */
struct conversion_upload {
    struct id id;
    struct id owner_id;
    const char *owner_email;
    const char *request_key; /* NULL: none given */
    const char *trace_request, *trace_parent;
    const char *video_name;                   /* NULL: not known yet */
    const struct conversion_options *options; /* NULL: not known yet */
    int64_t size_bytes;                       /* declared, or CONVERSION_SIZE_UNKNOWN */
    struct id holder;
    bool is_resumable;
};
void conversion_begin_upload(const struct conversion_policy *policy, int64_t now_ms,
                             const struct conversion_upload *upload, struct conversion *out_next);

/* Row 2: another request goes on where `received` is. Only a resumable upload. */
MUST_CHECK bool conversion_resume_upload(const struct conversion *record,
                                         const struct conversion_policy *policy, int64_t now_ms,
                                         int64_t offset, struct id holder,
                                         struct conversion *out_next);
/* Row 3: bytes below received_bytes are durable (resumable), or shown only (plain). Refused where
 * it would not grow or would be all: row 4 alone says so. */
MUST_CHECK bool conversion_commit_upload(const struct conversion *record,
                                         const struct conversion_policy *policy, int64_t now_ms,
                                         int64_t generation, int64_t received_bytes,
                                         struct conversion *out_next);
/* Row 4: the blob is finished; then the client's 202. Refused for an empty video, and for a size
 * other than the one declared. A name or options that are NULL stay as they are. */
struct conversion_arrival {
    int64_t generation;
    int64_t size_bytes;
    const char *video_name;
    const struct conversion_options *options;
};
MUST_CHECK bool conversion_finish_upload(const struct conversion *record,
                                         const struct conversion_policy *policy, int64_t now_ms,
                                         const struct conversion_arrival *arrival,
                                         struct conversion *out_next);

/* Rows 5 and 5b: a blob that an original service wrote gets a record of its own. */
void conversion_adopt_video(const struct conversion_policy *policy, int64_t now_ms,
                            const struct id *video_id, const char *username, int64_t size_bytes,
                            struct conversion *out_next);
void conversion_adopt_mp3(const struct conversion_policy *policy, int64_t now_ms,
                          const struct id *mp3_id, const char *username,
                          struct conversion *out_next);

/* Row 6: queued → converting. Whenever asked, due or not. Refused where row 12 is to come. */
MUST_CHECK bool conversion_claim(const struct conversion *record,
                                 const struct conversion_policy *policy, int64_t now_ms,
                                 struct id holder, struct conversion *out_next);
/* Row 7: from a holder that vanished. */
MUST_CHECK bool conversion_take_over(const struct conversion *record,
                                     const struct conversion_policy *policy, int64_t now_ms,
                                     struct id holder, struct conversion *out_next);
/* Row 8: renews the lease. */
MUST_CHECK bool conversion_renew(const struct conversion *record,
                                 const struct conversion_policy *policy, int64_t now_ms,
                                 const struct id *holder, double progress,
                                 struct conversion *out_next);
/* Row 9. */
enum conversion_hand_back_reason {
    CONVERSION_STOPPING,      /* this service ends: due again at once */
    CONVERSION_STORE_DOWN,    /* with backoff */
    CONVERSION_INPUT_ACCUSED, /* with backoff; refused where it is the last attempt: row 11 */
};
MUST_CHECK bool conversion_hand_back(const struct conversion *record,
                                     const struct conversion_policy *policy, int64_t now_ms,
                                     const struct id *holder,
                                     enum conversion_hand_back_reason reason,
                                     struct conversion *out_next);
/* Row 10: the MP3 is finished and verified. */
struct conversion_result {
    int64_t size_bytes;
    double duration_seconds;
    double video_duration_seconds; /* as the video claims; 0: not known */
    uint32_t bitrate_kbps, sample_rate_hz, channels;
    bool is_truncated;
};
MUST_CHECK bool conversion_succeed(const struct conversion *record,
                                   const struct conversion_policy *policy, int64_t now_ms,
                                   const struct id *holder, const struct conversion_result *result,
                                   struct conversion *out_next);
/* Row 11: the input is at fault, by a definite answer or by the last attempt. */
MUST_CHECK bool conversion_fail(const struct conversion *record,
                                const struct conversion_policy *policy, int64_t now_ms,
                                const struct id *holder, const struct failure *failure,
                                struct conversion *out_next);
/* Row 12: taken over too often (internal), or too old (timed_out). Of a record that is due for
 * convert, exactly one of rows 6, 7 and 12 is possible. */
MUST_CHECK bool conversion_give_up(const struct conversion *record,
                                   const struct conversion_policy *policy, int64_t now_ms,
                                   struct conversion *out_next);
/* Row 13. */
MUST_CHECK bool conversion_cancel(const struct conversion *record,
                                  const struct conversion_policy *policy, int64_t now_ms,
                                  struct conversion *out_next);

/* Rows 14 and 15: before the first byte of the mail dialogue. */
MUST_CHECK bool conversion_claim_notice(const struct conversion *record,
                                        const struct conversion_policy *policy, int64_t now_ms,
                                        struct id holder, struct conversion *out_next);
MUST_CHECK bool conversion_take_over_notice(const struct conversion *record,
                                            const struct conversion_policy *policy, int64_t now_ms,
                                            struct id holder, struct conversion *out_next);
/* Row 16: reason NULL is sent; otherwise refused for good, with the server's words. */
MUST_CHECK bool conversion_settle_notice(const struct conversion *record,
                                         const struct conversion_policy *policy, int64_t now_ms,
                                         const struct id *holder, const char *reason,
                                         struct conversion *out_next);
/* Row 17: a temporary refusal. Refused where it was the last attempt or is too old: then row 16
 * with the reason. */
MUST_CHECK bool conversion_postpone_notice(const struct conversion *record,
                                           const struct conversion_policy *policy, int64_t now_ms,
                                           const struct id *holder, const char *reason,
                                           struct conversion *out_next);
/* Row 17b. Of a record that is due for notify, exactly one of rows 14, 15 and 17b is possible.
 * Where no notifier may be running, a cleaner that looks for notify too can take it. */
MUST_CHECK bool conversion_give_up_notice(const struct conversion *record,
                                          const struct conversion_policy *policy, int64_t now_ms,
                                          struct conversion *out_next);

/* Row 18. First remove what conversion_plan_clean() names, then store what conversion_clean()
 * returns, both asked with the same now_ms: what came due in between is not yet removed. Refused
 * where the record is not due for it, or has expired: row 19. */
struct conversion_sweep {
    int64_t claims;     /* the MP3s of claims 1 to this … */
    struct id kept_mp3; /* … but this one */
    bool removes_video;
};
struct conversion_sweep conversion_plan_clean(const struct conversion *record,
                                              const struct conversion_policy *policy,
                                              int64_t now_ms);
MUST_CHECK bool conversion_clean(const struct conversion *record,
                                 const struct conversion_policy *policy, int64_t now_ms,
                                 struct conversion *out_next);
/* Row 19. */
MUST_CHECK bool conversion_expire(const struct conversion *record,
                                  const struct conversion_policy *policy, int64_t now_ms,
                                  struct conversion *out_next);
/* Somebody holds this upload: a resumable one, however long it pauses; a plain one that was renewed
 * within a lease. */
bool conversion_is_upload_held(const struct conversion *record,
                               const struct conversion_policy *policy, int64_t now_ms);
/* Row 20: the client is gone, was refused or its key is used again; or (is_cleaner) nobody went on.
 */
MUST_CHECK bool conversion_abandon_upload(const struct conversion *record,
                                          const struct conversion_policy *policy, int64_t now_ms,
                                          bool is_cleaner, struct conversion *out_next);
/* Row 21. */
MUST_CHECK bool conversion_delete(const struct conversion *record,
                                  const struct conversion_policy *policy, int64_t now_ms,
                                  struct conversion *out_next);
/* Rows 22 and 23. Of a deleting record that is due, first remove all blobs that
 * conversion_plan_clean() names; then the first time store conversion_note_sweep(), the second
 * time, where conversion_is_removable(), remove(id, version). */
MUST_CHECK bool conversion_note_sweep(const struct conversion *record,
                                      const struct conversion_policy *policy, int64_t now_ms,
                                      struct conversion *out_next);
bool conversion_is_removable(const struct conversion *record, int64_t now_ms);
/* Row 24: a blob could not be removed. */
MUST_CHECK bool conversion_postpone_clean(const struct conversion *record, int64_t now_ms,
                                          struct conversion *out_next);

bool conversion_has_ended(
    const struct conversion *record); /* done, failed, cancelled or deleting */
bool conversion_is_due(const struct conversion *record, enum conversion_role role, int64_t now_ms);

const char *conversion_state_name(enum conversion_state state); /* "uploading" */
MUST_CHECK bool conversion_state_parse(const char *text, enum conversion_state *out_state);
const char *conversion_role_name(enum conversion_role role); /* "convert" */
const char *conversion_notice_name(enum conversion_notice state);
