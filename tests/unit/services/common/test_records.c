/* Every change of a record goes through records_change(): what becomes of it where the store is
 * slow, silent, late or busy. The store is a script of answers, since no real one can be made to
 * apply a write after it has denied it. */

#include "services/common/records.h"

#include "base/clock.h"
#include "support/cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 40
#define ANSWERS_MAX 16

enum answer {
    ANSWER_OK,
    ANSWER_SILENT_LOST, /* "unavailable", and it never lands */
    ANSWER_SILENT_DONE, /* "unavailable", but it has landed */
    ANSWER_SILENT_LATE, /* "unavailable"; it lands when the next write is tried */
    ANSWER_OVERTAKEN,   /* another writer was first: conflict */
    ANSWER_DONE_AND_CHANGED_SINCE,
    ANSWER_BROKEN, /* not a matter of time */
};

struct record_store {
    struct conversion records[RECORDS_MAX];
    size_t count;
    int64_t now_ms;
    enum answer answers[ANSWERS_MAX]; /* of updates, one after another; then all are fine */
    size_t update_count;
    size_t failing_gets;
    bool is_due_failing;
    size_t due_count;
    struct conversion late;
    bool has_late;
};

bool record_store_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)error;
    *out_now_ms = store->now_ms;
    return true;
}

static struct conversion *find(struct record_store *store, const struct id *id)
{
    for (size_t i = 0; i < store->count; i++) {
        if (id_is_equal(&store->records[i].id, id))
            return &store->records[i];
    }
    return NULL;
}

bool record_store_get(struct record_store *store, const struct id *id,
                      struct conversion *out_record, struct error *error)
{
    if (store->failing_gets > 0) {
        store->failing_gets--;
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    }
    struct conversion *found = find(store, id);
    if (found == NULL)
        return error_set(error, ERROR_NOT_FOUND, "no such record");
    *out_record = *found;
    return true;
}

static bool apply(struct record_store *store, struct conversion *record, struct error *error)
{
    struct conversion *found = find(store, &record->id);
    if (found == NULL || found->version != record->version)
        return error_set(error, ERROR_CONFLICT, "another version");
    record->version++;
    *found = *record;
    /* What is written as text comes back with so many digits. */
    char progress[32];
    snprintf(progress, sizeof progress, "%.15g", record->progress);
    found->progress = strtod(progress, NULL);
    return true;
}

static void change_behind(struct record_store *store, const struct id *id)
{
    struct conversion *found = find(store, id);
    if (found == NULL)
        abort();
    found->version++;
    found->received_bytes += 1000;
}

bool record_store_update(struct record_store *store, struct conversion *record, struct error *error)
{
    if (store->has_late)
        ignore_failure(apply(store, &store->late, NULL));
    store->has_late = false;
    enum answer answer =
        store->update_count < ANSWERS_MAX ? store->answers[store->update_count] : ANSWER_OK;
    store->update_count++;
    struct conversion copy = *record;
    switch (answer) {
    case ANSWER_SILENT_DONE:
        ignore_failure(apply(store, &copy, NULL));
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    case ANSWER_DONE_AND_CHANGED_SINCE:
        ignore_failure(apply(store, &copy, NULL));
        change_behind(store, &record->id);
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    case ANSWER_SILENT_LATE:
        store->late = copy;
        store->has_late = true;
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    case ANSWER_SILENT_LOST:
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    case ANSWER_OVERTAKEN:
        change_behind(store, &record->id);
        break;
    case ANSWER_BROKEN:
        return error_set(error, ERROR_INTERNAL, "this cannot be stored");
    case ANSWER_OK:
        break;
    }
    return apply(store, record, error);
}

bool record_store_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                      size_t limit, struct conversion *out_records, size_t *out_count,
                      struct error *error)
{
    store->due_count++;
    if (store->is_due_failing)
        return error_set(error, ERROR_UNAVAILABLE, "no answer");
    *out_count = 0;
    for (size_t i = 0; i < store->count && *out_count < limit; i++) {
        if (conversion_is_due(&store->records[i], role, now_ms))
            out_records[(*out_count)++] = store->records[i];
    }
    return true;
}

/* ---- Changes ---- */

static void put(struct record_store *store, int64_t due_at_ms)
{
    store->now_ms = 1000000;
    struct conversion *record = &store->records[store->count++];
    *record = (struct conversion){
        .id = id_make(),
        .version = 7,
        .due_for = CONVERSION_DUE_CONVERT,
        .due_at_ms = due_at_ms,
    };
}

struct decision {
    int count;
    bool is_refused;
    int64_t received_seen;
};

/* Each decision adds one, so that one that was stored twice would show. */
static bool count_attempt(void *context, const struct conversion *record, int64_t now_ms,
                          struct conversion *out_next)
{
    struct decision *decision = context;
    decision->count++;
    decision->received_seen = record->received_bytes;
    if (decision->is_refused)
        return false;
    *out_next = *record;
    out_next->attempts++;
    out_next->changed_at_ms = now_ms;
    return true;
}

static enum record_outcome change(struct record_store *store, struct decision *decision,
                                  int64_t timeout_ms, struct conversion *out_record,
                                  struct error *error)
{
    return records_change(store, &store->records[0].id, count_attempt, decision, timeout_ms,
                          out_record, error);
}

static void a_change_is_read_decided_and_written(void **state)
{
    (void)state;
    struct record_store store = {0};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 0, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(record.version, 8);
    assert_int_equal(record.attempts, 1);
    assert_int_equal(store.records[0].attempts, 1);
    assert_int_equal(decision.count, 1);
}

static void a_conflict_is_read_and_decided_again(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_OVERTAKEN, ANSWER_OVERTAKEN}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 0, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(decision.count, 3);
    assert_int_equal(decision.received_seen, 2000);
    assert_int_equal(record.received_bytes, 2000);
    assert_int_equal(record.attempts, 1);
}

static void a_refusal_shows_the_record_as_read(void **state)
{
    (void)state;
    struct record_store store = {0};
    put(&store, 0);
    struct decision decision = {.is_refused = true};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 0, &record, NULL), RECORD_REFUSED);
    assert_int_equal(record.version, 7);
    assert_int_equal(store.update_count, 0);
}

static void a_record_that_is_gone_is_absent(void **state)
{
    (void)state;
    struct record_store store = {0};
    struct id id = id_make();
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(records_change(&store, &id, count_attempt, &decision, 0, &record, NULL),
                     RECORD_ABSENT);
    assert_int_equal(decision.count, 0);
}

static void a_write_that_landed_unanswered_is_not_repeated(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_SILENT_DONE}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 2000, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(record.version, 8);
    assert_int_equal(store.records[0].attempts, 1);
    assert_int_equal(store.update_count, 1);
}

static void a_write_that_landed_unanswered_is_known_by_what_a_store_keeps(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_SILENT_DONE}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record = store.records[0];
    record.progress = 1.0 / 3;
    assert_int_equal(records_change_read(&store, &record, count_attempt, &decision, 2000, NULL),
                     RECORD_WRITTEN);
    assert_int_equal(decision.count, 1);
    assert_int_equal(record.attempts, 1);
}

static void a_write_that_was_lost_is_repeated_as_it_was(void **state)
{
    (void)state;
    struct record_store store = {
        .answers = {ANSWER_SILENT_LOST, ANSWER_SILENT_LOST, ANSWER_SILENT_LOST},
    };
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 2000, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(decision.count, 1);
    assert_int_equal(store.update_count, 4);
    assert_int_equal(record.attempts, 1);
}

static void a_write_that_lands_late_counts_once(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_SILENT_LATE, ANSWER_OK}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 2000, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(decision.count, 1);
    assert_int_equal(store.records[0].attempts, 1);
    assert_int_equal(store.records[0].version, 8);
}

static void a_write_that_landed_and_was_built_upon_is_decided_again(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_DONE_AND_CHANGED_SINCE}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    assert_int_equal(change(&store, &decision, 2000, &record, NULL), RECORD_WRITTEN);
    assert_int_equal(decision.count, 2);
    assert_int_equal(decision.received_seen, 1000);
}

static void a_store_that_stays_silent_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    struct record_store store = {0};
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        store.answers[i] = ANSWER_SILENT_LOST;
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record = store.records[0];
    struct error error = {0};
    int64_t begin_ms = clock_boot_ms();
    assert_int_equal(records_change_read(&store, &record, count_attempt, &decision, 150, &error),
                     RECORD_UNKNOWN);
    assert_in_range(clock_boot_ms() - begin_ms, 140, 1500);
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_int_equal(record.version, 7);
    assert_int_equal(decision.count, 1);
}

static void reads_that_fail_while_the_outcome_is_unknown_are_repeated(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_SILENT_DONE}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record = store.records[0];
    store.failing_gets = 3;
    assert_int_equal(records_change_read(&store, &record, count_attempt, &decision, 2000, NULL),
                     RECORD_WRITTEN);
    assert_int_equal(store.update_count, 1);
    assert_int_equal(record.version, 8);
}

static void a_store_that_cannot_be_read_is_told_at_once(void **state)
{
    (void)state;
    struct record_store store = {.failing_gets = 1};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    struct error error = {0};
    int64_t begin_ms = clock_boot_ms();
    assert_int_equal(change(&store, &decision, 60000, &record, &error), RECORD_UNKNOWN);
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_in_range(clock_boot_ms() - begin_ms, 0, 5000);
}

static void what_can_never_be_stored_is_not_repeated(void **state)
{
    (void)state;
    struct record_store store = {.answers = {ANSWER_BROKEN}};
    put(&store, 0);
    struct decision decision = {0};
    struct conversion record;
    struct error error = {0};
    assert_int_equal(change(&store, &decision, 60000, &record, &error), RECORD_UNKNOWN);
    assert_int_equal(error.kind, ERROR_INTERNAL);
    assert_int_equal(store.update_count, 1);
}

/* ---- Looks ---- */

struct seen {
    struct record_store *store;
    size_t count;
    size_t stop_after; /* 0: never */
    bool leaves_alone;
};

static bool postpone(void *context, const struct conversion *record, int64_t now_ms,
                     struct conversion *out_next)
{
    (void)context;
    *out_next = *record;
    out_next->due_at_ms = now_ms + 60000;
    return true;
}

static enum look_verdict see(void *context, struct conversion *record)
{
    struct seen *seen = context;
    seen->count++;
    if (!seen->leaves_alone) {
        enum record_outcome outcome =
            records_change_read(seen->store, record, postpone, NULL, 0, NULL);
        assert_int_equal(outcome, RECORD_WRITTEN);
    }
    return seen->count == seen->stop_after ? LOOK_STOP : LOOK_GO_ON;
}

static void a_look_goes_on_until_nothing_is_overdue(void **state)
{
    (void)state;
    struct record_store store = {0};
    for (int i = 0; i < RECORDS_MAX; i++)
        put(&store, 5);
    store.records[3].due_at_ms = store.now_ms + 1;
    struct seen seen = {.store = &store};
    assert_true(records_look(&store, CONVERSION_DUE_CONVERT, see, &seen, NULL));
    assert_int_equal(seen.count, RECORDS_MAX - 1);
    double seconds = -1;
    assert_true(records_overdue_seconds(&store, CONVERSION_DUE_CONVERT, &seconds, NULL));
    assert_true(seconds == 0);
}

static void a_look_stops_where_it_is_told_to(void **state)
{
    (void)state;
    struct record_store store = {0};
    for (int i = 0; i < 5; i++)
        put(&store, 5);
    struct seen seen = {.store = &store, .stop_after = 2};
    assert_true(records_look(&store, CONVERSION_DUE_CONVERT, see, &seen, NULL));
    assert_int_equal(seen.count, 2);
}

static void a_look_leaves_records_that_do_not_move(void **state)
{
    (void)state;
    struct record_store store = {0};
    for (int i = 0; i < 5; i++)
        put(&store, 5);
    struct seen seen = {.store = &store, .leaves_alone = true};
    assert_true(records_look(&store, CONVERSION_DUE_CONVERT, see, &seen, NULL));
    assert_int_equal(seen.count, 5);
    assert_int_equal(store.due_count, 2);
}

static void a_look_says_when_the_store_is_silent(void **state)
{
    (void)state;
    struct record_store store = {.is_due_failing = true};
    put(&store, 5);
    struct seen seen = {.store = &store};
    struct error error = {0};
    assert_false(records_look(&store, CONVERSION_DUE_CONVERT, see, &seen, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_int_equal(seen.count, 0);
}

static void overdue_is_the_age_of_the_oldest(void **state)
{
    (void)state;
    struct record_store store = {0};
    put(&store, 1000000 - 90500);
    put(&store, 1000000 - 500);
    double seconds = 0;
    assert_true(records_overdue_seconds(&store, CONVERSION_DUE_CONVERT, &seconds, NULL));
    assert_true(seconds > 90.4 && seconds < 90.6);
    assert_true(records_overdue_seconds(&store, CONVERSION_DUE_NOTIFY, &seconds, NULL));
    assert_true(seconds == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_read_decided_and_written),
        cmocka_unit_test(a_conflict_is_read_and_decided_again),
        cmocka_unit_test(a_refusal_shows_the_record_as_read),
        cmocka_unit_test(a_record_that_is_gone_is_absent),
        cmocka_unit_test(a_write_that_landed_unanswered_is_not_repeated),
        cmocka_unit_test(a_write_that_landed_unanswered_is_known_by_what_a_store_keeps),
        cmocka_unit_test(a_write_that_was_lost_is_repeated_as_it_was),
        cmocka_unit_test(a_write_that_lands_late_counts_once),
        cmocka_unit_test(a_write_that_landed_and_was_built_upon_is_decided_again),
        cmocka_unit_test(a_store_that_stays_silent_leaves_the_outcome_unknown),
        cmocka_unit_test(reads_that_fail_while_the_outcome_is_unknown_are_repeated),
        cmocka_unit_test(a_store_that_cannot_be_read_is_told_at_once),
        cmocka_unit_test(what_can_never_be_stored_is_not_repeated),
        cmocka_unit_test(a_look_goes_on_until_nothing_is_overdue),
        cmocka_unit_test(a_look_stops_where_it_is_told_to),
        cmocka_unit_test(a_look_leaves_records_that_do_not_move),
        cmocka_unit_test(a_look_says_when_the_store_is_silent),
        cmocka_unit_test(overdue_is_the_age_of_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
