/* How a job ends, and what becomes of its MP3: a worker, blobs and a record store that are scripts,
 * since no real ones can be made to fail at the one moment that matters. */

#include "services/converter/job.h"

#include "base/clock.h"
#include "support/cmocka_all.h"
#include <stdio.h>
#include <string.h>

#define VIDEO_SIZE 1000

static const struct id holder = {"aaaaaaaaaaaaaaaaaaaaaaaa"};

static struct {
    struct conversion stored;

    /* The worker: what it does, then how it ends. */
    bool reads, writes;
    enum worker_end end;
    const struct failure *failure;

    /* What the stores answer where they do not do as they are asked; ERROR_NONE: they do. */
    enum error_kind reader_open, read, write, finish;
    uint64_t video_size;

    /* How the end is written down. */
    enum { SETTLES, SETTLES_UNSEEN, STAYS_SILENT, IS_GONE } settling;
    bool is_cancelled_meanwhile;

    int mp3s_removed;
    bool is_finished;
} world;

/* ---- The stores ---- */

static bool answer(enum error_kind kind, struct error *error)
{
    return kind == ERROR_NONE || error_set(error, kind, "as it is told to");
}

bool blob_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                      struct blob_reader **out_reader, uint64_t *out_size,
                      struct blob_metadata *out_metadata, struct error *error)
{
    (void)store;
    assert_int_equal(kind, BLOB_VIDEO);
    assert_string_equal(id->text, world.stored.id.text);
    if (!answer(world.reader_open, error))
        return false;
    *out_reader = (struct blob_reader *)&world;
    *out_size = world.video_size;
    *out_metadata = (struct blob_metadata){0};
    return true;
}

bool blob_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes, size_t size,
                      size_t *out_size, struct error *error)
{
    (void)reader;
    (void)offset;
    if (!answer(world.read, error))
        return false;
    memset(out_bytes, 'v', size);
    *out_size = size;
    return true;
}

void blob_reader_close(struct blob_reader *reader)
{
    (void)reader;
}

static struct id mp3_of_claim(void)
{
    return conversion_mp3_id(&world.stored.id, 1);
}

bool blob_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                      int64_t generation, struct blob_writer **out_writer, struct error *error)
{
    (void)store;
    (void)generation;
    (void)error;
    struct id expected = mp3_of_claim();
    assert_int_equal(kind, BLOB_MP3);
    assert_string_equal(id->text, expected.text);
    *out_writer = (struct blob_writer *)&world;
    return true;
}

bool blob_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes, size_t size,
                       struct error *error)
{
    (void)writer;
    (void)offset;
    (void)bytes;
    (void)size;
    return answer(world.write, error);
}

bool blob_writer_finish(struct blob_writer *writer, uint64_t size,
                        const struct blob_metadata *metadata, struct error *error)
{
    (void)writer;
    (void)size;
    assert_string_equal(metadata->conversion_id.text, world.stored.id.text);
    world.is_finished = world.finish == ERROR_NONE;
    return answer(world.finish, error);
}

void blob_writer_close(struct blob_writer *writer)
{
    (void)writer;
}

bool blob_store_remove(struct blob_store *store, enum blob_kind kind, const struct id *id,
                       struct error *error)
{
    (void)store;
    (void)error;
    struct id expected = mp3_of_claim();
    assert_int_equal(kind, BLOB_MP3);
    assert_string_equal(id->text, expected.text);
    world.mp3s_removed++;
    return true;
}

/* ---- The records ---- */

static enum record_outcome change(struct conversion *record, record_decision *decide, void *context)
{
    struct conversion next;
    if (!decide(context, &world.stored, 2000000, &next)) {
        *record = world.stored;
        return RECORD_REFUSED;
    }
    next.version++;
    *record = world.stored = next;
    return RECORD_WRITTEN;
}

enum record_outcome records_change_read(struct record_store *store, struct conversion *record,
                                        record_decision *decide, void *context, int64_t timeout_ms,
                                        struct error *error)
{
    (void)store;
    (void)timeout_ms;
    (void)error;
    return change(record, decide, context);
}

enum record_outcome consumer_settle(struct consumer *consumer, struct conversion *record,
                                    record_decision *decide, void *context)
{
    (void)consumer;
    switch (world.settling) {
    case SETTLES:
        return change(record, decide, context);
    case SETTLES_UNSEEN: /* it landed, and then it was tried again */
        assert_int_equal(change(record, decide, context), RECORD_WRITTEN);
        return change(record, decide, context);
    case STAYS_SILENT:
        return RECORD_UNKNOWN;
    case IS_GONE:
        return RECORD_ABSENT;
    }
    return RECORD_UNKNOWN;
}

void consumer_note_outage(struct consumer *consumer)
{
    (void)consumer;
}

void consumer_rest_queue(struct consumer *consumer)
{
    (void)consumer;
}

/* ---- The worker ---- */

static bool use(const struct worker_callbacks *callbacks, struct error *error)
{
    char bytes[16];
    size_t size = 0;
    return (!world.reads ||
            callbacks->read_at(callbacks->context, 0, bytes, sizeof bytes, &size, error)) &&
           (!world.writes || callbacks->write_at(callbacks->context, 0, bytes, size, error));
}

enum worker_end worker_process_run(struct worker_process *process, const struct worker_job *job,
                                   const struct worker_callbacks *callbacks,
                                   struct worker_result *out_result, struct error *error)
{
    (void)process;
    assert_int_equal(job->input_size, VIDEO_SIZE);
    if (world.end == WORKER_NO_WORKER) {
        (void)error_set(error, ERROR_UNAVAILABLE, "no worker");
        return WORKER_NO_WORKER;
    }
    if (!use(callbacks, error))
        return WORKER_CALLBACK;
    if (world.is_cancelled_meanwhile) {
        world.stored.state = CONVERSION_CANCELLED;
        clock_advance_ms(CLOCK_MINUTE_MS); /* the lease is to be renewed */
    }
    const struct worker_progress progress = {.fraction = 0.5, .duration_seconds = 12};
    if (!callbacks->tick(callbacks->context, &progress, error))
        return WORKER_STOPPED;
    if (world.end == WORKER_DONE)
        *out_result = (struct worker_result){
            .size_bytes = 500, .duration_seconds = 12, .input_duration_seconds = 13};
    else
        (void)error_set_failure(error, ERROR_BAD_INPUT, world.failure, "as it is told to");
    return world.end;
}

/* ---- The scene ---- */

static const struct policy policy = {
    .conversion = {.lease_ms = 30000, .attempts_max = 2, .mp3_retention_ms = CLOCK_DAY_MS},
};

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.stored = (struct conversion){
        .id = {"66f0aabbccddeeff00112233"},
        .version = 3,
        .state = CONVERSION_CONVERTING,
        .claim = 1,
        .holder = holder,
        .video.size_bytes = VIDEO_SIZE,
    };
    world.video_size = VIDEO_SIZE;
    world.reads = world.writes = true;
    world.end = WORKER_DONE;
    return 0;
}

static struct job_report run(void)
{
    static const struct converter_settings settings = {.threads = 1};
    struct stop stop;
    assert_true(stop_open(&stop, NULL));
    const struct job_tools tools = {.settings = &settings, .policy = &policy, .stop = &stop};
    struct conversion record = world.stored;
    struct job_report report = job_run(&tools, &record);
    stop_close(&stop);
    return report;
}

static void what_is_done_names_its_mp3(void **state)
{
    (void)state;
    struct id mp3 = mp3_of_claim();
    assert_int_equal(run().outcome, JOB_DONE);
    assert_int_equal(world.stored.state, CONVERSION_DONE);
    assert_string_equal(world.stored.mp3.id.text, mp3.text);
    assert_true(world.is_finished);
    assert_true(world.stored.video.duration_seconds == 13);
    assert_int_equal(world.mp3s_removed, 0);
}

static void a_done_that_landed_unanswered_keeps_its_mp3(void **state)
{
    (void)state;
    world.settling = SETTLES_UNSEEN;
    assert_int_equal(run().outcome, JOB_DONE);
    assert_int_equal(world.mp3s_removed, 0);
}

/* The write may land yet: then the record names this MP3. */
static void nothing_is_removed_while_the_outcome_is_unknown(void **state)
{
    (void)state;
    world.settling = STAYS_SILENT;
    assert_int_equal(run().outcome, JOB_UNSETTLED);
    assert_int_equal(world.mp3s_removed, 0);
}

static void who_is_refused_removes_its_own_mp3(void **state)
{
    (void)state;
    world.is_cancelled_meanwhile = true;
    struct job_report report = run();
    assert_int_equal(report.outcome, JOB_LOST);
    assert_false(report.are_blobs_failing);
    assert_int_equal(world.stored.state, CONVERSION_CANCELLED);
    assert_int_equal(world.mp3s_removed, 1);
}

static void whose_record_is_gone_removes_its_own_mp3(void **state)
{
    (void)state;
    world.settling = IS_GONE;
    assert_int_equal(run().outcome, JOB_LOST);
    assert_int_equal(world.mp3s_removed, 1);
}

static void a_video_at_fault_fails_at_once(void **state)
{
    (void)state;
    world.end = WORKER_REFUSED;
    world.failure = &FAILURE_NO_AUDIO;
    assert_int_equal(run().outcome, JOB_FAILED);
    assert_string_equal(world.stored.error.code, "no_audio");
    assert_int_equal(world.mp3s_removed, 1);
}

static void a_suspected_video_has_its_attempts(void **state)
{
    (void)state;
    world.end = WORKER_BROKE;
    world.failure = &FAILURE_INTERNAL;
    assert_int_equal(run().outcome, JOB_ACCUSED);
    assert_int_equal(world.stored.state, CONVERSION_QUEUED);
    assert_int_equal(world.stored.attempts, 1);
    assert_int_equal(world.mp3s_removed, 1);
    world.stored.state = CONVERSION_CONVERTING; /* taken again; the claim matters to nobody here */
    assert_int_equal(run().outcome, JOB_FAILED);
    assert_string_equal(world.stored.error.code, "internal");
}

static void a_worker_that_cannot_start_accuses_nobody(void **state)
{
    (void)state;
    world.end = WORKER_NO_WORKER;
    struct job_report report = run();
    assert_int_equal(report.outcome, JOB_HANDED_BACK);
    assert_false(report.are_blobs_failing);
    assert_int_equal(world.stored.attempts, 0);
}

static void a_video_that_is_gone_is_unreadable(void **state)
{
    (void)state;
    world.reader_open = ERROR_NOT_FOUND;
    assert_int_equal(run().outcome, JOB_FAILED);
    assert_string_equal(world.stored.error.code, "unreadable_video");
}

static void a_video_of_another_size_is_suspected(void **state)
{
    (void)state;
    world.video_size = VIDEO_SIZE - 1;
    assert_int_equal(run().outcome, JOB_ACCUSED);
    assert_int_equal(world.stored.attempts, 1);
}

static void the_stores_failures_accuse_no_video(void **state)
{
    enum error_kind *const steps[] = {&world.reader_open, &world.read, &world.write, &world.finish};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        set_up(state);
        *steps[i] = ERROR_TOO_LARGE;
        struct job_report report = run();
        assert_int_equal(report.outcome, JOB_HANDED_BACK);
        assert_true(report.are_blobs_failing);
        assert_int_equal(world.stored.state, CONVERSION_QUEUED);
        assert_int_equal(world.stored.attempts, 0);
        assert_int_equal(world.mp3s_removed, 1);
    }
    /* Of its MP3 nothing says anything about the video. */
    set_up(state);
    world.write = ERROR_NOT_FOUND;
    assert_int_equal(run().outcome, JOB_HANDED_BACK);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_done_names_its_mp3),
        TEST(a_done_that_landed_unanswered_keeps_its_mp3),
        TEST(nothing_is_removed_while_the_outcome_is_unknown),
        TEST(who_is_refused_removes_its_own_mp3),
        TEST(whose_record_is_gone_removes_its_own_mp3),
        TEST(a_video_at_fault_fails_at_once),
        TEST(a_suspected_video_has_its_attempts),
        TEST(a_worker_that_cannot_start_accuses_nobody),
        TEST(a_video_that_is_gone_is_unreadable),
        TEST(a_video_of_another_size_is_suspected),
        TEST(the_stores_failures_accuse_no_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
