#include "model/conversion.h"
#include "world.h"

static const struct actor idle = {0};

static struct actor at(enum phase phase, unsigned claim)
{
    return (struct actor){.phase = (uint8_t)phase, .value = (uint8_t)claim};
}

/* By a message, at any time, or because the record is due. */
static void claim(const struct world *world, const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    if (state->record == 0)
        return;
    unsigned next = record->claim + 1U;
    bool is_due = record_is_due(state->record);
    bool is_waiting = record->state == CONVERSION_QUEUED || record->state == CONVERSION_CONVERTING;
    if (!is_waiting)
        return;
    if (world->mutant == MUTANT_WORK_ON_MESSAGE)
        world_go(state, actor, at(CONVERTER_WORKING, next), "works because a message says so",
                 false);
    if (next <= CLAIMS_MAX) {
        const struct actor after[2] = {at(CONVERTER_WORKING, next),
                                       at(CONVERTER_CLAIM_UNKNOWN, next)};
        world_write(world, state, actor, ROW_CLAIM, actor + 1, after, is_due);
        world_write(world, state, actor, ROW_TAKE_OVER, actor + 1, after, is_due);
    }
    const struct actor after[2] = {idle, idle};
    world_write(world, state, actor, ROW_GIVE_UP, 0, after, true);
}

static bool is_mine(const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    return state->record != 0 && record->state == CONVERSION_CONVERTING &&
           record->holder == actor + 1;
}

static void resolve_claim(const struct world *world, const struct state *state, unsigned actor)
{
    if (is_mine(state, actor))
        world_go(state, actor, at(CONVERTER_WORKING, record_get(state->record)->claim),
                 "reads that it holds the record", true);
    else
        claim(world, state, actor);
    world_go(state, actor, idle, "leaves it", true);
}

static void put_bytes(const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    struct state to = *state;
    if (self->phase == CONVERTER_FINISHED)
        return;
    bool is_finish = self->phase == CONVERTER_WRITING;
    mp3_set(&to, self->value, is_finish ? BLOB_FINISHED : BLOB_PARTIAL);
    to.actors[actor].phase = (uint8_t)(is_finish ? CONVERTER_FINISHED : CONVERTER_WRITING);
    emit(&to,
         (struct action){is_finish ? "finishes the MP3" : "writes bytes of the MP3", (uint8_t)actor,
                         PLAIN},
         true);
}

/* Rows 9 and 11: who is answered may remove its own MP3, who is not may not. */
static void end_otherwise(const struct world *world, const struct state *state, unsigned actor)
{
    unsigned value = state->actors[actor].value;
    const struct actor after[2] = {at(CONVERTER_REFUSED, value), at(CONVERTER_END_UNKNOWN, value)};
    /* So many takings that all others still fit below CLAIMS_MAX. */
    if (value < 2) {
        world_write(world, state, actor, ROW_HAND_BACK_STOPPING, actor + 1, after, false);
        world_write(world, state, actor, ROW_HAND_BACK_STORE_DOWN, actor + 1, after, false);
        world_write(world, state, actor, ROW_HAND_BACK_ACCUSED, actor + 1, after, false);
    }
    world_write(world, state, actor, ROW_FAIL, actor + 1, after, false);
}

static bool publish(const struct world *world, const struct state *state, unsigned actor)
{
    unsigned value = state->actors[actor].value;
    const struct actor after[2] = {idle, at(CONVERTER_DONE_UNKNOWN, value)};
    return world_write(world, state, actor, ROW_SUCCEED, actor + 1, after, true);
}

static void work(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    put_bytes(state, actor);
    /* Whose the record is only the rows say: nobody here looks first. */
    const struct actor after[2] = {*self, *self};
    if (!world_write(world, state, actor, ROW_RENEW, actor + 1, after, false)) {
        world_go(state, actor, at(CONVERTER_REFUSED, self->value), "is refused", true);
        return;
    }
    end_otherwise(world, state, actor);
    if (self->phase == CONVERTER_FINISHED)
        publish(world, state, actor);
}

static void resolve_publication(const struct world *world, const struct state *state,
                                unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    unsigned value = state->actors[actor].value;
    bool names_it = state->record != 0 && record->mp3_claim == value;
    if (!publish(world, state, actor))
        world_go(state, actor, names_it ? idle : at(CONVERTER_REFUSED, value),
                 names_it ? "reads that it is published" : "reads that it is refused", true);
    struct state to = *state;
    to.actors[actor] = idle;
    if (world->mutant == MUTANT_MP3_DELETED_AFTER_UNKNOWN)
        mp3_set(&to, value, BLOB_ABSENT);
    emit(&to, (struct action){"leaves it", (uint8_t)actor, PLAIN}, true);
}

static void remove_own(const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    unsigned value = state->actors[actor].value;
    struct state to = *state;
    to.actors[actor] = idle;
    if (state->record == 0 || record->mp3_claim != value)
        mp3_set(&to, value, BLOB_ABSENT);
    emit(&to, (struct action){"removes its own MP3", (uint8_t)actor, PLAIN}, true);
}

static void crash(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    world_go(state, actor, idle, "crashes", false);
    if ((self->phase != CONVERTER_WORKING && self->phase != CONVERTER_WRITING) ||
        state->late != 0 || !world->has_late_bytes)
        return;
    struct state to = *state;
    to.late = self->value;
    to.actors[actor] = idle;
    emit(&to, (struct action){"crashes with bytes on their way", (uint8_t)actor, PLAIN}, false);
}

void converter_steps(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor after[2] = {idle, idle};
    switch (state->actors[actor].phase) {
    case IDLE:
        if (world->foreign_video && !state->existed)
            world_write(world, state, actor, ROW_ADOPT_VIDEO, 0, after, false);
        claim(world, state, actor);
        return;
    case CONVERTER_CLAIM_UNKNOWN:
        resolve_claim(world, state, actor);
        break;
    case CONVERTER_DONE_UNKNOWN:
        resolve_publication(world, state, actor);
        break;
    case CONVERTER_END_UNKNOWN:
        end_otherwise(world, state, actor);
        world_go(state, actor, idle, "leaves it", true);
        break;
    case CONVERTER_REFUSED:
        remove_own(state, actor);
        break;
    default:
        work(world, state, actor);
        break;
    }
    crash(world, state, actor);
}
