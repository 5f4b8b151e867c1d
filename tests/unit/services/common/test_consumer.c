/* A consumer's thread between a queue and a record store that are scripts: what it takes, in which
 * order, and what it does where one of the two does not answer. */

#include "services/common/consumer.h"

#include "base/clock.h"
#include "support/cmocka_all.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RECORDS_MAX 8
#define MESSAGES_MAX 8
#define LEASE_MS 600

/* One world for both fakes; every access holds the lock. */
static struct {
    pthread_mutex_t lock;

    struct conversion records[RECORDS_MAX];
    size_t record_count;
    bool are_records_down;
    unsigned vain_looks;                  /* into records that were down */
    struct conversion *overdue_with_work; /* becomes overdue while the first job runs; or NULL */

    char messages[MESSAGES_MAX][256];
    size_t message_count, next_message;
    bool is_queue_down;
    bool is_flooded; /* after the messages there is always one more, about nothing */
    unsigned queue_checks;
    bool has_delivery;
    struct job_delivery delivery;
    char delivery_body[256];

    char events[4096]; /* "claim 1|ack|work 1|", in order */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(const char *event)
{
    size_t used = strlen(world.events);
    snprintf(world.events + used, sizeof world.events - used, "%s|", event);
}

static long number_of(const struct id *id)
{
    return (long)(id->text[23] - '0');
}

static void note_number(const char *event, const struct id *id)
{
    char text[64];
    snprintf(text, sizeof text, "%s %ld", event, number_of(id));
    note(text);
}

/* ---- The record store ---- */

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

bool record_store_check(struct record_store *store, struct error *error)
{
    (void)store;
    (void)error;
    return true;
}

bool record_store_now(struct record_store *store, int64_t *out_now_ms, struct error *error)
{
    (void)store;
    (void)error;
    *out_now_ms = clock_wall_ms();
    return true;
}

static bool is_down(struct error *error)
{
    if (world.are_records_down)
        (void)error_set(error, ERROR_UNAVAILABLE, "no answer");
    return world.are_records_down;
}

static struct conversion *find(const struct id *id)
{
    for (size_t i = 0; i < world.record_count; i++)
        if (id_is_equal(&world.records[i].id, id))
            return &world.records[i];
    return NULL;
}

bool record_store_get(struct record_store *store, const struct id *id,
                      struct conversion *out_record, struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    struct conversion *found = find(id);
    bool is_read = !is_down(error);
    if (is_read && found == NULL)
        is_read = error_set(error, ERROR_NOT_FOUND, "no such record");
    if (is_read)
        *out_record = *found;
    pthread_mutex_unlock(&world.lock);
    return is_read;
}

bool record_store_update(struct record_store *store, struct conversion *record, struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    struct conversion *found = find(&record->id);
    bool is_written = !is_down(error);
    if (is_written && (found == NULL || found->version != record->version))
        is_written = error_set(error, ERROR_CONFLICT, "another version");
    if (is_written) {
        record->version++;
        note_number(record->state == CONVERSION_FAILED ? "fail" : "claim", &record->id);
        *found = *record;
    }
    pthread_mutex_unlock(&world.lock);
    return is_written;
}

bool record_store_due(struct record_store *store, enum conversion_role role, int64_t now_ms,
                      size_t limit, struct conversion *out_records, size_t *out_count,
                      struct error *error)
{
    (void)store;
    pthread_mutex_lock(&world.lock);
    bool is_read = !is_down(error);
    world.vain_looks += !is_read;
    size_t count = 0;
    for (size_t i = 0; is_read && i < world.record_count && count < limit; i++)
        if (conversion_is_due(&world.records[i], role, now_ms))
            out_records[count++] = world.records[i];
    if (is_read)
        *out_count = count;
    pthread_mutex_unlock(&world.lock);
    return is_read;
}

/* ---- The queue ---- */

bool job_queue_open(const struct config *config, enum job_queue_name name,
                    struct job_queue **out_queue, struct error *error)
{
    (void)config;
    (void)name;
    (void)error;
    *out_queue = (struct job_queue *)&world;
    return true;
}

void job_queue_close(struct job_queue *queue)
{
    (void)queue;
}

bool job_queue_check(struct job_queue *queue, struct error *error)
{
    (void)queue;
    (void)error;
    pthread_mutex_lock(&world.lock);
    world.queue_checks++;
    pthread_mutex_unlock(&world.lock);
    return true;
}

#define ABOUT_NOTHING                                                                              \
    "{\"video_fid\":\"000000000000000000000099\",\"conversion_id\":\"000000000000000000000099\"}"

static bool take_now(const struct job_delivery **out_delivery, bool *out_is_down)
{
    pthread_mutex_lock(&world.lock);
    *out_is_down = world.is_queue_down;
    bool is_waiting = world.next_message < world.message_count;
    bool is_there = !world.is_queue_down && (is_waiting || world.is_flooded);
    if (is_there) {
        snprintf(world.delivery_body, sizeof world.delivery_body, "%s",
                 is_waiting ? world.messages[world.next_message] : ABOUT_NOTHING);
        world.delivery.body.bytes = world.delivery_body;
        world.delivery.body.size = strlen(world.delivery_body);
        *out_delivery = &world.delivery;
    }
    pthread_mutex_unlock(&world.lock);
    return is_there;
}

bool job_queue_take(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                    const struct job_delivery **out_delivery, struct error *error)
{
    (void)queue;
    struct pollfd interrupt = {.fd = interrupt_fd, .events = POLLIN};
    int64_t end_ms = clock_boot_ms() + timeout_ms;
    bool down = false;
    *out_delivery = NULL;
    do {
        if (take_now(out_delivery, &down))
            return true;
        if (down)
            return error_set(error, ERROR_UNAVAILABLE, "no broker");
    } while (poll(&interrupt, 1, 2) == 0 && clock_boot_ms() < end_ms);
    return true;
}

bool job_queue_ack(struct job_queue *queue, struct error *error)
{
    (void)queue;
    (void)error;
    pthread_mutex_lock(&world.lock);
    if (world.next_message < world.message_count) {
        world.next_message++;
        note("ack");
    }
    pthread_mutex_unlock(&world.lock);
    return true;
}

bool job_queue_bury(struct job_queue *queue, const char *reason, struct error *error)
{
    (void)queue;
    (void)error;
    pthread_mutex_lock(&world.lock);
    world.next_message++;
    char text[300];
    snprintf(text, sizeof text, "bury %s", reason);
    note(text);
    pthread_mutex_unlock(&world.lock);
    return true;
}

const char *job_queue_name_text(enum job_queue_name name)
{
    (void)name;
    return "video";
}

/* ---- The work ---- */

static bool begin(void *context, struct error *error)
{
    (void)context;
    (void)error;
    return true;
}

static void end(void *context)
{
    (void)context;
}

static void work(void *context, struct consumer *consumer, struct conversion *record)
{
    (void)context;
    assert_non_null(consumer_records(consumer));
    pthread_mutex_lock(&world.lock);
    note_number("work", &record->id);
    struct conversion *stored = find(&record->id);
    if (stored == NULL)
        abort();
    stored->state = CONVERSION_DONE;
    stored->due_for = CONVERSION_DUE_NOTIFY;
    if (world.overdue_with_work != NULL)
        world.overdue_with_work->due_at_ms = 0;
    world.overdue_with_work = NULL;
    pthread_mutex_unlock(&world.lock);
}

static void given_up(void *context, const struct conversion *record)
{
    (void)context;
    pthread_mutex_lock(&world.lock);
    note_number("given up", &record->id);
    pthread_mutex_unlock(&world.lock);
}

static enum consumer_adoption adopt(void *context, struct record_store *records,
                                    const struct message *message, struct id *out_id,
                                    struct error *error)
{
    (void)context;
    (void)records;
    (void)error;
    *out_id = message->video_id;
    return CONSUMER_ADOPTED;
}

static const struct consumer_work scripted_work = {
    .queue = JOB_QUEUE_VIDEO,
    .role = CONVERSION_DUE_CONVERT,
    .claim = conversion_claim,
    .take_over = conversion_take_over,
    .give_up = conversion_give_up,
    .claimed_point = "test",
    .acked_point = "test",
    .begin = begin,
    .end = end,
    .is_able = begin,
    .work = work,
    .given_up = given_up,
    .adopt = adopt,
};

/* ---- The scene ---- */

struct scene {
    struct policy policy;
    struct stop stop;
    struct consumer *consumer;
};

static void scene_reset(void)
{
    pthread_mutex_lock(&world.lock);
    world.record_count = world.message_count = world.next_message = 0;
    world.are_records_down = world.is_queue_down = world.is_flooded = false;
    world.queue_checks = world.vain_looks = 0;
    world.events[0] = '\0';
    pthread_mutex_unlock(&world.lock);
}

/* id: "…1", and so on. due_ms: from now on. */
static void put_record(int number, enum conversion_state state, int64_t due_ms)
{
    pthread_mutex_lock(&world.lock);
    struct conversion *record = &world.records[world.record_count++];
    *record = (struct conversion){
        .state = state,
        .due_for = CONVERSION_DUE_CONVERT,
        .due_at_ms = clock_wall_ms() + due_ms,
        .queued_at_ms = clock_wall_ms(),
        .created_at_ms = clock_wall_ms(),
    };
    snprintf(record->id.text, sizeof record->id.text, "%024d", number);
    pthread_mutex_unlock(&world.lock);
}

static void put_text(const char *text)
{
    pthread_mutex_lock(&world.lock);
    snprintf(world.messages[world.message_count++], sizeof world.messages[0], "%s", text);
    pthread_mutex_unlock(&world.lock);
}

static void put_message(int number)
{
    char text[200];
    snprintf(text, sizeof text,
             "{\"video_fid\":\"%024d\",\"mp3_fid\":null,\"username\":\"a@example.org\","
             "\"conversion_id\":\"%024d\"}",
             number, number);
    put_text(text);
}

static void scene_start(struct scene *scene, int64_t look_interval_ms)
{
    *scene = (struct scene){
        .policy =
            {
                .conversion = {.lease_ms = LEASE_MS, .conversion_age_max_ms = CLOCK_DAY_MS},
                .look_interval_ms = look_interval_ms,
            },
    };
    assert_true(stop_open(&scene->stop, NULL));
    const struct consumer_options options = {
        .policy = &scene->policy,
        .stop = &scene->stop,
        .work = &scripted_work,
    };
    assert_true(consumer_open(&options, &scene->consumer, NULL));
}

/* Until the events are so many, or 30 s have passed; then the consumer ends. */
static void scene_expect(struct scene *scene, const char *expected)
{
    int64_t end_ms = clock_boot_ms() + 30000;
    bool is_there = false;
    while (!is_there && clock_boot_ms() < end_ms) {
        pthread_mutex_lock(&world.lock);
        is_there = strlen(world.events) >= strlen(expected);
        pthread_mutex_unlock(&world.lock);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    stop_tell(&scene->stop, 1000);
    assert_true(consumer_wait(scene->consumer, 60000));
    consumer_close(scene->consumer);
    stop_close(&scene->stop);
    assert_string_equal(world.events, expected);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Of the world's counts, one that grows. */
static void wait_for_more_than_none(const unsigned *count)
{
    int64_t end_ms = clock_boot_ms() + 30000;
    bool has_grown = false;
    while (!has_grown && clock_boot_ms() < end_ms) {
        pause_ms(5);
        pthread_mutex_lock(&world.lock);
        has_grown = *count > 0;
        pthread_mutex_unlock(&world.lock);
    }
    assert_true(has_grown);
}

#define QUIET_MS CLOCK_HOUR_MS /* no look but the first */

static void a_message_is_claimed_then_acked_then_worked_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_QUEUED, 60000);
    put_message(1);
    scene_start(&scene, QUIET_MS);
    scene_expect(&scene, "claim 1|ack|work 1|");
}

static void a_message_about_what_is_not_claimable_is_acked(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_CONVERTING, 60000);
    put_message(1);
    put_message(2); /* no such record */
    scene_start(&scene, QUIET_MS);
    scene_expect(&scene, "ack|ack|");
}

static void what_cannot_be_read_is_buried_with_the_reason(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_QUEUED, 60000);
    put_text("{\"video_fid\":\"000000000000000000000001\",\"username\":\"a@example.org\"}");
    put_text("[]");
    put_message(1);
    scene_start(&scene, QUIET_MS);
    struct message message;
    struct error error = {0};
    assert_false(message_parse("[]", 2, &message, &error));
    char expected[500];
    snprintf(expected, sizeof expected,
             "bury no conversion_id, and messages.original is off|bury %s|claim 1|ack|work 1|",
             error.text);
    scene_expect(&scene, expected);
}

static void a_message_is_held_while_the_records_are_down(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_QUEUED, 60000);
    put_message(1);
    world.are_records_down = true;
    scene_start(&scene, QUIET_MS);
    pause_ms(300);
    wait_for_more_than_none(&world.queue_checks); /* a broker hears from us meanwhile */
    pthread_mutex_lock(&world.lock);
    assert_string_equal(world.events, "");
    world.are_records_down = false;
    pthread_mutex_unlock(&world.lock);
    scene_expect(&scene, "claim 1|ack|work 1|");
}

static void a_held_message_does_not_delay_the_end(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_QUEUED, 60000);
    put_message(1);
    world.are_records_down = true;
    scene_start(&scene, QUIET_MS);
    pause_ms(100);
    int64_t begin_ms = clock_boot_ms();
    scene_expect(&scene, "");
    assert_in_range(clock_boot_ms() - begin_ms, 0, 20000);
    assert_int_equal(world.next_message, 0);
}

static void without_a_broker_overdue_records_are_found(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    world.is_queue_down = true;
    put_record(1, CONVERSION_QUEUED, 100);
    put_record(2, CONVERSION_CONVERTING, 60000);
    scene_start(&scene, QUIET_MS);
    scene_expect(&scene, "claim 1|work 1|");
}

static void silence_ends_with_a_look(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_CONVERTING, 150); /* its holder vanishes */
    put_record(2, CONVERSION_QUEUED, 60000);
    scene_start(&scene, 100);
    scene_expect(&scene, "claim 1|work 1|");
    assert_int_equal(world.records[0].lost, 1);
}

static void messages_that_are_no_work_do_not_keep_from_looking(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    world.is_flooded = true;
    put_record(1, CONVERSION_CONVERTING, 150); /* its holder vanishes */
    scene_start(&scene, 100);
    scene_expect(&scene, "claim 1|work 1|");
}

static void a_busy_queue_does_not_starve_what_is_overdue(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    for (int i = 1; i <= 4; i++) {
        put_record(i, CONVERSION_QUEUED, 60000);
        put_message(i);
    }
    put_record(9, CONVERSION_QUEUED, 60000);
    world.overdue_with_work = &world.records[4];
    scene_start(&scene, QUIET_MS);
    scene_expect(&scene, "claim 1|ack|work 1|claim 2|ack|work 2|claim 9|work 9|"
                         "claim 3|ack|work 3|claim 4|ack|work 4|");
}

static void what_was_lost_too_often_is_given_up(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_CONVERTING, 0);
    world.records[0].lost = CONVERSION_LOST_MAX;
    scene_start(&scene, 100);
    scene_expect(&scene, "fail 1|given up 1|");
}

static void after_an_outage_living_holders_have_a_lease_to_renew(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_CONVERTING, 0);
    put_record(2, CONVERSION_QUEUED, 0);
    world.are_records_down = true;
    scene_start(&scene, 50);
    wait_for_more_than_none(&world.vain_looks);
    int64_t begin_ms = clock_boot_ms();
    pthread_mutex_lock(&world.lock);
    world.are_records_down = false;
    pthread_mutex_unlock(&world.lock);
    scene_expect(&scene, "claim 2|work 2|claim 1|work 1|");
    assert_in_range(clock_boot_ms() - begin_ms, LEASE_MS / 3 - 50, 30000);
}

/* One look falls into the outage, and the next comes more than a lease later. */
static void who_looks_seldom_leaves_living_holders_as_long(void **state)
{
    (void)state;
    struct scene scene;
    scene_reset();
    put_record(1, CONVERSION_CONVERTING, 0);
    put_record(2, CONVERSION_QUEUED, 0);
    world.are_records_down = true;
    int64_t begin_ms = clock_boot_ms();
    scene_start(&scene, LEASE_MS + 100);
    wait_for_more_than_none(&world.vain_looks);
    pthread_mutex_lock(&world.lock);
    world.are_records_down = false;
    pthread_mutex_unlock(&world.lock);
    scene_expect(&scene, "claim 2|work 2|claim 1|work 1|");
    assert_in_range(clock_boot_ms() - begin_ms, LEASE_MS + 100 + LEASE_MS / 3, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_claimed_then_acked_then_worked_on),
        cmocka_unit_test(a_message_about_what_is_not_claimable_is_acked),
        cmocka_unit_test(what_cannot_be_read_is_buried_with_the_reason),
        cmocka_unit_test(a_message_is_held_while_the_records_are_down),
        cmocka_unit_test(a_held_message_does_not_delay_the_end),
        cmocka_unit_test(without_a_broker_overdue_records_are_found),
        cmocka_unit_test(silence_ends_with_a_look),
        cmocka_unit_test(messages_that_are_no_work_do_not_keep_from_looking),
        cmocka_unit_test(a_busy_queue_does_not_starve_what_is_overdue),
        cmocka_unit_test(what_was_lost_too_often_is_given_up),
        cmocka_unit_test(after_an_outage_living_holders_have_a_lease_to_renew),
        cmocka_unit_test(who_looks_seldom_leaves_living_holders_as_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
