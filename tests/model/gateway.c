#include "model/conversion.h"
#include "world.h"

static const struct actor idle = {0};

static struct actor at(enum phase phase, unsigned value)
{
    return (struct actor){.phase = (uint8_t)phase, .value = (uint8_t)value};
}

/* The value of CREATE_UNKNOWN is what the record was begun with: bit 0 resumable, bit 1 no mail. */
static void create(const struct world *world, const struct state *state, unsigned actor,
                   unsigned kind)
{
    bool is_resumable = kind & 1;
    const struct actor after[2] = {
        is_resumable ? idle : at(state->video == BLOB_ABSENT ? GATEWAY_OPEN : GATEWAY_WRITING, 1),
        at(GATEWAY_CREATE_UNKNOWN, kind),
    };
    world_write(world, state, actor, ROW_BEGIN, kind | actor << 2, after, false);
}

static void begin(const struct world *world, const struct state *state, unsigned actor)
{
    for (unsigned i = 0; i < CONVERTER_FIRST; i++)
        if (state->actors[i].phase != IDLE)
            return; /* an id is drawn by one gateway */
    for (unsigned kind = 0; kind < 4; kind++) {
        bool is_resumable = kind & 1;
        if ((is_resumable ? !world->resumable : !world->plain) ||
            ((kind & 2) != 0 ? !world->without_mail : !world->with_mail))
            continue;
        if (world->mutant == MUTANT_RECORD_AFTER_BYTES && !is_resumable) {
            struct state to = *state;
            to.video = BLOB_PARTIAL;
            to.video_generation = 1;
            to.actors[actor] = at(GATEWAY_BYTES_FIRST, kind);
            emit(&to, (struct action){"first bytes, no record yet", (uint8_t)actor, PLAIN}, false);
        } else {
            create(world, state, actor, kind);
        }
    }
}

static void resume(const struct world *world, const struct state *state, unsigned actor,
                   bool is_helpful)
{
    const struct packed_record *record = record_get(state->record);
    if (state->record == 0 || record->generation >= GENERATIONS_MAX)
        return;
    const struct actor after[2] = {at(GATEWAY_OPEN, record->generation + 1U),
                                   at(GATEWAY_RESUME_UNKNOWN, 0)};
    world_write(world, state, actor, ROW_RESUME, actor + 1, after, is_helpful);
}

static void resolve_creation(const struct world *world, const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    bool is_mine =
        state->record != 0 && record->state == CONVERSION_UPLOADING && record->holder == actor + 1;
    if (is_mine)
        world_go(state, actor, record->is_resumable ? idle : at(GATEWAY_OPEN, 1),
                 "reads its own record", true);
    else if (state->record == 0 && !state->existed)
        create(world, state, actor, state->actors[actor].value);
    world_go(state, actor, idle, "answers 503 and leaves it", true);
}

static void resolve_resuming(const struct world *world, const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    bool is_open = state->record != 0 && record->state == CONVERSION_UPLOADING;
    if (is_open && record->holder == actor + 1)
        world_go(state, actor, at(GATEWAY_OPEN, record->generation), "reads that it resumed", true);
    else if (is_open)
        resume(world, state, actor, true);
    world_go(state, actor, idle, "answers 503 and leaves it", true);
}

static bool is_own(const struct state *state, unsigned generation)
{
    const struct packed_record *record = record_get(state->record);
    return state->record != 0 && record->state == CONVERSION_UPLOADING &&
           record->generation == generation;
}

static void put_bytes(const struct state *state, unsigned actor, bool is_finish)
{
    struct state to = *state;
    struct actor *self = &to.actors[actor];
    if (to.video_generation > self->value) {
        world_go(state, actor, idle, "a newer generation wrote there: 423", true);
        return;
    }
    to.video = (uint8_t)(is_finish ? BLOB_FINISHED : BLOB_PARTIAL);
    to.video_generation = self->value;
    self->phase = (uint8_t)(is_finish ? GATEWAY_FINISHED : GATEWAY_WRITING);
    emit(&to,
         (struct action){is_finish ? "finishes the video" : "writes bytes of the video",
                         (uint8_t)actor, PLAIN},
         true);
}

static void queue(const struct world *world, const struct state *state, unsigned actor)
{
    unsigned generation = state->actors[actor].value;
    const struct actor after[2] = {idle, at(GATEWAY_QUEUE_UNKNOWN, generation)};
    if (!world_write(world, state, actor, ROW_FINISH, generation, after, true))
        world_go(state, actor, idle, "is refused: 409", true);
}

static void resolve_queueing(const struct world *world, const struct state *state, unsigned actor)
{
    const struct packed_record *record = record_get(state->record);
    unsigned generation = state->actors[actor].value;
    if (is_own(state, generation))
        queue(world, state, actor);
    else if (state->record != 0 && record->generation == generation &&
             record->state >= CONVERSION_QUEUED && record->state <= CONVERSION_FAILED)
        world_go(state, actor, idle, "reads that it is queued: 202", true);
    world_go(state, actor, idle, "answers 503 and leaves it", true);
}

static void upload(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    const struct packed_record *record = record_get(state->record);
    if (self->phase == GATEWAY_FINISHED)
        queue(world, state, actor);
    else
        put_bytes(state, actor, self->phase == GATEWAY_WRITING);
    if (!is_own(state, self->value)) {
        world_go(state, actor, idle, "sees that it is no longer its upload", true);
        return;
    }
    if (self->phase != GATEWAY_OPEN) {
        const struct actor after[2] = {*self, *self};
        unsigned whole = self->phase == GATEWAY_FINISHED ? WHOLE : 0;
        world_write(world, state, actor, ROW_COMMIT, self->value | whole, after, true);
    }
    const struct actor after[2] = {idle, idle};
    if (!record->is_resumable)
        world_write(world, state, actor, ROW_ABANDON_BY_GATEWAY, 0, after, false);
}

static void crash(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    world_go(state, actor, idle, "crashes", false);
    if ((self->phase != GATEWAY_OPEN && self->phase != GATEWAY_WRITING) || state->late != 0 ||
        state->video_generation > self->value || !world->has_late_bytes)
        return;
    struct state to = *state;
    to.late = LATE_VIDEO;
    to.actors[actor] = idle;
    emit(&to, (struct action){"crashes with bytes on their way", (uint8_t)actor, PLAIN}, false);
}

void gateway_steps(const struct world *world, const struct state *state, unsigned actor)
{
    const struct actor *self = &state->actors[actor];
    switch (self->phase) {
    case IDLE:
        if (!state->existed)
            begin(world, state, actor);
        resume(world, state, actor, false);
        return;
    case GATEWAY_CREATE_UNKNOWN:
        resolve_creation(world, state, actor);
        break;
    case GATEWAY_BYTES_FIRST:
        create(world, state, actor, self->value);
        break;
    case GATEWAY_RESUME_UNKNOWN:
        resolve_resuming(world, state, actor);
        break;
    case GATEWAY_QUEUE_UNKNOWN:
        resolve_queueing(world, state, actor);
        break;
    default:
        upload(world, state, actor);
        break;
    }
    crash(world, state, actor);
}
