#pragma once

/* One conversion and everybody who acts on it: what a state of the exploration is, and the steps
 * that lead out of it.
 *
 * A read, the decision and the write are one step, since a write that another overtook changes
 * nothing; a write whose answer is lost may have landed, or stays in flight and lands at any later
 * moment at which the record is still the one that it was made from. A message may come at any
 * time, twice, late, never or forged; so it needs no place in the state: whoever waits for one may
 * act at any time, and only what `due` brings about counts as help when it is asked whether a state
 * can still end well. */

#include "records.h"

enum { GATEWAY_FIRST = 0, CONVERTER_FIRST = 2, NOTIFIER_FIRST = 4, CLEANER_FIRST = 6, ACTORS = 8 };
enum { FLIGHTS = 2, GENERATIONS_MAX = 3 };

enum phase {
    IDLE,
    GATEWAY_CREATE_UNKNOWN,
    GATEWAY_BYTES_FIRST, /* a mutant's */
    GATEWAY_RESUME_UNKNOWN,
    GATEWAY_OPEN,
    GATEWAY_WRITING,
    GATEWAY_FINISHED,
    GATEWAY_QUEUE_UNKNOWN,
    CONVERTER_CLAIM_UNKNOWN,
    CONVERTER_WORKING,
    CONVERTER_WRITING,
    CONVERTER_FINISHED,
    CONVERTER_DONE_UNKNOWN,
    CONVERTER_END_UNKNOWN,
    CONVERTER_REFUSED,
    NOTIFIER_CLAIM_UNKNOWN,
    NOTIFIER_READY,
    NOTIFIER_IN_DIALOGUE,
    NOTIFIER_ACCEPTED,
    NOTIFIER_PUT_OFF,
    NOTIFIER_REFUSED,
    NOTIFIER_NOTE_UNKNOWN,
    CLEANER_SWEEPING,
};

struct actor {
    uint8_t phase;
    uint8_t value; /* gateway: generation; converter: claim; notifier: it was accepted, and by
                    * which row it is noted; cleaner: what is left to remove */
    uint8_t left;  /* notifier: units of its own lease; cleaner: the record is as it was read */
    uint8_t is_removal; /* cleaner: row 23 */
    record_number next; /* cleaner: what it will store */
};

enum blob { BLOB_ABSENT, BLOB_PARTIAL, BLOB_FINISHED };
#define LATE_VIDEO (CLAIMS_MAX + 1)

struct state {
    record_number record;
    record_number flights[FLIGHTS]; /* writes whose answer was lost and that may still land */
    uint16_t mp3s;                  /* two bits a claim */
    uint8_t video, video_generation;
    uint8_t late;    /* a blob's write in flight after its writer died: a claim, or LATE_VIDEO */
    uint8_t existed; /* the record was inserted once */
    uint8_t mails, excuses;
    uint8_t visible;           /* the claim whose MP3 was shown */
    uint8_t is_removal_flying; /* row 23 */
    struct actor actors[ACTORS];
};

enum mutant {
    MUTANT_NONE,
    MUTANT_UPDATE_WITHOUT_VERSION,
    MUTANT_ROW_4_WITHOUT_DUE,
    MUTANT_ROW_6_WITHOUT_DUE,
    MUTANT_WORK_ON_MESSAGE,
    MUTANT_RECORD_AFTER_BYTES,
    MUTANT_REMOVED_BEFORE_SWEEP,
    MUTANT_MP3_DELETED_AFTER_UNKNOWN,
};

/* Where a world begins and where it ends; what lies before and behind is another world's. */
enum start { START_NOTHING, START_QUEUED, START_DONE };

struct world {
    const char *name;
    unsigned gateways, converters, notifiers, cleaners;
    unsigned flights; /* at most FLIGHTS */
    enum start start;
    bool ends_queued, ends_ended; /* an end too: queued; done, failed, cancelled or deleting */
    bool has_late_bytes;
    bool plain, resumable; /* uploads */
    bool with_mail, without_mail;
    bool foreign_video, foreign_mp3;
    enum mutant mutant;
};

enum promise {
    PROMISE_ACCEPTED_ENDS,
    PROMISE_ONE_MP3,
    PROMISE_WHOLE_MP3,
    PROMISE_NO_STALE_HOLDER,
    PROMISE_MAIL_ONCE,
    PROMISE_MAIL_NOT_NEVER,
    PROMISE_VIDEO_NEEDED,
    PROMISE_FOREIGN,
    PROMISE_NOTHING_LEFT,
    PROMISE_ENDED_STAYS,
    PROMISE_ONLY_GROWS,
    PROMISE_NO_WORK_ON_MESSAGE,
    PROMISE_OWN_ID,
    PROMISE_NO_STRANDED,
    PROMISE_GOOD_VIDEO,
    PROMISES,
};

/* What a step is called in a trace. */
enum outcome { ANSWERED, LANDED_UNANSWERED, IN_FLIGHT, PLAIN };
struct action {
    const char *text;
    uint8_t actor; /* ACTORS: nobody's */
    uint8_t outcome;
};

/* The exploration's side (explore.c): takes a state that a step leads to. A helpful step is one
 * that happens when nothing goes wrong and no message comes. */
void emit(const struct state *to, struct action action, bool is_helpful);
/* Counts a check; where it does not hold the state emitted next is the counterexample. */
void check(enum promise promise, bool holds);

/* All steps out of a state. */
void world_steps(const struct world *world, const struct state *state);
struct state world_begin(const struct world *world);
/* Before a state is looked up: what no step can tell apart is made equal. */
void world_normalise(struct state *state);
void world_check(const struct world *world, const struct state *state);
bool world_is_end(const struct world *world, const struct state *state);

/* What the actors' steps share (world.c). */
enum blob mp3_get(const struct state *state, unsigned claim);
void mp3_set(struct state *state, unsigned claim, enum blob blob);
void world_store(const struct world *world, struct state *state, record_number next);
void world_fly(const struct world *world, struct state *state, record_number next);
/* Makes the row's change: answered, landed without an answer, and in flight. False: refused. */
bool world_write(const struct world *world, const struct state *state, unsigned actor, enum row row,
                 unsigned argument, const struct actor after[2], bool is_helpful);
/* The actor alone changes. */
void world_go(const struct state *state, unsigned actor, struct actor after, const char *text,
              bool is_helpful);
void gateway_steps(const struct world *world, const struct state *state, unsigned actor);
void converter_steps(const struct world *world, const struct state *state, unsigned actor);
void notifier_steps(const struct world *world, const struct state *state, unsigned actor);
void cleaner_steps(const struct world *world, const struct state *state, unsigned actor);
