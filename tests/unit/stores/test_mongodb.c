#include "stores/shared/mongodb.h"

#include "base/clock.h"
#include "base/file.h"
#include "model/failure.h"
#include "support/cmocka_all.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server of MongoDB's wire protocol ("MongoDB Wire Protocol", OP_QUERY for the first hello, then
 * OP_MSG) that answers each command with what the test says, and remembers the command. */

#define OP_REPLY 1
#define OP_QUERY 2004
#define OP_MSG 2013
#define MESSAGE_MAX 65536

#define HELLO                                                                                      \
    "{\"ismaster\": true, \"isWritablePrimary\": true, \"helloOk\": true,"                         \
    " \"maxBsonObjectSize\": 16777216, \"maxMessageSizeBytes\": 48000000,"                         \
    " \"maxWriteBatchSize\": 1000, \"minWireVersion\": 0, \"maxWireVersion\": 9, \"ok\": 1,"       \
    " \"localTime\": {\"$date\": {\"$numberLong\": \"1700000000000\"}}"
static const char hello_alone[] = HELLO "}";
/* With sessions, in which the driver repeats what it got no answer to. */
static const char hello_of_set[] = HELLO ", \"setName\": \"rs0\", \"hosts\": [\"127.0.0.1:1\"],"
                                         " \"logicalSessionTimeoutMinutes\": 30}";

#define TIMEOUT_MS 4000 /* long, so that a busy machine fails nothing */
#define SHORT_TIMEOUT_MS 300

static struct {
    int listener;
    pthread_t thread;
    struct mongodb *mongodb;
    struct config *config;

    /* The thread's while a command is under way, the test's between two. */
    const char *hello;
    const char *answer; /* NULL: none */
    char command[64];
    char asked[4096]; /* as JSON */
} peer;

struct header {
    int32_t size, id, answers, operation;
};

static bool receive(int fd, void *bytes, size_t size)
{
    return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

static void send_answer(int fd, const struct header *question, const char *json)
{
    bson_t document;
    bson_error_t cause;
    char message[MESSAGE_MAX];
    if (!bson_init_from_json(&document, json, -1, &cause))
        abort();
    bool is_reply = question->operation == OP_QUERY;
    /* OP_REPLY: flags, cursor, from, count of documents. OP_MSG: flags and a section of kind 0. */
    const int32_t reply_fields[] = {8, 0, 0, 0, 1};
    size_t fields_size = is_reply ? sizeof reply_fields : 5;
    struct header header = {
        .size = (int32_t)(sizeof header + fields_size + document.len),
        .answers = question->id,
        .operation = is_reply ? OP_REPLY : OP_MSG,
    };
    memset(message, 0, sizeof message);
    memcpy(message, &header, sizeof header);
    if (is_reply)
        memcpy(message + sizeof header, reply_fields, sizeof reply_fields);
    memcpy(message + sizeof header + fields_size, bson_get_data(&document), document.len);
    bson_destroy(&document);
    if (!file_write(fd, message, (size_t)header.size, NULL))
        abort();
}

static void answer_message(int fd, const struct header *header, const char *body)
{
    bson_t document;
    bson_iter_t first;
    uint32_t size;
    memcpy(&size, body + 5, sizeof size);
    if (!bson_init_static(&document, (const uint8_t *)body + 5, size) ||
        !bson_iter_init(&first, &document) || !bson_iter_next(&first))
        abort();
    const char *command = bson_iter_key(&first);
    if (strcmp(command, "hello") == 0 || strcmp(command, "isMaster") == 0) {
        send_answer(fd, header, peer.hello);
        return;
    }
    size_t text_size = 0;
    char *text = bson_as_relaxed_extended_json(&document, &text_size);
    snprintf(peer.command, sizeof peer.command, "%s", command);
    snprintf(peer.asked, sizeof peer.asked, "%s", text);
    bson_free(text);
    if (peer.answer != NULL)
        send_answer(fd, header, peer.answer);
}

static void serve_connection(int fd)
{
    struct header header;
    char body[MESSAGE_MAX];
    while (receive(fd, &header, sizeof header)) {
        if (header.size < (int32_t)sizeof header || header.size > MESSAGE_MAX ||
            !receive(fd, body, (size_t)header.size - sizeof header))
            abort();
        if (header.operation == OP_QUERY)
            send_answer(fd, &header, peer.hello);
        else
            answer_message(fd, &header, body);
    }
}

static void *serve(void *unused)
{
    for (;;) {
        int fd = accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return unused;
        serve_connection(fd);
        close(fd);
    }
}

static int set_up_with(const char *hello, int timeout_ms)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof address;
    peer.hello = hello;
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer.listener, 8), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, NULL), 0);

    static const struct config_option *const tables[] = {mongodb_options, NULL};
    char uri[128];
    char timeout[64];
    snprintf(uri, sizeof uri, "mongodb.uri=mongodb://127.0.0.1:%d/?w=1&readPreference=secondary",
             ntohs(address.sin_port));
    snprintf(timeout, sizeof timeout, "mongodb.timeout=%dms", timeout_ms);
    const char *const assignments[] = {uri, timeout, NULL};
    const struct config_sources sources = {.assignments = assignments};
    struct error error = {0};
    if (!config_open(tables, &sources, &peer.config, &error) ||
        !mongodb_open(peer.config, &peer.mongodb, &error))
        fail_msg("%s", error.text);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(hello_alone, TIMEOUT_MS);
}

static int set_up_silent_set(void **state)
{
    (void)state;
    return set_up_with(hello_of_set, SHORT_TIMEOUT_MS);
}

static int tear_down(void **state)
{
    (void)state;
    mongodb_close(peer.mongodb);
    config_close(peer.config);
    shutdown(peer.listener, SHUT_RDWR);
    pthread_join(peer.thread, NULL);
    close(peer.listener);
    return 0;
}

/* ---- One operation each ---- */

static const struct mongodb_collection things = {MONGODB_VIDEOS, "things"};

static bool do_insert(struct error *error)
{
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    bson_append_int32(&document, "_id", -1, 1);
    return mongodb_insert(peer.mongodb, &things, &document, error);
}

static bool do_insert_many(struct error *error)
{
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    const bson_t *documents[] = {&document, &document};
    size_t inserted = 99;
    bson_append_int32(&document, "_id", -1, 1);
    return mongodb_insert_many(peer.mongodb, &things, documents, 2, &inserted, error);
}

static void set_field(bson_t *update)
{
    bson_t fields;
    bson_append_document_begin(update, "$set", -1, &fields);
    bson_append_int32(&fields, "field", -1, 1);
    bson_append_document_end(update, &fields);
}

static bool do_update(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    set_field(&update);
    return mongodb_update(peer.mongodb, &things, &filter, &update, NULL, error);
}

static bool do_modify(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t changed = BSON_INITIALIZER;
    set_field(&update);
    return mongodb_modify(peer.mongodb, &things, &filter, &update, &changed, error);
}

static bool do_modify_or_insert(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t changed = BSON_INITIALIZER;
    set_field(&update);
    return mongodb_modify_or_insert(peer.mongodb, &things, &filter, &update, &changed, error);
}

static bool do_delete_one(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    return mongodb_delete_one(peer.mongodb, &things, &filter, NULL, error);
}

static bool do_delete_all(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    return mongodb_delete_all(peer.mongodb, &things, &filter, NULL, error);
}

static bool do_create_index(struct error *error)
{
    static const char *const keys[] = {"field", NULL};
    static const struct mongodb_index index = {.name = "by_field", .keys = keys};
    return mongodb_create_index(peer.mongodb, &things, &index, error);
}

static bool do_find(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    CLEANUP(bson_destroy) bson_t found = BSON_INITIALIZER;
    return mongodb_find_one(peer.mongodb, &things, &filter, &found, error);
}

static bool do_count(struct error *error)
{
    CLEANUP(bson_destroy) bson_t filter = BSON_INITIALIZER;
    int64_t count = 0;
    return mongodb_count(peer.mongodb, &things, &filter, 5, &count, error);
}

static const struct operation {
    const char *command;
    bool (*run)(struct error *error);
    bool is_read;
} operations[] = {
    {"insert", do_insert, false},
    {"insert", do_insert_many, false},
    {"update", do_update, false},
    {"findAndModify", do_modify, false},
    {"findAndModify", do_modify_or_insert, false},
    {"delete", do_delete_one, false},
    {"delete", do_delete_all, false},
    {"createIndexes", do_create_index, false},
    {"find", do_find, true},
    {"aggregate", do_count, true},
};

static bool run(const struct operation *operation, const char *answer, struct error *error)
{
    peer.answer = answer;
    peer.asked[0] = '\0';
    bool succeeded = operation->run(error);
    assert_string_equal(peer.command, operation->command);
    return succeeded;
}

static void assert_fails(const struct operation *operation, const char *answer,
                         enum error_kind kind)
{
    struct error error = {0};
    if (run(operation, answer, &error))
        fail_msg("%s succeeds with %s", operation->command, answer);
    if (error.kind != kind)
        fail_msg("%s with %s is of kind %d: %s", operation->command, answer, (int)error.kind,
                 error.text);
}

/* ---- What is asked ---- */

#define SUCCESS                                                                                    \
    "{\"n\": 1, \"nModified\": 1, \"value\": null, \"ok\": 1,"                                     \
    " \"cursor\": {\"id\": {\"$numberLong\": \"0\"}, \"ns\": \"videos.things\", \"firstBatch\": "  \
    "[]}}"

static void writes_are_a_majoritys_and_reads_too_whatever_the_uri_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        struct error error = {0};
        if (!run(&operations[i], SUCCESS, &error))
            fail_msg("%s: %s", operations[i].command, error.text);
        const char *expected = operations[i].is_read
                                   ? "\"readConcern\" : { \"level\" : \"majority\" }"
                                   : "\"writeConcern\" : { \"w\" : \"majority\", \"j\" : true, "
                                     "\"wtimeout\" : 3000 }";
        if (strstr(peer.asked, expected) == NULL)
            fail_msg("%s asks %s", operations[i].command, peer.asked);
        assert_null(strstr(peer.asked, "secondary"));
    }
}

/* ---- What answers mean ---- */

#define REFUSAL(code)                                                                              \
    "{\"ok\": 0, \"code\": " #code ", \"codeName\": \"Name\", \"errmsg\": \"the server's "         \
    "reason\"}"

static void what_is_passing_is_unavailable(void **state)
{
    (void)state;
    static const char *const answers[] = {
        REFUSAL(13),    /* Unauthorized: until the operator has granted it */
        REFUSAL(50),    /* MaxTimeMSExpired */
        REFUSAL(112),   /* WriteConflict */
        REFUSAL(99999), /* of a newer version */
    };
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(answers); j++)
            assert_fails(&operations[i], answers[j], ERROR_UNAVAILABLE);
    }
}

/* After each of these the driver looks for the primary again, and takes half a second for it. */
static void an_election_is_unavailable(void **state)
{
    (void)state;
    const struct operation modify = {"findAndModify", do_modify, false};
    const struct operation find = {"find", do_find, true};
    assert_fails(&modify, REFUSAL(91), ERROR_UNAVAILABLE);    /* ShutdownInProgress */
    assert_fails(&modify, REFUSAL(10107), ERROR_UNAVAILABLE); /* NotWritablePrimary */
    assert_fails(&find, REFUSAL(11600), ERROR_UNAVAILABLE);   /* InterruptedAtShutdown */
}

static void what_is_not_answered_ends_in_time_though_the_driver_repeats_it(void **state)
{
    (void)state;
    static const struct operation silent[] = {{"findAndModify", do_modify, false},
                                              {"find", do_find, true}};
    for (size_t i = 0; i < ARRAY_COUNT(silent); i++) {
        int64_t begun_at_boot_ms = clock_boot_ms();
        assert_fails(&silent[i], NULL, ERROR_UNAVAILABLE);
        assert_in_range(clock_boot_ms() - begun_at_boot_ms, SHORT_TIMEOUT_MS,
                        3 * SHORT_TIMEOUT_MS + 5000);
    }
}

static void our_mistakes_are_not_retried(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        assert_fails(&operations[i], REFUSAL(2), ERROR_INTERNAL);  /* BadValue */
        assert_fails(&operations[i], REFUSAL(59), ERROR_INTERNAL); /* CommandNotFound */
    }
}

static void what_not_a_majority_has_is_unknown(void **state)
{
    (void)state;
    static const char answer[] =
        "{\"n\": 1, \"nModified\": 1, \"value\": {\"_id\": 1}, \"ok\": 1,"
        " \"writeConcernError\": {\"code\": 64, \"codeName\": \"WriteConcernFailed\","
        " \"errmsg\": \"waiting for replication timed out\", \"errInfo\": {\"wtimeout\": true}}}";
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (!operations[i].is_read)
            assert_fails(&operations[i], answer, ERROR_UNAVAILABLE);
    }
}

#define WRITE_ERROR(code)                                                                          \
    "{\"n\": 0, \"ok\": 1, \"writeErrors\": [{\"index\": 0, \"code\": " #code                      \
    ", \"errmsg\": \"the server's reason\"}]}"

static void of_several_a_taken_key_does_not_hide_that_no_majority_has_the_others(void **state)
{
    (void)state;
    const struct operation insert_many = {"insert", do_insert_many, false};
    struct error error = {0};
    assert_true(run(&insert_many, WRITE_ERROR(11000), &error));
    assert_fails(&insert_many,
                 "{\"n\": 1, \"ok\": 1, \"writeErrors\": [{\"index\": 1, \"code\": 11000,"
                 " \"errmsg\": \"taken\"}], \"writeConcernError\": {\"code\": 64,"
                 " \"errmsg\": \"waiting for replication timed out\"}}",
                 ERROR_UNAVAILABLE);
}

static bool has_write_errors(const struct operation *operation)
{
    return strcmp(operation->command, "insert") == 0 || strcmp(operation->command, "update") == 0;
}

static void a_key_that_is_taken_is_a_conflict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (operations[i].run == do_insert_many)
            continue; /* says how many went in before it */
        if (has_write_errors(&operations[i]))
            assert_fails(&operations[i], WRITE_ERROR(11000), ERROR_CONFLICT);
    }
    assert_fails(&(struct operation){"findAndModify", do_modify, false}, REFUSAL(11000),
                 ERROR_CONFLICT);
    /* Of an index: nobody else is at work, what is stored is wrong. */
    assert_fails(&(struct operation){"createIndexes", do_create_index, false}, REFUSAL(11000),
                 ERROR_INTERNAL);
}

static void a_full_disk_is_told_as_such(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        struct error error = {0};
        const char *answer = has_write_errors(&operations[i]) ? WRITE_ERROR(14031) : REFUSAL(14031);
        assert_false(run(&operations[i], answer, &error));
        assert_int_equal(error.kind, ERROR_TOO_LARGE);
        assert_ptr_equal(error.failure, &FAILURE_DISK_FULL);
    }
}

static void the_clock_is_the_servers(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t now_ms = 0;
    assert_true(mongodb_now(peer.mongodb, &now_ms, &error));
    assert_in_range(now_ms, INT64_C(1700000000000), INT64_C(1700000010000));
}

static void assert_number(const char *json, bool is_whole, int64_t expected)
{
    bson_t document;
    bson_error_t cause;
    bson_iter_t value;
    int64_t number = 77;
    assert_true(bson_init_from_json(&document, json, -1, &cause));
    assert_true(bson_iter_init_find(&value, &document, "n"));
    if (mongodb_whole_number(&value, -1, INT64_C(1) << 53, &number) != is_whole)
        fail_msg("%s", json);
    assert_int_equal(number, is_whole ? expected : 77);
    bson_destroy(&document);
}

static void a_number_is_whole_and_within_bounds_whatever_its_type(void **state)
{
    (void)state;
    assert_number("{\"n\": 5}", true, 5);
    assert_number("{\"n\": 5.0}", true, 5);
    assert_number("{\"n\": -1.0}", true, -1);
    assert_number("{\"n\": 9007199254740992.0}", true, INT64_C(1) << 53);
    assert_number("{\"n\": {\"$numberLong\": \"5\"}}", true, 5);
    assert_number("{\"n\": 5.5}", false, 0);
    assert_number("{\"n\": -2}", false, 0);
    assert_number("{\"n\": 1e300}", false, 0);
    assert_number("{\"n\": {\"$numberDouble\": \"NaN\"}}", false, 0);
    assert_number("{\"n\": {\"$numberDouble\": \"-Infinity\"}}", false, 0);
    assert_number("{\"n\": {\"$numberLong\": \"9223372036854775807\"}}", false, 0);
    assert_number("{\"n\": \"5\"}", false, 0);
    assert_number("{\"n\": true}", false, 0);
    assert_number("{\"n\": null}", false, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_are_a_majoritys_and_reads_too_whatever_the_uri_says),
        TEST(what_is_passing_is_unavailable),
        TEST(an_election_is_unavailable),
        cmocka_unit_test_setup_teardown(
            what_is_not_answered_ends_in_time_though_the_driver_repeats_it, set_up_silent_set,
            tear_down),
        TEST(our_mistakes_are_not_retried),
        TEST(what_not_a_majority_has_is_unknown),
        TEST(a_key_that_is_taken_is_a_conflict),
        TEST(of_several_a_taken_key_does_not_hide_that_no_majority_has_the_others),
        TEST(a_full_disk_is_told_as_such),
        TEST(the_clock_is_the_servers),
        TEST(a_number_is_whole_and_within_bounds_whatever_its_type),
    };
    return cmocka_run_group_tests_name("stores/mongodb", tests, NULL, NULL);
}
