#include "stores/record_store/record_store.h"

#include "contract.h"
#include "model/failure.h"
#include "record_rows.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *backend_name;
static struct contract contract;

static int set_up(void **state)
{
    (void)state;
    contract_init(&contract, "stores.records", backend_name);
    struct error error = {0};
    if (!record_store_migrate(contract.config, &error))
        fail_msg("%s", error.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    contract_finish(&contract);
    return 0;
}

static const struct id other_owner = {"ffffffffffffffff00000000"};

static struct record_store *open_store(void)
{
    struct error error = {0};
    struct record_store *store = NULL;
    if (!record_store_open(contract.config, &store, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return store;
}

static struct conversion insert(struct record_store *store, enum record_stage stage)
{
    struct error error = {0};
    struct conversion record = record_make(stage);
    if (!record_store_insert(store, &record, &error))
        fail_msg("%s", error.text);
    return record;
}

static void assert_same(const struct conversion *a, const struct conversion *b)
{
    assert_string_equal(a->id.text, b->id.text);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->state, b->state);
    assert_string_equal(a->owner.id.text, b->owner.id.text);
    assert_string_equal(a->owner.email, b->owner.email);
    assert_string_equal(a->request_key, b->request_key);
    assert_string_equal(a->video.name, b->video.name);
    assert_int_equal(a->video.size_bytes, b->video.size_bytes);
    assert_int_equal(a->due_for, b->due_for);
    assert_int_equal(a->due_at_ms, b->due_at_ms);
    assert_int_equal(a->claim, b->claim);
    assert_string_equal(a->holder.text, b->holder.text);
    assert_string_equal(a->mp3.id.text, b->mp3.id.text);
    assert_true(a->mp3.duration_seconds == b->mp3.duration_seconds);
    assert_true(conversion_options_is_equal(&a->options, &b->options));
    assert_int_equal(a->notice.state, b->notice.state);
}

static void a_record_comes_back_as_it_was_written(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    for (int stage = STAGE_UPLOADING; stage <= STAGE_SWEPT; stage++) {
        struct conversion written = insert(store, (enum record_stage)stage);
        struct conversion read;
        assert_true(record_store_get(store, &written.id, &read, &error));
        assert_same(&written, &read);
    }
}

static void an_unknown_record_is_not_found(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion untouched = {.version = 77};
    struct id unknown = id_make();
    struct id none = {""};
    struct error error = {0};
    assert_false(record_store_get(store, &unknown, &untouched, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    error.kind = ERROR_NONE;
    assert_false(record_store_get_by_mp3(store, &unknown, &untouched, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    error.kind = ERROR_NONE;
    insert(store, STAGE_QUEUED); /* has no MP3 either */
    assert_false(record_store_get_by_mp3(store, &none, &untouched, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    error.kind = ERROR_NONE;
    assert_false(
        record_store_get_by_key(store, &record_owner, "no' OR '1'='1", &untouched, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_int_equal(untouched.version, 77);
}

static void a_record_is_found_by_its_mp3_and_by_its_request_key(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion done = insert(store, STAGE_DONE);
    struct conversion uploading = record_make(STAGE_UPLOADING);
    struct conversion found;
    snprintf(uploading.request_key, sizeof uploading.request_key, "a key \"with' marks");
    assert_true(record_store_insert(store, &uploading, &error));
    assert_true(record_store_get_by_mp3(store, &done.mp3.id, &found, &error));
    assert_string_equal(found.id.text, done.id.text);
    assert_true(
        record_store_get_by_key(store, &record_owner, uploading.request_key, &found, &error));
    assert_string_equal(found.id.text, uploading.id.text);
    assert_false(
        record_store_get_by_key(store, &other_owner, uploading.request_key, &found, &error));
}

static void an_id_or_a_request_key_is_taken_once(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion first = insert(store, STAGE_UPLOADING);
    struct conversion again = record_make(STAGE_UPLOADING);
    struct error error = {0};
    again.id = first.id;
    assert_false(record_store_insert(store, &again, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);

    again = record_make(STAGE_UPLOADING);
    memcpy(again.request_key, first.request_key, sizeof again.request_key);
    error.kind = ERROR_NONE;
    assert_false(record_store_insert(store, &again, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    again.owner.id = other_owner; /* the key is the owner's, not everybody's */
    assert_true(record_store_insert(store, &again, &error));
}

static void a_key_is_free_again_once_its_record_is_being_deleted(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion first = record_make(STAGE_UPLOADING);
    snprintf(first.request_key, sizeof first.request_key, "key");
    assert_true(record_store_insert(store, &first, &error));
    assert_true(conversion_delete(&first, &record_policy, RECORD_BEGUN_MS, &first));
    assert_true(record_store_update(store, &first, &error));
    struct conversion again = record_make(STAGE_UPLOADING);
    snprintf(again.request_key, sizeof again.request_key, "key");
    assert_true(record_store_insert(store, &again, &error));
}

static void what_makes_no_sense_is_never_stored(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = record_make(STAGE_DONE);
    struct conversion read;
    record.progress = -1;
    assert_false(record_store_insert(store, &record, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
    assert_false(record_store_get(store, &record.id, &read, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

static void an_update_needs_the_version_that_is_stored(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = insert(store, STAGE_QUEUED);
    struct conversion stale = record;
    struct conversion read;
    struct error error = {0};
    record.claim = 5;
    assert_true(record_store_update(store, &record, &error));
    assert_int_equal(record.version, 2);

    stale.claim = 9;
    assert_false(record_store_update(store, &stale, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_int_equal(stale.version, 1);
    stale.version = 3; /* from the future */
    error.kind = ERROR_NONE;
    assert_false(record_store_update(store, &stale, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_true(record_store_get(store, &record.id, &read, &error));
    assert_int_equal(read.claim, 5);
    assert_int_equal(read.version, 2);

    struct conversion absent = record_make(STAGE_QUEUED);
    error.kind = ERROR_NONE;
    assert_false(record_store_update(store, &absent, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_false(record_store_get(store, &absent.id, &read, &error));
}

static void a_removal_needs_the_version_that_is_stored(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = insert(store, STAGE_SWEPT);
    struct conversion read;
    struct error error = {0};
    assert_false(record_store_remove(store, &record.id, record.version + 1, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_true(record_store_get(store, &record.id, &read, &error));
    assert_true(record_store_remove(store, &record.id, record.version, &error));
    assert_false(record_store_get(store, &record.id, &read, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_false(record_store_remove(store, &record.id, record.version, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void many_are_read_at_once_and_the_missing_are_left_out(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct id ids[3] = {insert(store, STAGE_DONE).id, id_make(), insert(store, STAGE_QUEUED).id};
    struct conversion records[3];
    size_t count = 99;
    assert_true(record_store_get_many(store, ids, 3, records, &count, &error));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        assert_true(id_is_equal(&records[i].id, &ids[0]) || id_is_equal(&records[i].id, &ids[2]));
    assert_true(record_store_get_many(store, ids, 0, records, &count, &error));
    assert_int_equal(count, 0);
}

static void what_is_due_comes_oldest_first_and_only_to_its_role(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    const int64_t due_at_ms[] = {3000, 1000, 2000, 4000};
    for (size_t i = 0; i < ARRAY_COUNT(due_at_ms); i++) {
        struct conversion record = record_make(STAGE_QUEUED);
        record.due_at_ms = due_at_ms[i];
        assert_true(record_store_insert(store, &record, &error));
    }
    insert(store, STAGE_DELETING); /* due for clean */
    struct conversion records[8];
    size_t count = 0;
    assert_true(record_store_due(store, CONVERSION_DUE_CONVERT, 3000, 8, records, &count, &error));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(records[i].due_at_ms, (int64_t)(i + 1) * 1000);
    assert_true(record_store_due(store, CONVERSION_DUE_CONVERT, 9000, 2, records, &count, &error));
    assert_int_equal(count, 2);
    assert_int_equal(records[0].due_at_ms, 1000);
    assert_true(
        record_store_due(store, CONVERSION_DUE_NOTIFY, INT64_MAX, 8, records, &count, &error));
    assert_int_equal(count, 0);
    assert_true(
        record_store_due(store, CONVERSION_DUE_CLEAN, INT64_MAX, 8, records, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(records[0].state, CONVERSION_DELETING);
}

static size_t walk_list(struct record_store *store, struct record_filter filter, size_t page,
                        struct id *out_ids)
{
    struct error error = {0};
    struct conversion records[8];
    size_t total = 0;
    for (;;) {
        size_t count = 0;
        assert_true(record_store_list(store, &filter, page, records, &count, &error));
        for (size_t i = 0; i < count; i++)
            out_ids[total++] = records[i].id;
        if (count < page)
            return total;
        filter.before_id = records[count - 1].id;
    }
}

static void a_list_is_the_owners_newest_first_page_by_page(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct error error = {0};
    struct conversion foreign = record_make(STAGE_DONE);
    foreign.owner.id = other_owner;
    assert_true(record_store_insert(store, &foreign, &error));
    for (int i = 0; i < 9; i++)
        insert(store, i % 3 == 0 ? STAGE_DONE : STAGE_QUEUED);
    insert(store, STAGE_DELETING);

    struct id ids[16];
    struct record_filter filter = {.owner_id = record_owner};
    size_t total = walk_list(store, filter, 4, ids);
    assert_int_equal(total, 9);
    for (size_t i = 1; i < total; i++)
        assert_true(strcmp(ids[i - 1].text, ids[i].text) > 0);

    filter.has_state = true;
    filter.state = CONVERSION_DONE;
    total = walk_list(store, filter, 2, ids);
    assert_int_equal(total, 3);
    for (size_t i = 1; i < total; i++)
        assert_true(strcmp(ids[i - 1].text, ids[i].text) > 0);
    filter.state = CONVERSION_DELETING;
    assert_int_equal(walk_list(store, filter, 4, ids), 0);

    struct conversion records[1];
    size_t count = 0;
    filter.owner_id = (struct id){""};
    assert_false(record_store_list(store, &filter, 1, records, &count, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
}

static int64_t count_of(struct record_store *store, const struct record_filter *filter,
                        int64_t most)
{
    struct error error = {0};
    int64_t count = -1;
    assert_true(record_store_count(store, filter, most, &count, &error));
    return count;
}

static void a_count_filters_and_stops_at_its_most(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    for (int i = 0; i < 5; i++)
        insert(store, STAGE_QUEUED);
    insert(store, STAGE_DONE);
    insert(store, STAGE_DELETING);
    struct conversion foreign = record_make(STAGE_QUEUED);
    foreign.owner.id = other_owner;
    foreign.created_at_ms += 1000;
    assert_true(record_store_insert(store, &foreign, &error));

    struct record_filter filter = {.owner_id = record_owner};
    assert_int_equal(count_of(store, &filter, 100), 6);
    assert_int_equal(count_of(store, &filter, 4), 4);
    assert_int_equal(count_of(store, &filter, 0), 0);
    filter.has_state = true;
    filter.state = CONVERSION_QUEUED;
    assert_int_equal(count_of(store, &filter, 100), 5);
    assert_int_equal(count_of(store, &filter, 3), 3);
    filter.owner_id = (struct id){""};
    assert_int_equal(count_of(store, &filter, 100), 6);
    filter.since_ms = foreign.created_at_ms;
    assert_int_equal(count_of(store, &filter, 100), 1);
    filter.has_state = false;
    assert_int_equal(count_of(store, &filter, 100), 1);
    filter.owner_id = other_owner;
    assert_int_equal(count_of(store, &filter, 100), 1);
    filter.since_ms++;
    assert_int_equal(count_of(store, &filter, 100), 0);
    filter = (struct record_filter){.has_state = true, .state = CONVERSION_DELETING};
    assert_int_equal(count_of(store, &filter, 100), 0);
    filter.has_state = false;
    assert_int_equal(count_of(store, &filter, 100), 7);
}

static void stored_bytes_are_those_of_videos_and_mp3s_not_yet_removed(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    int64_t bytes = -1;
    assert_true(record_store_stored_bytes(store, &record_owner, INT64_MAX, &bytes, &error));
    assert_int_equal(bytes, 0);
    struct conversion done = insert(store, STAGE_DONE); /* 1000 and 500 */
    insert(store, STAGE_UPLOADING);                     /* declares 1000 */
    insert(store, STAGE_SWEPT);
    assert_true(record_store_stored_bytes(store, &record_owner, INT64_MAX, &bytes, &error));
    assert_int_equal(bytes, 2500);
    done.video.is_removed = true;
    assert_true(record_store_update(store, &done, &error));
    assert_true(record_store_stored_bytes(store, &record_owner, INT64_MAX, &bytes, &error));
    assert_int_equal(bytes, 1500);
    assert_true(record_store_stored_bytes(store, &record_owner, 10, &bytes, &error));
    assert_in_range(bytes, 11, 1500);
}

static void a_scan_sees_every_record_once_by_ascending_id(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    for (int i = 0; i < 7; i++)
        insert(store, i == 3 ? STAGE_DELETING : STAGE_DONE);
    struct id after = {""};
    size_t total = 0;
    for (;;) {
        struct conversion records[3];
        size_t count = 0;
        assert_true(record_store_scan(store, &after, 3, records, &count, &error));
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(after.text, records[i].id.text) < 0);
            after = records[i].id;
        }
        total += count;
        if (count < 3)
            break;
    }
    assert_int_equal(total, 7);
}

static void a_store_without_a_schema_is_unavailable_until_it_has_one(void **state)
{
    (void)state;
    char empty[FILE_PATH_SIZE];
    struct error error = {0};
    assert_true(file_path(empty, &error, "%s/empty", contract.folder));
    struct config *config = contract_config_in(&contract, empty);
    CLEANUP(record_store_closep) struct record_store *store = NULL;
    assert_true(record_store_open(config, &store, &error));
    assert_false(record_store_check(store, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_true(record_store_migrate(config, &error));
    assert_true(record_store_check(store, &error));
    insert(store, STAGE_QUEUED);
    assert_true(record_store_migrate(config, &error));
    assert_true(record_store_check(store, &error));
    struct record_filter filter = {0};
    assert_int_equal(count_of(store, &filter, 10), 1);
    record_store_close(store);
    store = NULL;
    config_close(config);
}

/* Rows side by side. */

struct row_race {
    struct record_store *stores[2];
    const struct record_row *rows[2];
    struct id id;
    bool is_applicable[2];
    bool has_won[2];
    enum error_kind kinds[2];
};

static void race_side(int side, void *context)
{
    struct row_race *race = context;
    const struct record_row *row = race->rows[side];
    struct record_store *store = race->stores[side];
    struct conversion record;
    struct conversion next;
    struct error error = {0};
    race->is_applicable[side] =
        record_store_get(store, &race->id, &record, &error) && row->apply(&record, &next);
    contract_meet();
    if (!race->is_applicable[side])
        return;
    race->has_won[side] = row->is_removal
                              ? record_store_remove(store, &race->id, record.version, &error)
                              : record_store_update(store, &next, &error);
    race->kinds[side] = error.kind;
}

static void race_rows(struct record_store *const stores[2], const struct record_row *one,
                      const struct record_row *other)
{
    struct row_race race = {.stores = {stores[0], stores[1]}, .rows = {one, other}};
    struct conversion before = insert(stores[0], one->stage);
    race.id = before.id;
    contract_race(race_side, &race);
    if (!race.is_applicable[0] || !race.is_applicable[1])
        fail_msg("%s against %s: not possible at this stage", one->name, other->name);
    if (race.has_won[0] == race.has_won[1])
        fail_msg("%s against %s: won by %s", one->name, other->name,
                 race.has_won[0] ? "both" : "neither");
    assert_int_equal(race.kinds[race.has_won[0] ? 1 : 0], ERROR_CONFLICT);

    const struct record_row *winner = race.has_won[0] ? one : other;
    struct conversion after;
    struct conversion expected;
    struct error error = {0};
    bool is_there = record_store_get(stores[0], &before.id, &after, &error);
    assert_int_equal(is_there, !winner->is_removal);
    if (!is_there)
        return;
    assert_true(winner->apply(&before, &expected));
    expected.version++;
    assert_same(&after, &expected);
}

static void of_two_rows_side_by_side_exactly_one_happens(void **state)
{
    (void)state;
    struct record_store *stores[2] = {open_store(), open_store()};
    size_t races = 0;
    for (size_t i = 0; i < record_row_count; i++) {
        for (size_t j = i; j < record_row_count; j++) {
            if (record_rows[i].stage != record_rows[j].stage)
                continue;
            race_rows(stores, &record_rows[i], &record_rows[j]);
            races++;
        }
    }
    print_message("# %zu races of two rows\n", races);
    record_store_close(stores[0]);
    record_store_close(stores[1]);
}

struct insert_race {
    struct record_store *stores[2];
    struct conversion records[2];
    bool has_won[2];
};

static void insert_side(int side, void *context)
{
    struct insert_race *race = context;
    struct error error = {0};
    contract_meet();
    race->has_won[side] = record_store_insert(race->stores[side], &race->records[side], &error);
}

static void of_two_inserts_with_one_id_or_one_key_exactly_one_happens(void **state)
{
    (void)state;
    struct insert_race race = {.stores = {open_store(), open_store()}};
    for (int i = 0; i < 20; i++) {
        race.records[0] = record_make(STAGE_UPLOADING);
        race.records[1] = record_make(STAGE_UPLOADING);
        if (i % 2 == 0)
            race.records[1].id = race.records[0].id;
        else
            memcpy(race.records[1].request_key, race.records[0].request_key,
                   sizeof race.records[1].request_key);
        contract_race(insert_side, &race);
        assert_true(race.has_won[0] != race.has_won[1]);
    }
    record_store_close(race.stores[0]);
    record_store_close(race.stores[1]);
}

#define COUNTING_PROCESSES 3
#define COUNTING_STEPS 30

/* Counts up in the record's claim, trying again on a conflict; writes what is stored to the pipe
 * after each. Ends by itself, or by a kill. */
static bool count_up(const struct id *id, int steps, int report_fd)
{
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    for (int i = 0; i < steps;) {
        struct conversion record;
        CONTRACT_CHECK(record_store_get(store, id, &record, &error));
        record.claim++;
        if (record_store_update(store, &record, &error)) {
            i++;
            CONTRACT_CHECK(write(report_fd, &record.claim, sizeof record.claim) ==
                           (ssize_t)sizeof record.claim);
        } else {
            CONTRACT_CHECK(error.kind == ERROR_CONFLICT);
        }
    }
    return true;
}

static pid_t start_counting(const struct id *id, int steps, int report_fd)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(count_up(id, steps, report_fd) ? 0 : 1);
    return pid;
}

static void processes_that_count_in_one_record_lose_no_step(void **state)
{
    (void)state;
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = insert(store, STAGE_QUEUED);
    record_store_close(store);
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_t pids[COUNTING_PROCESSES];
    for (int i = 0; i < COUNTING_PROCESSES; i++)
        pids[i] = start_counting(&record.id, COUNTING_STEPS, null_fd);
    for (int i = 0; i < COUNTING_PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    close(null_fd);
    struct error error = {0};
    store = open_store();
    assert_true(record_store_get(store, &record.id, &record, &error));
    assert_int_equal(record.claim, COUNTING_PROCESSES * COUNTING_STEPS);
    assert_int_equal(record.version, 1 + COUNTING_PROCESSES * COUNTING_STEPS);
}

static void what_a_killed_writer_was_told_is_stored_is_there(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = insert(store, STAGE_QUEUED);
    record_store_close(store);
    store = NULL;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start_counting(&record.id, INT32_MAX, ends[1]);
    close(ends[1]);
    int64_t told = 0;
    for (int64_t claim = 0; told < 25 && read(ends[0], &claim, sizeof claim) == sizeof claim;)
        told = claim;
    kill(pid, SIGKILL);
    for (int64_t claim = 0; read(ends[0], &claim, sizeof claim) == sizeof claim;)
        told = claim;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ends[0]);

    store = open_store();
    assert_true(record_store_get(store, &record.id, &record, &error));
    assert_in_range(record.claim, told, told + 1);
    assert_true(told >= 25);
    insert(store, STAGE_QUEUED);
}

static bool fill_disk(const struct config *config)
{
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = NULL;
    CONTRACT_CHECK(record_store_migrate(config, &error));
    CONTRACT_CHECK(record_store_open(config, &store, &error));
    int stored = 0;
    for (; stored < 5000; stored++) {
        struct conversion record = record_make(STAGE_QUEUED);
        if (!record_store_insert(store, &record, &error))
            break;
    }
    CONTRACT_CHECK(stored > 0 && stored < 5000);
    CONTRACT_CHECK(error.kind == ERROR_TOO_LARGE && error.failure == &FAILURE_DISK_FULL);
    struct record_filter filter = {0};
    int64_t count = 0;
    CONTRACT_CHECK(record_store_count(store, &filter, 10000, &count, &error));
    CONTRACT_CHECK(count == stored);
    CONTRACT_CHECK(contract_disk_grow());
    struct conversion record = record_make(STAGE_QUEUED);
    CONTRACT_CHECK(record_store_insert(store, &record, &error));
    CONTRACT_CHECK(record_store_count(store, &filter, 10000, &count, &error));
    CONTRACT_CHECK(count == stored + 1);
    return true;
}

static void a_full_disk_is_told_and_loses_nothing(void **state)
{
    (void)state;
    if (contract_has_server(&contract))
        return; /* the disk is the server's */
    assert_true(contract_on_small_disk(&contract, (size_t)600 * 1024, fill_disk));
}

static void a_backup_is_a_store_of_the_same_records(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *store = open_store();
    struct conversion record = insert(store, STAGE_DONE);
    char copy[FILE_PATH_SIZE];
    assert_true(file_path(copy, &error, "%s/copy", contract.folder));
    if (!record_store_backup(contract.config, copy, &error)) {
        assert_int_equal(error.kind, ERROR_BAD_INPUT); /* a server has tools of its own */
        return;
    }
    insert(store, STAGE_DONE); /* after it: not in the copy */
    struct config *config = contract_config_in(&contract, copy);
    struct record_store *copied = NULL;
    struct conversion read;
    struct record_filter filter = {0};
    assert_true(record_store_open(config, &copied, &error));
    assert_int_equal(count_of(copied, &filter, 10), 1);
    assert_true(record_store_get(copied, &record.id, &read, &error));
    assert_same(&record, &read);
    record_store_close(copied);
    config_close(config);
    assert_false(record_store_backup(contract.config, copy, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    backend_name = argc > 1 ? argv[1] : "sqlite";
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_as_it_was_written),
        TEST(an_unknown_record_is_not_found),
        TEST(a_record_is_found_by_its_mp3_and_by_its_request_key),
        TEST(an_id_or_a_request_key_is_taken_once),
        TEST(a_key_is_free_again_once_its_record_is_being_deleted),
        TEST(what_makes_no_sense_is_never_stored),
        TEST(an_update_needs_the_version_that_is_stored),
        TEST(a_removal_needs_the_version_that_is_stored),
        TEST(many_are_read_at_once_and_the_missing_are_left_out),
        TEST(what_is_due_comes_oldest_first_and_only_to_its_role),
        TEST(a_list_is_the_owners_newest_first_page_by_page),
        TEST(a_count_filters_and_stops_at_its_most),
        TEST(stored_bytes_are_those_of_videos_and_mp3s_not_yet_removed),
        TEST(a_scan_sees_every_record_once_by_ascending_id),
        TEST(a_store_without_a_schema_is_unavailable_until_it_has_one),
        TEST(of_two_rows_side_by_side_exactly_one_happens),
        TEST(of_two_inserts_with_one_id_or_one_key_exactly_one_happens),
        TEST(processes_that_count_in_one_record_lose_no_step),
        TEST(what_a_killed_writer_was_told_is_stored_is_there),
        TEST(a_full_disk_is_told_and_loses_nothing),
        TEST(a_backup_is_a_store_of_the_same_records),
    };
    return cmocka_run_group_tests_name("record_store", tests, NULL, NULL);
}
