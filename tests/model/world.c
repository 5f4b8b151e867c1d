#include "world.h"

#include "model/conversion.h"
#include <string.h>

enum blob mp3_get(const struct state *state, unsigned claim)
{
    return (enum blob)(state->mp3s >> 2 * claim & 3);
}

void mp3_set(struct state *state, unsigned claim, enum blob blob)
{
    state->mp3s = (uint16_t)((state->mp3s & ~(3U << 2 * claim)) | (unsigned)blob << 2 * claim);
}

struct state world_begin(const struct world *world)
{
    struct state state;
    memset(&state, 0, sizeof state);
    if (world->foreign_video || world->start != START_NOTHING)
        state.video = BLOB_FINISHED;
    if (world->start == START_NOTHING)
        return state;
    state.existed = 1;
    state.record = record_after(ROW_BEGIN, 0, world->with_mail ? 0 : 2);
    state.record = record_after(ROW_FINISH, state.record, 1);
    if (world->start == START_DONE) {
        unsigned mark = CONVERTER_FIRST + 1;
        state.record = record_after(ROW_CLAIM, state.record, mark);
        state.record = record_after(ROW_SUCCEED, state.record, mark);
        state.visible = 1;
        mp3_set(&state, 1, BLOB_FINISHED);
    }
    return state;
}

static bool is_open(const struct packed_record *record)
{
    return record->notice == CONVERSION_NOTICE_PENDING ||
           record->notice == CONVERSION_NOTICE_SENDING;
}

static void check_change(struct state *state, const struct packed_record *before,
                         const struct packed_record *after)
{
    bool had_ended = before->state >= CONVERSION_DONE;
    check(PROMISE_ENDED_STAYS,
          !had_ended || after->state == before->state || after->state == CONVERSION_DELETING);
    check(PROMISE_ONLY_GROWS,
          after->claim >= before->claim && after->generation >= before->generation);
    /* To a client that resumes, a full offset says the same as 202. */
    bool was_accepted = before->state == CONVERSION_QUEUED ||
                        before->state == CONVERSION_CONVERTING ||
                        (before->state == CONVERSION_UPLOADING && before->received == SIZE_BYTES);
    bool is_dropped = after->state == CONVERSION_DELETING || after->state == CONVERSION_UPLOADING;
    check(PROMISE_ACCEPTED_ENDS, !was_accepted || !is_dropped || after->is_deleted_by_user);
    bool is_expired = after->state == CONVERSION_DELETING && !after->is_deleted_by_user;
    check(PROMISE_MAIL_NOT_NEVER, !is_expired || !is_open(before));
    check(PROMISE_MAIL_NOT_NEVER, after->notice != CONVERSION_NOTICE_SENT || state->mails > 0);
    if (after->state != CONVERSION_DONE || after->foreign == CONVERSION_FOREIGN_MP3)
        return;
    check(PROMISE_NO_STALE_HOLDER, after->mp3_claim == before->claim || had_ended);
    check(PROMISE_ONE_MP3, state->visible == 0 || state->visible == after->mp3_claim);
    state->visible = after->mp3_claim;
}

void world_store(const struct world *world, struct state *state, record_number next)
{
    if (state->record != 0)
        check_change(state, record_get(state->record), record_get(next));
    bool is_insert = state->record == 0;
    state->record = next;
    state->existed = 1;
    /* Another version: what was in flight for the one before can never land. */
    if (world->mutant != MUTANT_UPDATE_WITHOUT_VERSION || is_insert) {
        memset(state->flights, 0, sizeof state->flights);
        state->is_removal_flying = 0;
    }
    for (unsigned i = CLEANER_FIRST; i < ACTORS; i++)
        state->actors[i].left = 0;
}

void world_fly(const struct world *world, struct state *state, record_number next)
{
    for (unsigned i = 0; i < world->flights; i++) {
        if (state->flights[i] == 0 || state->flights[i] == next) {
            state->flights[i] = next;
            return;
        }
    }
}

bool world_write(const struct world *world, const struct state *state, unsigned actor, enum row row,
                 unsigned argument, const struct actor after[2], bool is_helpful)
{
    record_number next = record_after(row, state->record, argument);
    if (next == 0)
        return false;
    struct action action = {row_name(row), (uint8_t)actor, ANSWERED};
    struct state to = *state;
    world_store(world, &to, next);
    if (actor != ACTORS)
        to.actors[actor] = after[0];
    emit(&to, action, is_helpful);
    if (actor != ACTORS)
        to.actors[actor] = after[1];
    action.outcome = LANDED_UNANSWERED;
    emit(&to, action, false);
    to = *state;
    if (actor != ACTORS)
        to.actors[actor] = after[1];
    world_fly(world, &to, next);
    action.outcome = IN_FLIGHT;
    emit(&to, action, false);
    return true;
}

void world_go(const struct state *state, unsigned actor, struct actor after, const char *text,
              bool is_helpful)
{
    struct state to = *state;
    to.actors[actor] = after;
    emit(&to, (struct action){text, (uint8_t)actor, PLAIN}, is_helpful);
}

/* ---- What nobody does: time, and what was in flight ---- */

static void landing_steps(const struct world *world, const struct state *state)
{
    for (unsigned i = 0; i < FLIGHTS; i++) {
        if (state->flights[i] == 0 || (state->record == 0 && state->existed))
            continue;
        struct state to = *state;
        to.flights[i] = 0;
        world_store(world, &to, state->flights[i]);
        emit(&to, (struct action){"a write lands late", ACTORS, PLAIN}, true);
    }
    if (state->is_removal_flying) {
        struct state to = *state;
        to.record = 0;
        to.is_removal_flying = 0;
        memset(to.flights, 0, sizeof to.flights);
        emit(&to, (struct action){"the removal of the record lands late", ACTORS, PLAIN}, true);
    }
    if (state->late == 0)
        return;
    struct state to = *state;
    to.late = 0;
    emit(&to, (struct action){"a dead writer's bytes are lost", ACTORS, PLAIN}, true);
    if (state->late == LATE_VIDEO) {
        if (to.video == BLOB_ABSENT)
            to.video = BLOB_PARTIAL;
    } else if (mp3_get(&to, state->late) == BLOB_ABSENT) {
        mp3_set(&to, state->late, BLOB_PARTIAL);
    }
    emit(&to, (struct action){"a dead writer's bytes land late", ACTORS, PLAIN}, true);
}

/* Whether bytes may still be written by somebody who has not heard of the end. */
static bool has_writer(const struct state *state)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        unsigned phase = state->actors[i].phase;
        if ((phase >= GATEWAY_OPEN && phase <= GATEWAY_FINISHED) ||
            (phase >= CONVERTER_WORKING && phase <= CONVERTER_REFUSED))
            return true;
    }
    return state->late != 0;
}

static void sooner(unsigned *units, unsigned candidate)
{
    if (candidate != 0 && (*units == 0 || candidate < *units))
        *units = candidate;
}

static bool is_between_sweeps(record_number number)
{
    const struct packed_record *record = record_get(number);
    return number != 0 && record->state == CONVERSION_DELETING && record->sweeps > 0 &&
           record->due_in > 0;
}

/* The grace between the two sweeps is longer than anybody writes without asking: the one place
 * where a promise (nothing is left behind) rests on time. It runs from the first sweep, whether or
 * not its note has landed. */
static bool is_grace_running(const struct state *state)
{
    if (is_between_sweeps(state->record))
        return true;
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (is_between_sweeps(state->flights[i]))
            return true;
    for (unsigned i = CLEANER_FIRST; i < ACTORS; i++)
        if (is_between_sweeps(state->actors[i].next))
            return true;
    return false;
}

static void time_step(const struct state *state)
{
    if (is_grace_running(state) && has_writer(state))
        return;
    unsigned units = record_next_time(state->record);
    for (unsigned i = 0; i < FLIGHTS; i++)
        sooner(&units, record_next_time(state->flights[i]));
    for (unsigned i = NOTIFIER_FIRST; i < CLEANER_FIRST; i++)
        sooner(&units, state->actors[i].left);
    if (units == 0)
        return;
    struct state to = *state;
    to.record = record_later(to.record, units);
    for (unsigned i = 0; i < FLIGHTS; i++)
        to.flights[i] = record_later(to.flights[i], units);
    for (unsigned i = NOTIFIER_FIRST; i < CLEANER_FIRST; i++) {
        struct actor *actor = &to.actors[i];
        bool had_time = actor->left > 0;
        actor->left = (uint8_t)(actor->left > units ? actor->left - units : 0);
        bool has_mailed = actor->phase == NOTIFIER_ACCEPTED ||
                          (actor->phase == NOTIFIER_NOTE_UNKNOWN && actor->value != 0);
        if (had_time && actor->left == 0 && has_mailed)
            to.excuses++; /* it stood still between acceptance and note */
    }
    for (unsigned i = CLEANER_FIRST; i < ACTORS; i++)
        to.actors[i].next = record_later(to.actors[i].next, units);
    emit(&to, (struct action){"time passes", ACTORS, PLAIN}, true);
}

static void user_steps(const struct world *world, const struct state *state)
{
    if (state->record == 0)
        return;
    world_write(world, state, ACTORS, ROW_CANCEL, 0, NULL, false);
    world_write(world, state, ACTORS, ROW_DELETE, 0, NULL, false);
}

void world_steps(const struct world *world, const struct state *state)
{
    for (unsigned i = 0; i < world->gateways; i++)
        gateway_steps(world, state, GATEWAY_FIRST + i);
    for (unsigned i = 0; i < world->converters; i++)
        converter_steps(world, state, CONVERTER_FIRST + i);
    for (unsigned i = 0; i < world->notifiers; i++)
        notifier_steps(world, state, NOTIFIER_FIRST + i);
    for (unsigned i = 0; i < world->cleaners; i++)
        cleaner_steps(world, state, CLEANER_FIRST + i);
    user_steps(world, state);
    landing_steps(world, state);
    time_step(state);
}

static bool is_publishable(const struct state *state, unsigned claim)
{
    if (record_get(state->record)->mp3_claim == claim)
        return true;
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (record_get(state->flights[i])->mp3_claim == claim)
            return true;
    for (unsigned i = CONVERTER_FIRST; i < NOTIFIER_FIRST; i++)
        if (state->actors[i].phase != IDLE && state->actors[i].value == claim)
            return true;
    return false;
}

void world_normalise(struct state *state)
{
    unsigned marks = 0;
    bool has_gateway = false;
    for (unsigned i = 0; i < ACTORS; i++) {
        if (state->actors[i].phase == IDLE)
            continue;
        marks |= 1U << (i + 1);
        has_gateway = has_gateway || i < CONVERTER_FIRST;
    }
    state->record = record_without_marks(state->record, marks);
    for (unsigned i = 0; i < FLIGHTS; i++)
        state->flights[i] = record_without_marks(state->flights[i], marks);
    if (state->flights[0] == state->flights[1])
        state->flights[1] = 0;
    if (state->flights[0] < state->flights[1]) {
        record_number swapped = state->flights[0];
        state->flights[0] = state->flights[1];
        state->flights[1] = swapped;
    }
    bool is_uploading =
        state->record != 0 && record_get(state->record)->state == CONVERSION_UPLOADING;
    if (!has_gateway && !is_uploading && state->existed)
        state->video_generation = 0;
    /* A whole MP3 that nobody can publish any more is like half of one. */
    for (unsigned claim = 1; claim <= CLAIMS_MAX; claim++)
        if (mp3_get(state, claim) == BLOB_FINISHED && !is_publishable(state, claim))
            mp3_set(state, claim, BLOB_PARTIAL);
    if (state->mails > 2)
        state->mails = 2;
    if (state->excuses > 2)
        state->excuses = 2;
}

static bool is_quiet(const struct state *state)
{
    for (unsigned i = 0; i < ACTORS; i++)
        if (state->actors[i].phase != IDLE)
            return false;
    return state->late == 0 && state->flights[0] == 0 && !state->is_removal_flying;
}

static bool has_blobs(const struct world *world, const struct state *state)
{
    return state->mp3s != 0 || (state->video != BLOB_ABSENT && !world->foreign_video);
}

bool world_is_end(const struct world *world, const struct state *state)
{
    if (world->ends_queued && state->record != 0 &&
        record_get(state->record)->state == CONVERSION_QUEUED)
        return is_quiet(state);
    if (world->ends_ended && record_get(state->record)->state >= CONVERSION_DONE)
        return is_quiet(state);
    return state->record == 0 && is_quiet(state) && !has_blobs(world, state);
}

static void check_writers(const struct state *state, const struct packed_record *record)
{
    unsigned claims[2] = {0};
    for (unsigned i = CONVERTER_FIRST; i < NOTIFIER_FIRST; i++) {
        const struct actor *actor = &state->actors[i];
        if (actor->phase != CONVERTER_WRITING && actor->phase != CONVERTER_FINISHED)
            continue;
        claims[i - CONVERTER_FIRST] = actor->value;
        check(PROMISE_NO_WORK_ON_MESSAGE, state->record == 0 || actor->value <= record->claim);
    }
    check(PROMISE_OWN_ID, claims[0] == 0 || claims[0] != claims[1]);
}

void world_check(const struct world *world, const struct state *state)
{
    const struct packed_record *record = record_get(state->record);
    check_writers(state, record);
    check(PROMISE_FOREIGN, !world->foreign_video || state->video == BLOB_FINISHED);
    if (state->record == 0) {
        check(PROMISE_NOTHING_LEFT, !is_quiet(state) || !has_blobs(world, state));
        return;
    }
    bool needs_video = record->state == CONVERSION_QUEUED || record->state == CONVERSION_CONVERTING;
    check(PROMISE_VIDEO_NEEDED, !needs_video || state->video == BLOB_FINISHED);
    if (record->state == CONVERSION_DONE && record->foreign != CONVERSION_FOREIGN_MP3)
        check(PROMISE_WHOLE_MP3, mp3_get(state, record->mp3_claim) == BLOB_FINISHED);
}
