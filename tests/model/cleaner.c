#include "model/conversion.h"
#include "world.h"

#include <string.h>

static const struct actor idle = {0};

static void plan(const struct world *world, const struct state *state, unsigned actor,
                 record_number next)
{
    struct actor after = {
        .phase = CLEANER_SWEEPING,
        .value = (uint8_t)record_sweep(state->record),
        .left = 1,
        .is_removal = next == 0,
        .next = next,
    };
    if (world->mutant == MUTANT_REMOVED_BEFORE_SWEEP && next == 0) {
        struct state to = *state;
        to.record = 0;
        memset(to.flights, 0, sizeof to.flights);
        to.actors[actor] = after;
        emit(&to, (struct action){"removes the record, then its blobs", (uint8_t)actor, PLAIN},
             true);
        return;
    }
    world_go(state, actor, after, "reads the record and plans a sweep", true);
}

static void look(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor after[2] = {idle, idle};
    if (!record_is_due(state->record))
        return;
    if (world_write(world, state, actor, ROW_ABANDON_BY_CLEANER, 0, after, true) ||
        world_write(world, state, actor, ROW_GIVE_UP_NOTICE, 0, after, true) ||
        world_write(world, state, actor, ROW_EXPIRE, 0, after, true))
        return;
    /* What may go goes: no other row is looked for. */
    bool is_removable = record_is_removable(state->record);
    record_number next = is_removable ? 0 : record_after(ROW_CLEAN, state->record, 0);
    if (!is_removable && next == 0)
        next = record_after(ROW_NOTE_SWEEP, state->record, 0);
    if (next != 0 || is_removable)
        plan(world, state, actor, next);
}

static unsigned present_blobs(const struct state *state)
{
    unsigned present = state->video != BLOB_ABSENT;
    for (unsigned claim = 1; claim <= CLAIMS_MAX; claim++)
        if (mp3_get(state, claim) != BLOB_ABSENT)
            present |= 1U << claim;
    return present;
}

static void remove_blob(const struct world *world, const struct state *state, unsigned actor,
                        unsigned left)
{
    const struct packed_record *record = record_get(state->record);
    struct state to = *state;
    unsigned blob = 0;
    for (unsigned i = 1; i <= CLAIMS_MAX && blob == 0; i++)
        if ((left >> i & 1) != 0)
            blob = i;
    if (blob == 0) {
        bool is_needed = state->record != 0 && record->state <= CONVERSION_CONVERTING;
        check(PROMISE_VIDEO_NEEDED, !is_needed);
        check(PROMISE_FOREIGN, !world->foreign_video);
        to.video = BLOB_ABSENT;
    } else {
        mp3_set(&to, blob, BLOB_ABSENT);
    }
    to.actors[actor].value = (uint8_t)(to.actors[actor].value & ~(1U << blob));
    emit(&to,
         (struct action){blob == 0 ? "removes the video" : "removes an MP3", (uint8_t)actor, PLAIN},
         true);
}

static void finish(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    bool is_current = self->left != 0 || world->mutant == MUTANT_UPDATE_WITHOUT_VERSION;
    if (!is_current || state->record == 0) {
        world_go(state, actor, idle, "finds another version, and leaves it", true);
        return;
    }
    struct state to = *state;
    to.actors[actor] = idle;
    if (self->is_removal) {
        to.is_removal_flying = 1;
        emit(&to, (struct action){"row 23, remove the record", (uint8_t)actor, IN_FLIGHT}, false);
        to.is_removal_flying = 0;
        memset(to.flights, 0, sizeof to.flights);
        to.record = 0;
        emit(&to, (struct action){"row 23, remove the record", (uint8_t)actor, ANSWERED}, true);
        return;
    }
    world_store(world, &to, self->next);
    emit(&to, (struct action){"notes the sweep", (uint8_t)actor, ANSWERED}, true);
    to = *state;
    to.actors[actor] = idle;
    world_fly(world, &to, self->next);
    emit(&to, (struct action){"notes the sweep", (uint8_t)actor, IN_FLIGHT}, false);
}

void cleaner_steps(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    if (self->phase == IDLE) {
        look(world, state, actor);
        return;
    }
    unsigned left = self->value & present_blobs(state);
    if (left != 0)
        remove_blob(world, state, actor, left);
    else
        finish(world, state, actor);
    const struct actor after[2] = {idle, idle};
    const struct packed_record *record = record_get(state->record);
    if (self->left != 0 && record->clean_failures == 0)
        world_write(world, state, actor, ROW_POSTPONE_CLEAN, 0, after, false);
    world_go(state, actor, idle, "crashes", false);
}
