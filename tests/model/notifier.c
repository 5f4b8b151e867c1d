#include "model/conversion.h"
#include "world.h"

static const struct actor idle = {0};

/* The value of NOTE_UNKNOWN: bit 0, a mail was accepted; above, the row that notes it. */
static struct actor at(enum phase phase, unsigned value, unsigned left)
{
    return (struct actor){.phase = (uint8_t)phase, .value = (uint8_t)value, .left = (uint8_t)left};
}

static void claim(const struct world *world, const struct state *state, unsigned actor)
{
    bool is_due = record_is_due(state->record);
    const struct actor after[2] = {at(NOTIFIER_READY, 0, MAIL_UNITS),
                                   at(NOTIFIER_CLAIM_UNKNOWN, 0, 0)};
    const struct actor left[2] = {idle, idle};
    if (state->record == 0)
        return;
    world_write(world, state, actor, ROW_CLAIM_NOTICE, actor + 1, after, is_due);
    world_write(world, state, actor, ROW_TAKE_OVER_NOTICE, actor + 1, after, is_due);
    world_write(world, state, actor, ROW_GIVE_UP_NOTICE, 0, left, true);
}

static bool is_mine(const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    return state->record != 0 && record->notice == CONVERSION_NOTICE_SENDING &&
           record->holder == actor + 1;
}

static void resolve_claim(const struct world *world, const struct state *state, unsigned actor)
{
    if (is_mine(state, actor))
        world_go(state, actor, at(NOTIFIER_READY, 0, record_get(state->record)->due_in),
                 "reads that it holds the notice", true);
    else
        claim(world, state, actor);
    world_go(state, actor, idle, "leaves it", true);
}

/* The server takes the mail: the moment that counts. */
static void accept(const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    struct state to = *state;
    to.mails++;
    if (self->left == 0)
        to.excuses++; /* it stood still inside the dialogue */
    check(PROMISE_MAIL_ONCE, to.mails < 2 || to.excuses >= to.mails - 1);
    to.actors[actor] = at(NOTIFIER_ACCEPTED, 1, self->left);
    emit(&to, (struct action){"the mail is accepted", (uint8_t)actor, PLAIN}, true);
    to.excuses++;
    to.actors[actor] = at(NOTIFIER_PUT_OFF, 0, 0);
    emit(&to, (struct action){"the mail is accepted, the connection dies", (uint8_t)actor, PLAIN},
         false);
}

static void note(const struct world *world, const struct state *state, unsigned actor, enum row row)
{
    const struct actor *self = &state->actors[actor];
    unsigned has_mailed = self->phase == NOTIFIER_ACCEPTED || (self->value & 1) != 0;
    const struct actor after[2] = {
        idle, at(NOTIFIER_NOTE_UNKNOWN, has_mailed | (unsigned)row << 1, self->left)};
    if (!world_write(world, state, actor, row, actor + 1, after, true))
        world_go(state, actor, idle, "is refused", true);
}

static void leave(const struct state *state, unsigned actor, const char *text, bool is_helpful)
{
    const struct actor *self = &state->actors[actor];
    bool has_mailed = self->phase == NOTIFIER_ACCEPTED ||
                      (self->phase == NOTIFIER_NOTE_UNKNOWN && (self->value & 1) != 0);
    struct state to = *state;
    if (has_mailed && self->left > 0)
        to.excuses++; /* died between acceptance and note; at left = 0 it was counted before */
    to.actors[actor] = idle;
    emit(&to, (struct action){text, (uint8_t)actor, PLAIN}, is_helpful);
}

static void put_off(const struct world *world, const struct state *state, unsigned actor)
{
    bool is_last =
        is_mine(state, actor) && record_after(ROW_POSTPONE_NOTICE, state->record, actor + 1) == 0;
    note(world, state, actor, is_last ? ROW_SETTLE_FAILED : ROW_POSTPONE_NOTICE);
}

void notifier_steps(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    const struct actor left[2] = {idle, idle};
    switch (self->phase) {
    case IDLE:
        if (world->foreign_mp3 && !state->existed)
            world_write(world, state, actor, ROW_ADOPT_MP3, 0, left, false);
        claim(world, state, actor);
        return;
    case NOTIFIER_CLAIM_UNKNOWN:
        resolve_claim(world, state, actor);
        break;
    case NOTIFIER_READY:
        if (self->left == 0)
            world_go(state, actor, idle, "sees that its lease is over, and sends nothing", true);
        else
            world_go(state, actor, at(NOTIFIER_IN_DIALOGUE, 0, self->left), "checks its lease",
                     true);
        break;
    case NOTIFIER_IN_DIALOGUE:
        accept(state, actor);
        world_go(state, actor, at(NOTIFIER_PUT_OFF, 0, 0), "is put off", false);
        world_go(state, actor, at(NOTIFIER_REFUSED, 0, 0), "is refused for good", false);
        break;
    case NOTIFIER_ACCEPTED:
        note(world, state, actor, ROW_SETTLE_SENT);
        break;
    case NOTIFIER_PUT_OFF:
        put_off(world, state, actor);
        break;
    case NOTIFIER_REFUSED:
        note(world, state, actor, ROW_SETTLE_FAILED);
        break;
    default:
        note(world, state, actor, (enum row)(self->value >> 1));
        leave(state, actor, "leaves it", true);
        break;
    }
    leave(state, actor, "crashes", false);
}
