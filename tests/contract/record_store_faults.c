/* Records on a server that answers late, or not at all: rule 5 of docs/conversion.md. A proxy
 * stands between one of two handles and the server. */

#include "stores/record_store/record_store.h"

#include "base/clock.h"
#include "contract.h"
#include "proxy.h"
#include "record_rows.h"
#include "services/common/records.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define TIMEOUT "1s"
#define TIMEOUT_MS 1000
#define ANSWER_MAX_MS (3 * TIMEOUT_MS + 5000) /* with five seconds for a machine that is busy */
#define PATIENCE_MS 60000
/* After it failed, a server is left alone for so long. */
#define COOLDOWN_MS 1000

static const char *backend_name;
static struct contract contract;
static struct proxy *proxy;
static struct config *proxied_config;
static struct record_store *store;  /* through the proxy */
static struct record_store *direct; /* another service's */

static void wait_until_there(void)
{
    struct error error = {0};
    int64_t begun = clock_boot_ms();
    while (!record_store_check(store, &error)) {
        assert_in_range(clock_boot_ms() - begun, 0, PATIENCE_MS);
        poll(NULL, 0, 50);
    }
}

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    contract_init(&contract, "stores.records", backend_name);
    proxy = contract_proxy(&contract);
    proxied_config = contract_config_through(&contract, proxy, TIMEOUT);
    if (!record_store_migrate(contract.config, &error) ||
        !record_store_open(contract.config, &direct, &error) ||
        !record_store_open(proxied_config, &store, &error))
        fail_msg("%s", error.text);
    wait_until_there(); /* a busy machine does not connect in so short a time */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_store_close(store);
    record_store_close(direct);
    config_close(proxied_config);
    proxy_close(proxy);
    contract_finish(&contract);
    return 0;
}

static struct conversion insert(enum record_stage stage)
{
    struct error error = {0};
    struct conversion record = record_make(stage);
    if (!record_store_insert(direct, &record, &error))
        fail_msg("%s", error.text);
    return record;
}

static struct conversion read_direct(const struct id *id)
{
    struct error error = {0};
    struct conversion record = {0};
    if (!record_store_get(direct, id, &record, &error))
        fail_msg("%s", error.text);
    return record;
}

/* What was asked for without an answer has happened: a server that is busy may be later than we. */
static void wait_for_version(const struct id *id, int64_t version)
{
    struct error error = {0};
    struct conversion record = {0};
    int64_t begun = clock_boot_ms();
    while (!record_store_get(direct, id, &record, &error) || record.version != version) {
        assert_in_range(clock_boot_ms() - begun, 0, PATIENCE_MS);
        poll(NULL, 0, 20);
    }
}

static void wait_until_gone(const struct id *id)
{
    struct error error = {0};
    struct conversion record;
    int64_t begun = clock_boot_ms();
    while (record_store_get(direct, id, &record, &error)) {
        assert_in_range(clock_boot_ms() - begun, 0, PATIENCE_MS);
        poll(NULL, 0, 20);
    }
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

/* It failed, in time, and nobody knows what became of it. */
static void assert_unknown(bool succeeded, const struct error *error, int64_t begun_at_boot_ms)
{
    assert_false(succeeded);
    assert_int_equal(error->kind, ERROR_UNAVAILABLE);
    assert_in_range(clock_boot_ms() - begun_at_boot_ms, 0, ANSWER_MAX_MS);
}

static void an_update_whose_answer_is_lost_is_there_and_cannot_be_repeated(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    proxy_set(proxy, PROXY_LOSE_ANSWERS);
    record.claim = 5;
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_update(store, &record, &error), &error, begun);
    assert_int_equal(record.version, 1);
    wait_for_version(&record.id, 2);
    proxy_set(proxy, PROXY_PASS);
    struct conversion stored = read_direct(&record.id);
    assert_int_equal(stored.version, 2);
    assert_int_equal(stored.claim, 5);
    assert_false(record_store_update(direct, &record, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void an_insert_whose_answer_is_lost_is_there_once(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = record_make(STAGE_UPLOADING);
    proxy_set(proxy, PROXY_LOSE_ANSWERS);
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_insert(store, &record, &error), &error, begun);
    wait_for_version(&record.id, 1);
    proxy_set(proxy, PROXY_PASS);
    assert_false(record_store_insert(direct, &record, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_int_equal(read_direct(&record.id).version, 1);
}

static void a_removal_whose_answer_is_lost_has_happened(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_SWEPT);
    struct conversion stored;
    proxy_set(proxy, PROXY_LOSE_ANSWERS);
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_remove(store, &record.id, record.version, &error), &error, begun);
    wait_until_gone(&record.id);
    proxy_set(proxy, PROXY_PASS);
    assert_false(record_store_get(direct, &record.id, &stored, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_false(record_store_remove(direct, &record.id, record.version, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void an_update_that_comes_late_does_not_undo_what_came_before_it(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    struct conversion late = record;
    proxy_set(proxy, PROXY_HOLD_REQUESTS);
    late.claim = 5;
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_update(store, &late, &error), &error, begun);
    assert_int_equal(read_direct(&record.id).version, 1); /* it may still land */
    record.claim = 7;
    assert_true(record_store_update(direct, &record, &error));
    proxy_set(proxy, PROXY_PASS);
    proxy_wait_landed(proxy);
    struct conversion stored = read_direct(&record.id);
    assert_int_equal(stored.version, 2);
    assert_int_equal(stored.claim, 7);
}

static void an_update_that_comes_late_is_done_once_though_it_was_repeated(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    struct conversion again = record;
    proxy_set(proxy, PROXY_HOLD_REQUESTS);
    record.claim = again.claim = 5;
    assert_false(record_store_update(store, &record, &error));
    assert_true(record_store_update(direct, &again, &error));
    proxy_set(proxy, PROXY_PASS);
    proxy_wait_landed(proxy);
    assert_int_equal(read_direct(&record.id).version, 2);
}

static void an_insert_or_removal_that_comes_late_finds_its_place_taken(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion inserted = record_make(STAGE_UPLOADING);
    struct conversion removed = insert(STAGE_SWEPT);
    proxy_set(proxy, PROXY_HOLD_REQUESTS);
    assert_false(record_store_insert(store, &inserted, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    proxy_set(proxy, PROXY_PASS);
    proxy_wait_landed(proxy);
    assert_false(record_store_insert(direct, &inserted, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);

    wait_until_there(); /* connected again */
    proxy_set(proxy, PROXY_HOLD_REQUESTS);
    assert_false(record_store_remove(store, &removed.id, removed.version, &error));
    assert_true(record_store_update(direct, &removed, &error));
    proxy_set(proxy, PROXY_PASS);
    proxy_wait_landed(proxy);
    assert_int_equal(read_direct(&removed.id).version, 2);
}

/* ---- What services do about it ---- */

static bool count_claim(void *context, const struct conversion *record, int64_t now_ms,
                        struct conversion *out_next)
{
    (void)context;
    (void)now_ms;
    *out_next = *record;
    out_next->claim++;
    return true;
}

static void *pass_after_a_while(void *unused)
{
    poll(NULL, 0, 2 * TIMEOUT_MS);
    proxy_set(proxy, PROXY_PASS);
    return unused;
}

/* The change is under way while the network fails, and it is over when the change is still trying.
 */
static void change_while(enum proxy_mode mode)
{
    struct error error = {0};
    int64_t now_ms = 0;
    struct conversion record = insert(STAGE_QUEUED);
    struct conversion changed;
    pthread_t thread;
    assert_true(record_store_get(store, &record.id, &record, &error));
    assert_true(record_store_now(store, &now_ms, &error));
    proxy_set(proxy, mode);
    assert_int_equal(pthread_create(&thread, NULL, pass_after_a_while, NULL), 0);
    changed = record;
    assert_int_equal(records_change_read(store, &changed, count_claim, NULL,
                                         COOLDOWN_MS + 5 * ANSWER_MAX_MS, &error),
                     RECORD_WRITTEN);
    pthread_join(thread, NULL);
    proxy_wait_landed(proxy);
    struct conversion stored = read_direct(&record.id);
    assert_int_equal(stored.claim, record.claim + 1);
    assert_int_equal(stored.version, record.version + 1);
    assert_int_equal(changed.version, stored.version);
}

static void a_change_whose_answer_is_lost_happens_once(void **state)
{
    (void)state;
    change_while(PROXY_LOSE_ANSWERS);
}

static void a_change_that_comes_late_happens_once(void **state)
{
    (void)state;
    change_while(PROXY_HOLD_REQUESTS);
}

static void a_change_while_the_server_is_gone_happens_once(void **state)
{
    (void)state;
    change_while(PROXY_REFUSE);
}

/* ---- A server that is gone ---- */

static void assert_reads_are_unavailable(void)
{
    struct error error = {0};
    struct id id = id_make();
    struct conversion records[1];
    size_t count = 99;
    int64_t number = 99;
    const struct record_filter filter = {.owner_id = record_owner};
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_get(store, &id, records, &error), &error, begun);
    begun = clock_boot_ms();
    assert_unknown(
        record_store_due(store, CONVERSION_DUE_CONVERT, INT64_MAX, 1, records, &count, &error),
        &error, begun);
    begun = clock_boot_ms();
    assert_unknown(record_store_list(store, &filter, 1, records, &count, &error), &error, begun);
    begun = clock_boot_ms();
    assert_unknown(record_store_count(store, &filter, 9, &number, &error), &error, begun);
    begun = clock_boot_ms();
    assert_unknown(record_store_stored_bytes(store, &record_owner, 9, &number, &error), &error,
                   begun);
    begun = clock_boot_ms();
    assert_unknown(record_store_check(store, &error), &error, begun);
    assert_int_equal(count, 99);
    assert_int_equal(number, 99);
}

static void a_store_whose_server_is_gone_resumes_by_itself(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    struct conversion read;
    int64_t before_ms = 0;
    int64_t now_ms = 0;
    assert_true(record_store_now(store, &before_ms, &error));
    proxy_set(proxy, PROXY_REFUSE);
    assert_reads_are_unavailable();
    assert_true(record_store_now(store, &now_ms, &error)); /* it was asked once */
    assert_in_range(now_ms - before_ms, 0, 6 * ANSWER_MAX_MS);
    proxy_set(proxy, PROXY_PASS);
    wait_until_there();
    assert_true(record_store_get(store, &record.id, &read, &error));
}

static void a_store_whose_server_is_silent_resumes_by_itself(void **state)
{
    (void)state;
    struct error error = {0};
    struct conversion record = insert(STAGE_QUEUED);
    struct conversion read;
    proxy_set(proxy, PROXY_HOLD_REQUESTS);
    assert_reads_are_unavailable();
    proxy_set(proxy, PROXY_PASS);
    wait_until_there();
    assert_true(record_store_get(store, &record.id, &read, &error));
}

static void a_store_can_be_opened_while_its_server_is_gone(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(record_store_closep) struct record_store *early = NULL;
    proxy_set(proxy, PROXY_REFUSE);
    assert_true(record_store_open(proxied_config, &early, &error));
    int64_t now_ms = 0;
    int64_t begun = clock_boot_ms();
    assert_unknown(record_store_now(early, &now_ms, &error), &error, begun);
    assert_unknown(record_store_migrate(proxied_config, &error), &error, begun);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    backend_name = argc > 1 ? argv[1] : "mongodb";
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(an_update_whose_answer_is_lost_is_there_and_cannot_be_repeated),
        TEST(an_insert_whose_answer_is_lost_is_there_once),
        TEST(a_removal_whose_answer_is_lost_has_happened),
        TEST(an_update_that_comes_late_does_not_undo_what_came_before_it),
        TEST(an_update_that_comes_late_is_done_once_though_it_was_repeated),
        TEST(an_insert_or_removal_that_comes_late_finds_its_place_taken),
        TEST(a_change_whose_answer_is_lost_happens_once),
        TEST(a_change_that_comes_late_happens_once),
        TEST(a_change_while_the_server_is_gone_happens_once),
        TEST(a_store_whose_server_is_gone_resumes_by_itself),
        TEST(a_store_whose_server_is_silent_resumes_by_itself),
        TEST(a_store_can_be_opened_while_its_server_is_gone),
    };
    return cmocka_run_group_tests_name("record_store_faults", tests, NULL, NULL);
}
