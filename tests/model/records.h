#pragma once

/* Records as the exploration keeps them: small, relative to now, each distinct one known by a
 * number. Every change of one is made by the real functions of model/conversion.h: a record is
 * unpacked into a struct conversion, given to the function, and packed again.
 *
 * Time is counted in units of two seconds (the first backoff). What no function can tell apart any
 * more is made equal: times that have come, ages past every limit, fields that an ended record no
 * longer needs. Two counters are shortened: the first taking over counts as the 19th, the second
 * mail dialogue likewise, since those in between differ in nothing. */

#include <stdbool.h>
#include <stdint.h>

#define CLAIMS_MAX 4
#define NEVER 255       /* due_in of a record that nobody will look at: only a mutant makes it */
#define MP3_FOREIGN 255 /* mp3_claim of what an original converter wrote */
#define MAIL_UNITS 2    /* mail.timeout and a lease */
#define SIZE_BYTES 2    /* of the video: committed is nothing, half or all */
#define WHOLE 4U        /* beside a generation, ROW_COMMIT's argument: the last byte is here */

struct packed_record {
    uint8_t state, due_for, due_in, age, expires_in;
    uint8_t generation, received, claim, lost, attempts, holder;
    uint8_t mp3_claim; /* 0: none */
    uint8_t notice, notice_attempts, sweeps, clean_failures;
    uint8_t is_resumable, wants_no_mail, is_video_removed, foreign;
    uint8_t is_deleted_by_user; /* not of the record: who made it `deleting` */
};

/* 0 is "no record" and, as an answer, a refusal. */
typedef uint16_t record_number;

enum row {
    ROW_BEGIN,
    ROW_ADOPT_VIDEO,
    ROW_ADOPT_MP3,
    ROW_RESUME,
    ROW_COMMIT,
    ROW_FINISH,
    ROW_CLAIM,
    ROW_TAKE_OVER,
    ROW_RENEW,
    ROW_HAND_BACK_STOPPING,
    ROW_HAND_BACK_STORE_DOWN,
    ROW_HAND_BACK_ACCUSED,
    ROW_SUCCEED,
    ROW_FAIL,
    ROW_GIVE_UP,
    ROW_CANCEL,
    ROW_CLAIM_NOTICE,
    ROW_TAKE_OVER_NOTICE,
    ROW_SETTLE_SENT,
    ROW_SETTLE_FAILED,
    ROW_POSTPONE_NOTICE,
    ROW_GIVE_UP_NOTICE,
    ROW_CLEAN,
    ROW_EXPIRE,
    ROW_ABANDON_BY_GATEWAY,
    ROW_ABANDON_BY_CLEANER,
    ROW_DELETE,
    ROW_NOTE_SWEEP,
    ROW_POSTPONE_CLEAN,
    ROW_COUNT,
};

/* A mutant: the row leaves no due_at. */
void records_forget_due(enum row row);

const struct packed_record *record_get(record_number number);
/* The record after the row, or 0, a refusal. The argument (at most 7) is a holder's mark, a
 * generation, or what the row needs else. */
record_number record_after(enum row row, record_number record, unsigned argument);
/* The same record seen that many units later. */
record_number record_later(record_number record, unsigned units);
/* Units until something about the record comes due; 0: nothing will. */
unsigned record_next_time(record_number record);
/* Nobody knows the mark any more: the holder is a stranger's. */
record_number record_without_marks(record_number record, unsigned known_marks);
bool record_is_due(record_number record);
bool record_is_done(record_number record);
/* Accepted, not ended, and neither old nor lost so often that giving up is near. */
bool record_is_hopeful(record_number record);
bool record_is_removable(record_number record);
/* conversion_plan_clean(): bits 1 to CLAIMS_MAX the claims' MP3s, bit 0 the video. */
unsigned record_sweep(record_number record);
unsigned records_count(void);
const char *row_name(enum row row);
/* "converting claim 2 held by 3, due for convert in 1" */
void record_describe(record_number record, char *out_text, unsigned size);
