#include "services/common/records.h"

#include "base/clock.h"
#include "base/json.h"
#include "model/conversion_document.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every conflict is another's progress, so that so many in a row mean that something is wrong. */
#define CONFLICTS_MAX 100
#define RETRY_FIRST_MS 20
#define RETRY_MOST_MS 1000

#define LOOK_COUNT_MAX 32
/* What was read longer ago has probably been taken by others. */
#define LOOK_FRESH_MS 1000

/* One change on its way through the store. */
struct change {
    struct record_store *store;
    record_decision *decide;
    void *context;
    struct conversion *record; /* the caller's: as read or as written last */
    struct conversion next;    /* what is to be stored, decided from *record */
    bool is_unknown;           /* next was sent, and nobody knows whether it landed */
    bool was_unknown;          /* and this was so at least once for this next */
    int64_t give_up_at_boot_ms;
    int64_t retry_ms;
    int conflicts;
};

/* Whether the store may answer otherwise a moment later. */
static bool is_passing(const struct error *error)
{
    return error->kind == ERROR_UNAVAILABLE || error->kind == ERROR_TOO_LARGE;
}

static void report(struct error *error, const struct error *cause)
{
    if (error != NULL)
        *error = *cause;
}

/* The wait of a retry, never past the time to give up; false: it has come. */
static bool wait_for_retry(struct change *change)
{
    int64_t left_ms = change->give_up_at_boot_ms - clock_boot_ms();
    if (left_ms <= 0)
        return false;
    int64_t wait_ms = change->retry_ms < left_ms ? change->retry_ms : left_ms;
    struct timespec wait = {
        .tv_sec = wait_ms / 1000,
        .tv_nsec = (wait_ms % 1000) * 1000000,
    };
    nanosleep(&wait, NULL);
    change->retry_ms = 2 * change->retry_ms < RETRY_MOST_MS ? 2 * change->retry_ms : RETRY_MOST_MS;
    return true;
}

/* As stores keep them: of reals so many digits, no more. */
static bool is_same(const struct conversion *a, const struct conversion *b)
{
    CLEANUP(json_decrefp) json_t *json_a = conversion_to_json(a);
    CLEANUP(json_decrefp) json_t *json_b = conversion_to_json(b);
    CLEANUP(buffer_finish) struct buffer text_a = BUFFER_WITH_MAX(SIZE_MAX);
    CLEANUP(buffer_finish) struct buffer text_b = BUFFER_WITH_MAX(SIZE_MAX);
    return json_format(json_a, &text_a, NULL) && json_format(json_b, &text_b, NULL) &&
           strcmp(buffer_text(&text_a), buffer_text(&text_b)) == 0;
}

/* Whether the stored record is what this change wanted to store: its own write that landed, or an
 * equal one of another, which is as good. */
static bool is_landed(const struct change *change, const struct conversion *stored)
{
    if (!change->was_unknown || stored->version != change->record->version + 1)
        return false;
    struct conversion landed = change->next;
    landed.version = stored->version;
    return is_same(&landed, stored);
}

enum step { STEP_DECIDE, STEP_WRITE, STEP_READ, STEP_END };

static enum step end(enum record_outcome outcome, enum record_outcome *out_outcome)
{
    *out_outcome = outcome;
    return STEP_END;
}

static enum step decide(struct change *change, enum record_outcome *out_outcome,
                        struct error *error)
{
    int64_t now_ms;
    if (!record_store_now(change->store, &now_ms, error))
        return end(RECORD_UNKNOWN, out_outcome);
    if (!change->decide(change->context, change->record, now_ms, &change->next))
        return end(RECORD_REFUSED, out_outcome);
    change->is_unknown = false;
    change->was_unknown = false;
    return STEP_WRITE;
}

static enum step write(struct change *change, enum record_outcome *out_outcome, struct error *error)
{
    struct conversion written = change->next;
    struct error failure = {0};
    if (record_store_update(change->store, &written, &failure)) {
        *change->record = written;
        return end(RECORD_WRITTEN, out_outcome);
    }
    if (failure.kind == ERROR_CONFLICT && ++change->conflicts <= CONFLICTS_MAX) {
        change->is_unknown = false; /* a later version is stored: it landed, or never can */
        return STEP_READ;
    }
    report(error, &failure);
    if (!is_passing(&failure))
        return end(RECORD_UNKNOWN, out_outcome);
    change->is_unknown = change->was_unknown = true;
    return wait_for_retry(change) ? STEP_READ : end(RECORD_UNKNOWN, out_outcome);
}

static enum step read(struct change *change, enum record_outcome *out_outcome, struct error *error)
{
    struct conversion stored;
    struct error failure = {0};
    if (!record_store_get(change->store, &change->record->id, &stored, &failure)) {
        if (failure.kind == ERROR_NOT_FOUND)
            return end(RECORD_ABSENT, out_outcome);
        report(error, &failure);
        bool is_worth_waiting = is_passing(&failure) && change->was_unknown;
        return is_worth_waiting && wait_for_retry(change) ? STEP_READ
                                                          : end(RECORD_UNKNOWN, out_outcome);
    }
    /* The write may still be on its way: the very same once more, not another. */
    if (change->is_unknown && stored.version == change->record->version)
        return STEP_WRITE;
    bool landed = is_landed(change, &stored);
    *change->record = stored;
    return landed ? end(RECORD_WRITTEN, out_outcome) : STEP_DECIDE;
}

static enum record_outcome run(struct change *change, enum step step, struct error *error)
{
    enum record_outcome outcome = RECORD_UNKNOWN;
    while (step != STEP_END) {
        switch (step) {
        case STEP_DECIDE:
            step = decide(change, &outcome, error);
            break;
        case STEP_WRITE:
            step = write(change, &outcome, error);
            break;
        case STEP_READ:
            step = read(change, &outcome, error);
            break;
        case STEP_END:
            break;
        }
    }
    return outcome;
}

static struct change change_begin(struct record_store *store, struct conversion *record,
                                  record_decision *decision, void *context, int64_t timeout_ms)
{
    return (struct change){
        .store = store,
        .decide = decision,
        .context = context,
        .record = record,
        .give_up_at_boot_ms = clock_boot_ms() + timeout_ms,
        .retry_ms = RETRY_FIRST_MS,
    };
}

enum record_outcome records_change(struct record_store *store, const struct id *id,
                                   record_decision *decision, void *context, int64_t timeout_ms,
                                   struct conversion *out_record, struct error *error)
{
    struct conversion record = {.id = *id};
    struct change change = change_begin(store, &record, decision, context, timeout_ms);
    enum record_outcome outcome = run(&change, STEP_READ, error);
    if (outcome != RECORD_ABSENT && outcome != RECORD_UNKNOWN)
        *out_record = record;
    return outcome;
}

enum record_outcome records_change_read(struct record_store *store, struct conversion *record,
                                        record_decision *decision, void *context,
                                        int64_t timeout_ms, struct error *error)
{
    struct change change = change_begin(store, record, decision, context, timeout_ms);
    return run(&change, STEP_DECIDE, error);
}

/* ---- Looks ---- */

struct look {
    struct record_store *store;
    enum conversion_role role;
    look_action *act;
    void *context;
    struct conversion *records; /* owned; LOOK_COUNT_MAX of them */
    size_t count;
    int64_t read_at_boot_ms;
};

/* What a reading found, to tell whether the next finds anything else. */
struct look_findings {
    size_t count;
    struct {
        struct id id;
        int64_t version;
    } each[LOOK_COUNT_MAX];
};

static bool read_due(struct look *look, struct error *error)
{
    int64_t now_ms;
    look->count = 0;
    look->read_at_boot_ms = clock_boot_ms();
    return record_store_now(look->store, &now_ms, error) &&
           record_store_due(look->store, look->role, now_ms, LOOK_COUNT_MAX, look->records,
                            &look->count, error);
}

/* True where the reading found something other than the one before, which it replaces. */
static bool is_new(const struct look *look, struct look_findings *findings)
{
    bool differs = findings->count != look->count;
    for (size_t i = 0; i < look->count; i++) {
        const struct conversion *record = &look->records[i];
        differs = differs || !id_is_equal(&findings->each[i].id, &record->id) ||
                  findings->each[i].version != record->version;
        findings->each[i].id = record->id;
        findings->each[i].version = record->version;
    }
    findings->count = look->count;
    return differs;
}

static enum look_verdict act_on_read(struct look *look)
{
    unsigned start;
    random_fill(&start, sizeof start);
    for (size_t i = 0; i < look->count; i++) {
        if (i > 0 && clock_boot_ms() - look->read_at_boot_ms > LOOK_FRESH_MS)
            break;
        if (look->act(look->context, &look->records[(start + i) % look->count]) == LOOK_STOP)
            return LOOK_STOP;
    }
    return LOOK_GO_ON;
}

bool records_look(struct record_store *store, enum conversion_role role, look_action *act,
                  void *context, struct error *error)
{
    struct look look = {
        .store = store,
        .role = role,
        .act = act,
        .context = context,
        .records = calloc(LOOK_COUNT_MAX, sizeof *look.records),
    };
    if (look.records == NULL)
        abort();
    struct look_findings findings = {0};
    /* Records that stay as they are, whatever is done, would be read for ever. */
    bool is_read = read_due(&look, error);
    while (is_read && look.count != 0 && is_new(&look, &findings) &&
           act_on_read(&look) == LOOK_GO_ON)
        is_read = read_due(&look, error);
    free(look.records);
    return is_read;
}

bool records_overdue_seconds(struct record_store *store, enum conversion_role role,
                             double *out_seconds, struct error *error)
{
    int64_t now_ms;
    size_t count;
    struct conversion oldest;
    if (!record_store_now(store, &now_ms, error) ||
        !record_store_due(store, role, now_ms, 1, &oldest, &count, error))
        return false;
    *out_seconds = count == 0 ? 0 : (double)(now_ms - oldest.due_at_ms) / 1000;
    return true;
}
