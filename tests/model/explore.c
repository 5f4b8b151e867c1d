/* Drives the real functions of model/conversion.h through every interleaving of the actors of
 * world.h, breadth first, to closure, and checks the promises in every state.
 *
 *     explore                  every world; exit 0 where no promise is broken
 *     explore --world NAME     one of them
 *     explore --mutant NAME    exit 0 where the mutant is seen to break a promise */

#include "world.h"

#include "base/compiler.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (1U << 25)
#define STATES_MAX (SLOTS / 2)
#define NONE UINT32_MAX

struct edge {
    uint32_t from, to;
};

/* One exploration at a time. */
static struct {
    struct state *states;
    uint32_t *parents;
    struct action *actions;
    uint32_t *slots;
    uint32_t count, capacity;
    struct edge *edges; /* of helpful steps */
    size_t edge_count, edge_capacity;
    uint64_t transitions;
    const struct world *world;
    uint32_t current;
    int broken_now; /* by the state that is emitted next; -1: none */
    int broken;     /* -1: none */
    uint32_t broken_at;
} search;

static uint64_t checks[PROMISES];

static const char *const promises[PROMISES] = {
    [PROMISE_ACCEPTED_ENDS] = "what was accepted ends, or its user deleted it",
    [PROMISE_ONE_MP3] = "at most one MP3 is ever visible",
    [PROMISE_WHOLE_MP3] = "the visible MP3 is there and whole",
    [PROMISE_NO_STALE_HOLDER] = "a stale holder never publishes",
    [PROMISE_MAIL_ONCE] = "one mail, but for the allowed repeat",
    [PROMISE_MAIL_NOT_NEVER] = "never no mail, unless the notice says so",
    [PROMISE_VIDEO_NEEDED] = "a video still needed is there",
    [PROMISE_FOREIGN] = "what others wrote is never removed",
    [PROMISE_NOTHING_LEFT] = "no blob without a record",
    [PROMISE_ENDED_STAYS] = "ended states never return",
    [PROMISE_ONLY_GROWS] = "claim and generation only grow",
    [PROMISE_NO_WORK_ON_MESSAGE] = "nobody works on a message alone",
    [PROMISE_OWN_ID] = "no two write the same MP3",
    [PROMISE_NO_STRANDED] = "from every state, due alone leads to the end",
    [PROMISE_GOOD_VIDEO] = "a good video can always still become done",
};

void check(enum promise promise, bool holds)
{
    checks[promise]++;
    if (!holds && search.broken_now < 0)
        search.broken_now = (int)promise;
}

static void *grow(void *items, size_t count, size_t size)
{
    void *grown = realloc(items, count * size);
    if (grown == NULL)
        abort();
    return grown;
}

static uint32_t find_or_add(const struct state *state, struct action action)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i + 1 < sizeof *state; i += 2)
        hash = (hash ^ (uint64_t)(bytes[i] | bytes[i + 1] << 8)) * UINT64_C(1099511628211);
    uint32_t slot = (uint32_t)(hash ^ hash >> 29) & (SLOTS - 1);
    for (; search.slots[slot] != 0; slot = (slot + 1) & (SLOTS - 1))
        if (memcmp(&search.states[search.slots[slot] - 1], state, sizeof *state) == 0)
            return search.slots[slot] - 1;
    if (search.count == STATES_MAX) {
        fputs("more states than there is room for\n", stderr);
        abort();
    }
    if (search.count == search.capacity) {
        search.capacity = search.capacity == 0 ? 1U << 16 : 2 * search.capacity;
        search.states = grow(search.states, search.capacity, sizeof *search.states);
        search.parents = grow(search.parents, search.capacity, sizeof *search.parents);
        search.actions = grow(search.actions, search.capacity, sizeof *search.actions);
    }
    search.states[search.count] = *state;
    search.parents[search.count] = search.current;
    search.actions[search.count] = action;
    search.slots[slot] = ++search.count;
    return search.count - 1;
}

void emit(const struct state *to, struct action action, bool is_helpful)
{
    if (search.broken >= 0)
        return;
    struct state state = *to;
    world_normalise(&state);
    search.transitions++;
    uint32_t known = search.count;
    uint32_t index = find_or_add(&state, action);
    if (index == known)
        world_check(search.world, &state);
    if (search.broken_now >= 0) {
        search.broken = search.broken_now;
        search.broken_at = index;
        /* The step that broke it may lead to a state that was met before by another way. */
        search.parents[index] = search.current;
        search.actions[index] = action;
        return;
    }
    if (!is_helpful || index == search.current)
        return;
    if (search.edge_count == search.edge_capacity) {
        search.edge_capacity = search.edge_capacity == 0 ? 1U << 16 : 2 * search.edge_capacity;
        search.edges = grow(search.edges, search.edge_capacity, sizeof *search.edges);
    }
    search.edges[search.edge_count++] = (struct edge){search.current, index};
}

/* ---- What can still be reached, backwards over helpful steps ---- */

struct backwards {
    size_t *starts;  /* owned */
    uint32_t *froms; /* owned */
};

static struct backwards backwards_make(void)
{
    struct backwards backwards = {
        .starts = calloc((size_t)search.count + 2, sizeof(size_t)),
        .froms = grow(NULL, search.edge_count + 1, sizeof(uint32_t)),
    };
    if (backwards.starts == NULL)
        abort();
    for (size_t i = 0; i < search.edge_count; i++)
        backwards.starts[search.edges[i].to + 2]++;
    for (size_t i = 2; i < (size_t)search.count + 2; i++)
        backwards.starts[i] += backwards.starts[i - 1];
    for (size_t i = 0; i < search.edge_count; i++)
        backwards.froms[backwards.starts[search.edges[i].to + 1]++] = search.edges[i].from;
    return backwards;
}

/* Marks every state from which one that is marked already can be reached. */
static void spread(const struct backwards *backwards, unsigned char *marked)
{
    uint32_t *queue = grow(NULL, (size_t)search.count + 1, sizeof *queue);
    size_t head = 0, tail = 0;
    for (uint32_t i = 0; i < search.count; i++)
        if (marked[i])
            queue[tail++] = i;
    while (head < tail) {
        uint32_t to = queue[head++];
        for (size_t i = backwards->starts[to]; i < backwards->starts[to + 1]; i++) {
            uint32_t from = backwards->froms[i];
            if (!marked[from]) {
                marked[from] = 1;
                queue[tail++] = from;
            }
        }
    }
    free(queue);
}

static bool is_end(const struct state *state)
{
    return world_is_end(search.world, state);
}

static bool is_done(const struct state *state)
{
    return record_is_done(state->record);
}

static bool any(const struct state *state)
{
    (void)state;
    return true;
}

static bool is_hopeful(const struct state *state)
{
    return record_is_hopeful(state->record);
}

static void check_reaches(const struct backwards *backwards, enum promise promise,
                          bool (*is_subject)(const struct state *state),
                          bool (*is_target)(const struct state *state))
{
    unsigned char *marked = calloc((size_t)search.count + 1, 1);
    if (marked == NULL)
        abort();
    for (uint32_t i = 0; i < search.count; i++)
        marked[i] = is_target(&search.states[i]);
    spread(backwards, marked);
    for (uint32_t i = 0; i < search.count && search.broken < 0; i++) {
        if (!is_subject(&search.states[i]))
            continue;
        checks[promise]++;
        if (!marked[i]) {
            search.broken = (int)promise;
            search.broken_at = i;
        }
    }
    free(marked);
}

/* ---- Reports ---- */

static void print_step(uint32_t index)
{
    static const char *const actors[ACTORS + 1] = {
        "gateway 1",   "gateway 2",  "converter 1",
        "converter 2", "notifier 1", "notifier 2",
        "cleaner 1",   "cleaner 2",  "",
    };
    static const char *const outcomes[] = {
        [ANSWERED] = "",
        [LANDED_UNANSWERED] = " (landed, answer lost)",
        [IN_FLIGHT] = " (answer lost, in flight)",
        [PLAIN] = "",
    };
    const struct action *action = &search.actions[index];
    const struct state *state = &search.states[index];
    char text[160];
    record_describe(state->record, text, sizeof text);
    printf("    %-11s %s%s\n                    -> %s; video %u, MP3s %x, mails %u\n",
           action->actor == ACTORS && action->outcome != PLAIN ? "user" : actors[action->actor],
           action->text, outcomes[action->outcome], text, state->video, (unsigned)state->mp3s,
           state->mails);
}

static void print_trace(uint32_t index)
{
    enum { LENGTH_MAX = 1000 };
    static uint32_t path[LENGTH_MAX];
    unsigned length = 0;
    for (; search.parents[index] != NONE && length < LENGTH_MAX; index = search.parents[index])
        path[length++] = index;
    while (length > 0)
        print_step(path[--length]);
}

static void search_begin(const struct world *world)
{
    memset(&search, 0, sizeof search);
    search.slots = calloc(SLOTS, sizeof *search.slots);
    if (search.slots == NULL)
        abort();
    search.world = world;
    search.broken = search.broken_now = -1;
    search.current = NONE;
}

static void search_finish(void)
{
    free(search.slots);
    free(search.states);
    free(search.parents);
    free(search.actions);
    free(search.edges);
}

/* True: no promise is broken. */
static bool explore(const struct world *world)
{
    search_begin(world);
    struct state first = world_begin(world);
    find_or_add(&first, (struct action){"", ACTORS, PLAIN});
    for (uint32_t i = 0; i < search.count && search.broken < 0; i++) {
        search.current = i;
        struct state state = search.states[i];
        world_steps(world, &state);
    }
    if (search.broken < 0) {
        struct backwards backwards = backwards_make();
        check_reaches(&backwards, PROMISE_NO_STRANDED, any, is_end);
        if (world->converters > 0)
            check_reaches(&backwards, PROMISE_GOOD_VIDEO, is_hopeful, is_done);
        free(backwards.starts);
        free(backwards.froms);
    }
    printf("%-14s %9u states %10llu transitions %6u records: %s\n", world->name, search.count,
           (unsigned long long)search.transitions, records_count(),
           search.broken < 0 ? "closed, every promise kept" : "a promise is broken");
    bool is_kept = search.broken < 0;
    if (!is_kept) {
        printf("  broken: %s\n  by the shortest way to it:\n", promises[search.broken]);
        print_trace(search.broken_at);
    }
    search_finish();
    fflush(stdout);
    return is_kept;
}

static const struct world worlds[] = {
    {"uploads", .gateways = 2, .cleaners = 1, .flights = 2, .ends_queued = true,
     .has_late_bytes = true, .plain = true, .resumable = true, .with_mail = true},
    {"work", .converters = 2, .flights = 1, .start = START_QUEUED, .ends_ended = true,
     .without_mail = true},
    {"notices", .notifiers = 2, .cleaners = 1, .flights = 2, .start = START_DONE,
     .with_mail = true},
    {"cleaning", .converters = 1, .cleaners = 2, .flights = 1, .start = START_QUEUED,
     .without_mail = true},
    {"late-bytes", .converters = 1, .cleaners = 1, .flights = 1, .start = START_QUEUED,
     .has_late_bytes = true, .without_mail = true},
    {"whole", .gateways = 1, .converters = 1, .notifiers = 1, .cleaners = 1, .plain = true,
     .with_mail = true},
    {"foreign-video", .converters = 1, .notifiers = 1, .cleaners = 1, .foreign_video = true},
    {"foreign-mp3", .notifiers = 2, .cleaners = 1, .flights = 2, .foreign_mp3 = true},
};

static const struct {
    const char *name;
    enum mutant mutant;
} mutants[] = {
    {"update-without-version", MUTANT_UPDATE_WITHOUT_VERSION},
    {"row-4-without-due", MUTANT_ROW_4_WITHOUT_DUE},
    {"row-6-without-due", MUTANT_ROW_6_WITHOUT_DUE},
    {"work-on-message", MUTANT_WORK_ON_MESSAGE},
    {"record-after-bytes", MUTANT_RECORD_AFTER_BYTES},
    {"removed-before-sweep", MUTANT_REMOVED_BEFORE_SWEEP},
    {"mp3-deleted-after-unknown", MUTANT_MP3_DELETED_AFTER_UNKNOWN},
};

static int run_mutant(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(mutants); i++) {
        if (strcmp(name, mutants[i].name) != 0)
            continue;
        struct world world = {
            "",           .gateways = 1, .converters = 1,   .notifiers = 1,        .cleaners = 1,
            .flights = 1, .plain = true, .with_mail = true, .has_late_bytes = true};
        world.name = name;
        world.mutant = mutants[i].mutant;
        /* Seen only once all is explored, so in a smaller world. */
        bool is_without_due =
            world.mutant == MUTANT_ROW_4_WITHOUT_DUE || world.mutant == MUTANT_ROW_6_WITHOUT_DUE;
        if (is_without_due) {
            records_forget_due(world.mutant == MUTANT_ROW_4_WITHOUT_DUE ? ROW_FINISH : ROW_CLAIM);
            world.flights = world.notifiers = 0;
            world.has_late_bytes = world.with_mail = false;
            world.without_mail = true;
        }
        if (!explore(&world))
            return 0;
        puts("  the mutant was not found out");
        return 1;
    }
    fprintf(stderr, "no such mutant: %s\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--mutant") == 0)
        return run_mutant(argv[2]);
    const char *only = argc == 3 && strcmp(argv[1], "--world") == 0 ? argv[2] : NULL;
    if (argc != 1 && only == NULL) {
        fputs("usage: explore [--world NAME | --mutant NAME]\n", stderr);
        return 2;
    }
    bool is_kept = true;
    unsigned explored = 0;
    for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
        if (only != NULL && strcmp(only, worlds[i].name) != 0)
            continue;
        is_kept = explore(&worlds[i]) && is_kept;
        explored++;
    }
    for (size_t i = 0; i < PROMISES; i++)
        printf("%12llu checks: %s\n", (unsigned long long)checks[i], promises[i]);
    return is_kept && explored != 0 ? 0 : 1;
}
