/* A cleaner's thread on a record and a blob store that are scripts: in which order things go, and
 * what it does where one of them cannot go. */

#include "services/common/cleaner.h"

#include "base/clock.h"
#include "stores/blob_store/blob_store.h"
#include "stores/record_store/record_store.h"
#include "support/cmocka_all.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RECORDS_MAX 4

static struct {
    pthread_mutex_t lock;

    /* Guarded by lock. */
    struct conversion records[RECORDS_MAX]; /* version 0: it is gone */
    size_t record_count;
    struct id stuck;   /* a blob of this id cannot be removed */
    char events[4096]; /* "remove video 1|note 1|", in order */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static long number_of(const struct id *id)
{
    return (long)(id->text[23] - '0');
}

static void note(const char *event, const struct id *id)
{
    size_t used = strlen(world.events);
    snprintf(world.events + used, sizeof world.events - used, "%s %ld|", event, number_of(id));
}

/* ---- The blobs ---- */

bool blob_store_open(const struct config *config, struct blob_store **out_store,
                     struct error *error)
{
    (void)config;
    (void)error;
    *out_store = (struct blob_store *)&world;
    return true;
}

void blob_store_close(struct blob_store *store)
{
    (void)store;
}

bool blob_store_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                       struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    bool is_stuck = id_is_equal(id, &world.stuck);
    if (kind == BLOB_VIDEO && !is_stuck)
        note("remove video", id);
    for (size_t i = 0; kind == BLOB_MP3 && i < world.record_count; i++) {
        struct id first = conversion_mp3_id(&world.records[i].id, 1);
        if (id_is_equal(id, &first))
            note("remove first mp3", &world.records[i].id);
    }
    pthread_mutex_unlock(&world.lock);
    return !is_stuck || error_set(error, ERROR_UNAVAILABLE, "the disk does not let go");
}

/* ---- The records ---- */

bool record_store_open(const struct config *config, struct record_store **out_store,
                       struct error *error)
{
    (void)config;
    (void)error;
    *out_store = (struct record_store *)&world;
    return true;
}

void record_store_close(struct record_store *store)
{
    (void)store;
}

bool record_store_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)store;
    (void)error;
    *out_now_ms = clock_wall_ms();
    return true;
}

static struct conversion *find(const struct id *id)
{
    for (size_t i = 0; i < world.record_count; i++)
        if (world.records[i].version != 0 && id_is_equal(&world.records[i].id, id))
            return &world.records[i];
    return NULL;
}

bool record_store_get(struct record_store *store, const struct id *id,
                      struct conversion *out_record, struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    struct conversion *found = find(id);
    if (found != NULL)
        *out_record = *found;
    pthread_mutex_unlock(&world.lock);
    return found != NULL || error_set(error, ERROR_NOT_FOUND, "no such record");
}

static bool is_at(const struct conversion *found, int64_t version, struct error *error)
{
    return (found != NULL && found->version == version) ||
           error_set(error, ERROR_CONFLICT, "another version");
}

bool record_store_update(struct record_store *store, struct conversion *record, struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    struct conversion *found = find(&record->id);
    bool is_written = is_at(found, record->version, error);
    if (is_written) {
        record->version++;
        *found = *record;
        note("note", &record->id);
    }
    pthread_mutex_unlock(&world.lock);
    return is_written;
}

bool record_store_remove(struct record_store *store, const struct id *id, int64_t version,
                         struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    struct conversion *found = find(id);
    bool is_removed = is_at(found, version, error);
    if (is_removed) {
        found->version = 0;
        note("gone", id);
    }
    pthread_mutex_unlock(&world.lock);
    return is_removed;
}

bool record_store_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                      size_t limit, struct conversion *out_records, size_t *out_count,
                      struct error *error)
{
    (void)store;
    (void)error;
    pthread_mutex_lock(&world.lock);
    size_t count = 0;
    for (size_t i = 0; i < world.record_count && count < limit; i++)
        if (world.records[i].version != 0 && conversion_is_due(&world.records[i], role, now_ms))
            out_records[count++] = world.records[i];
    *out_count = count;
    pthread_mutex_unlock(&world.lock);
    return true;
}

/* ---- The scene ---- */

static const struct policy policy = {
    .conversion =
        {
            .lease_ms = 100,
            .grace_ms = 100,
            .notice_age_max_ms = 1000,
            .mp3_retention_ms = CLOCK_DAY_MS,
            .video_retention_ms = CLOCK_HOUR_MS,
        },
    .look_interval_ms = 20,
};

static int set_up(void **state)
{
    (void)state;
    world.record_count = 0;
    world.stuck = (struct id){""};
    world.events[0] = '\0';
    return 0;
}

/* Due for the cleaner, taken once. */
static struct conversion *put(int number, enum conversion_state state)
{
    struct conversion *record = &world.records[world.record_count++];
    *record = (struct conversion){
        .version = 1,
        .state = state,
        .claim = 1,
        .due_for = CONVERSION_DUE_CLEAN,
        .ended_at_ms = clock_wall_ms(),
        .expires_at_ms = clock_wall_ms() + CLOCK_DAY_MS,
    };
    snprintf(record->id.text, sizeof record->id.text, "%024d", number);
    return record;
}

/* Until the events are so many, or 30 s have passed; a moment more for what must not come. */
static void expect(const char *expected)
{
    struct cleaner *cleaner = NULL;
    assert_true(cleaner_open(NULL, &policy, &cleaner, NULL));
    int64_t end_ms = clock_boot_ms() + 30000;
    bool is_there = false;
    while (!is_there && clock_boot_ms() < end_ms) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        pthread_mutex_lock(&world.lock);
        is_there = strlen(world.events) >= strlen(expected);
        pthread_mutex_unlock(&world.lock);
    }
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
    cleaner_close(cleaner);
    assert_string_equal(world.events, expected);
}

static void what_is_deleted_goes_twice_before_its_record(void **state)
{
    (void)state;
    put(1, CONVERSION_DELETING);
    expect("remove first mp3 1|remove video 1|note 1|"
           "remove first mp3 1|remove video 1|gone 1|");
}

static void what_cannot_be_removed_keeps_its_record_and_nobody_else(void **state)
{
    (void)state;
    struct conversion *stuck = put(1, CONVERSION_DELETING);
    stuck->sweeps = 1;
    world.stuck = stuck->id;
    int64_t begin_ms = clock_wall_ms();
    expect("remove first mp3 1|note 1|");
    assert_int_equal(stuck->sweeps, 1);
    assert_int_equal(stuck->clean_failures, 1);
    assert_true(stuck->due_at_ms >= begin_ms + CLOCK_MINUTE_MS);
    struct conversion *other = put(2, CONVERSION_DELETING);
    other->sweeps = 1;
    world.events[0] = '\0';
    expect("remove first mp3 2|remove video 2|gone 2|");
}

static void the_published_mp3_and_a_young_video_stay(void **state)
{
    (void)state;
    struct conversion *record = put(1, CONVERSION_DONE);
    record->mp3.id = conversion_mp3_id(&record->id, 1);
    expect("note 1|");
    assert_int_equal(record->due_at_ms, record->ended_at_ms + CLOCK_HOUR_MS);
}

static void a_cancelled_video_goes_at_once_but_not_a_foreign_one(void **state)
{
    (void)state;
    put(1, CONVERSION_CANCELLED);
    expect("remove first mp3 1|remove video 1|note 1|");
    world.events[0] = '\0';
    put(2, CONVERSION_CANCELLED)->foreign = CONVERSION_FOREIGN_VIDEO;
    expect("remove first mp3 2|note 2|");
}

static void a_notice_that_nobody_sends_is_given_up(void **state)
{
    (void)state;
    struct conversion *record = put(1, CONVERSION_FAILED);
    record->notice.state = CONVERSION_NOTICE_PENDING;
    record->due_for = CONVERSION_DUE_NOTIFY;
    expect(""); /* a notifier may yet come */
    record->ended_at_ms -= 2 * policy.conversion.notice_age_max_ms;
    expect("note 1|remove first mp3 1|note 1|");
    assert_int_equal(record->notice.state, CONVERSION_NOTICE_FAILED);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_deleted_goes_twice_before_its_record),
        TEST(what_cannot_be_removed_keeps_its_record_and_nobody_else),
        TEST(the_published_mp3_and_a_young_video_stay),
        TEST(a_cancelled_video_goes_at_once_but_not_a_foreign_one),
        TEST(a_notice_that_nobody_sends_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
