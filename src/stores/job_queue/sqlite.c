#include "stores/job_queue/backend.h"

#include "base/clock.h"
#include "base/text.h"
#include "stores/job_queue/wake_file.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/sqlite.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one queue. A message more is refused: the record it hints at is found by its due time. */
#define LENGTH_MAX "20000"
#define DEAD_MAX "10000" /* dead letters of one queue; the oldest give way */
/* While another handle has taken something: how often to look whether it still lives. */
#define TAKERS_LOOK_MS 1000

static const char *const schema_steps[] = {
    "CREATE TABLE messages ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  queue TEXT NOT NULL,"
    "  taker INTEGER NOT NULL," /* wake_file.h; 0: free */
    "  deliveries INTEGER NOT NULL,"
    "  message_id TEXT NOT NULL,"
    "  traceparent TEXT NOT NULL,"
    "  body BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX by_taker ON messages (queue, taker, number);"
    "CREATE TABLE dead ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  queue TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  buried_at INTEGER NOT NULL,"
    "  message_id TEXT NOT NULL,"
    "  traceparent TEXT NOT NULL,"
    "  body BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX dead_by_queue ON dead (queue, number);",
    NULL,
};

static const struct sqlite_schema schema = {
    .file = "queue.db",
    .purpose = "job queue",
    .steps = schema_steps,
    .reader_least = 1,
};

enum {
    PUBLISH,
    TAKERS,
    FREE_OF_TAKER,
    FIRST,
    TAKE,
    RELEASE,
    ACK,
    BURY,
    TRIM_DEAD,
    LENGTH,
    NEXT_DEAD,
    DROP_DEAD,
    STATEMENT_COUNT,
};

static const char *const statements[STATEMENT_COUNT + 1] = {
    [PUBLISH] = "INSERT INTO messages (queue, taker, deliveries, message_id, traceparent, body)"
                " SELECT ?1, 0, 0, ?2, ?3, ?4"
                " WHERE (SELECT count(*) FROM messages WHERE queue = ?1) < " LENGTH_MAX,
    [TAKERS] = "SELECT DISTINCT taker FROM messages WHERE queue = ?1 AND taker > ?2 LIMIT 1",
    [FREE_OF_TAKER] = "UPDATE messages SET taker = 0 WHERE queue = ?1 AND taker = ?2",
    [FIRST] = "SELECT number, deliveries, message_id, traceparent, body FROM messages"
              " WHERE queue = ?1 AND taker = 0 ORDER BY number LIMIT 1",
    [TAKE] = "UPDATE messages SET taker = ?1, deliveries = deliveries + 1 WHERE number = ?2",
    [RELEASE] = "UPDATE messages SET taker = 0 WHERE number = ?1 AND taker = ?2",
    [ACK] = "DELETE FROM messages WHERE number = ?1",
    [BURY] = "INSERT INTO dead (queue, reason, buried_at, message_id, traceparent, body)"
             " SELECT queue, ?1, ?2, message_id, traceparent, body FROM messages"
             " WHERE number = ?3",
    [TRIM_DEAD] = "DELETE FROM dead WHERE queue = ?1 AND number <= (SELECT number FROM dead"
                  " WHERE queue = ?1 ORDER BY number DESC LIMIT 1 OFFSET " DEAD_MAX ")",
    [LENGTH] = "SELECT count(*) FROM messages WHERE queue = ?1 AND taker = 0",
    [NEXT_DEAD] = "SELECT number, reason, buried_at, body FROM dead WHERE queue = ?1"
                  " AND number > ?2 ORDER BY number LIMIT 1",
    [DROP_DEAD] = "DELETE FROM dead WHERE number = ?1",
};
_Static_assert(STATEMENT_COUNT <= SQLITE_STATEMENTS_MAX, "room for every statement");

struct sqlite_queue {
    struct job_queue base;
    const char *name;
    struct sqlite_database database;
    struct wake_file wake;
    int64_t number; /* of the outstanding delivery */
    struct job_delivery delivery;
};

static struct sqlite_queue *sqlite_queue_of(struct job_queue *queue)
{
    assert(queue->backend == &job_queue_sqlite);
    return (struct sqlite_queue *)queue;
}

static bool sqlite_open(const struct config *config, enum job_queue_name name,
                        struct job_queue **out_queue, struct error *error)
{
    struct sqlite_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        abort();
    queue->base.backend = &job_queue_sqlite;
    queue->name = job_queue_name_text(name);
    queue->wake = WAKE_FILE_CLOSED;
    queue->delivery.body = BUFFER_WITH_MAX(JOB_QUEUE_BODY_SIZE_MAX);
    CLEANUP(job_queue_closep) struct job_queue *owned = &queue->base;
    const char *folder = NULL;
    if (!sqlite_database_init(&queue->database, config, &schema, statements, error) ||
        !data_folder_get(config, &folder, error) ||
        !file_path(queue->wake.path, error, "%s/queue-%s.wake", folder, queue->name))
        return false;
    *out_queue = owned;
    owned = NULL; /* the caller's now */
    return true;
}

static bool sqlite_check(struct job_queue *queue, struct error *error)
{
    return sqlite_database_check(&sqlite_queue_of(queue)->database, error);
}

static bool sqlite_migrate(const struct config *config, struct error *error)
{
    return sqlite_database_migrate(config, &schema, error);
}

static bool sqlite_backup(const struct config *config, const char *folder, struct error *error)
{
    return sqlite_database_backup(config, &schema, folder, error);
}

/* Runs a statement of two integers, or of the queue's name and one. */
static bool run_on_number(struct sqlite_queue *queue, size_t statement, int64_t number,
                          const int64_t *second, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, &queue->database, statement, error))
        return false;
    sqlite_query_put_integer(&query, number);
    if (second != NULL)
        sqlite_query_put_integer(&query, *second);
    return sqlite_query_run(&query, NULL, error);
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static bool insert_message(struct sqlite_queue *queue, const struct job_message *message,
                           struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    int64_t changes = 0;
    if (!sqlite_database_set_lazy(&queue->database, false, error) ||
        !sqlite_query_start(&query, &queue->database, PUBLISH, error))
        return false;
    sqlite_query_put_text(&query, queue->name);
    sqlite_query_put_text(&query, text_or_empty(message->message_id));
    sqlite_query_put_text(&query, text_or_empty(message->traceparent));
    sqlite_query_put_bytes(&query, message->body, message->body_size);
    if (!sqlite_query_run(&query, &changes, error))
        return false;
    return changes == 1 || error_set(error, ERROR_TOO_LARGE,
                                     "queue %s is full: " LENGTH_MAX " messages wait", queue->name);
}

static bool sqlite_publish(struct job_queue *queue, const struct job_message *message,
                           int timeout_ms, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    sqlite_database_set_timeout(&sqlite->database, timeout_ms);
    bool is_published = insert_message(sqlite, message, error);
    sqlite_database_set_timeout(&sqlite->database, SQLITE_TIMEOUT_MS);
    if (!is_published)
        return false;
    /* It is durable; who is not woken finds it by looking. */
    ignore_failure(wake_file_ring(&sqlite->wake, NULL));
    return true;
}

/* The next handle, by ascending number, that has taken something; 0: no more. */
static bool next_taker(struct sqlite_queue *queue, int64_t *taker, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    bool has_row = false;
    if (!sqlite_query_start(&query, &queue->database, TAKERS, error))
        return false;
    sqlite_query_put_text(&query, queue->name);
    sqlite_query_put_integer(&query, *taker);
    if (!sqlite_query_step(&query, &has_row, error))
        return false;
    *taker = has_row ? sqlite_query_integer(&query, 0) : 0;
    return true;
}

static bool free_of_taker(struct sqlite_queue *queue, int64_t taker, struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    if (!sqlite_query_start(&query, &queue->database, FREE_OF_TAKER, error))
        return false;
    sqlite_query_put_text(&query, queue->name);
    sqlite_query_put_integer(&query, taker);
    return sqlite_query_run(&query, NULL, error);
}

/* What a handle that is gone had taken is free again. The own one has nothing taken here. */
static bool free_of_the_gone(struct sqlite_queue *queue, bool *out_others_hold, struct error *error)
{
    *out_others_hold = false;
    for (int64_t taker = 0;;) {
        bool is_alive = false;
        if (!next_taker(queue, &taker, error))
            return false;
        if (taker == 0)
            return true;
        if (!wake_file_is_alive(&queue->wake, taker, &is_alive, error))
            return false;
        if (is_alive)
            *out_others_hold = true;
        else if (!free_of_taker(queue, taker, error))
            return false;
    }
}

/* Leaves *out_number 0 where nothing is free. */
static bool read_first(struct sqlite_queue *queue, int64_t *out_number, int64_t *out_deliveries,
                       struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    bool has_row = false;
    size_t size = 0;
    struct job_delivery *delivery = &queue->delivery;
    *out_number = 0;
    if (!sqlite_query_start(&query, &queue->database, FIRST, error))
        return false;
    sqlite_query_put_text(&query, queue->name);
    if (!sqlite_query_step(&query, &has_row, error) || !has_row)
        return !has_row;
    *out_number = sqlite_query_integer(&query, 0);
    *out_deliveries = sqlite_query_integer(&query, 1);
    sqlite_query_copy_text(&query, 2, delivery->message_id, sizeof delivery->message_id);
    sqlite_query_copy_text(&query, 3, delivery->traceparent, sizeof delivery->traceparent);
    const void *body = sqlite_query_bytes(&query, 4, &size);
    buffer_clear(&delivery->body);
    return buffer_append(&delivery->body, body,
                         size < JOB_QUEUE_BODY_SIZE_MAX ? size : JOB_QUEUE_BODY_SIZE_MAX, error);
}

static bool bury_number(struct sqlite_queue *queue, int64_t number, const char *reason,
                        struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query bury = {0};
    CLEANUP(sqlite_query_finish) struct sqlite_query trim = {0};
    if (!sqlite_query_start(&bury, &queue->database, BURY, error))
        return false;
    sqlite_query_put_text(&bury, reason);
    sqlite_query_put_integer(&bury, clock_wall_ms());
    sqlite_query_put_integer(&bury, number);
    if (!sqlite_query_run(&bury, NULL, error) || !run_on_number(queue, ACK, number, NULL, error) ||
        !sqlite_query_start(&trim, &queue->database, TRIM_DEAD, error))
        return false;
    sqlite_query_put_text(&trim, queue->name);
    return sqlite_query_run(&trim, NULL, error);
}

static bool take_first(struct sqlite_queue *queue, struct error *error)
{
    struct sqlite_database *database = &queue->database;
    int64_t number = 0;
    int64_t deliveries = 0;
    if (!sqlite_transaction_begin(database, error))
        return false;
    CLEANUP(sqlite_transaction_endp) struct sqlite_database *transaction = database;
    for (;;) {
        if (!read_first(queue, &number, &deliveries, error))
            return false;
        if (number == 0 || deliveries < JOB_QUEUE_DELIVERIES_MAX)
            break;
        if (!bury_number(queue, number, "delivered 20 times and never settled", error))
            return false;
    }
    if (number != 0 && !run_on_number(queue, TAKE, queue->wake.taker, &number, error))
        return false;
    if (!sqlite_transaction_commit(transaction, error))
        return false;
    queue->number = number;
    queue->base.has_delivery = number != 0;
    return true;
}

static bool try_take(struct sqlite_queue *queue, bool *out_others_hold, struct error *error)
{
    int64_t number = 0;
    int64_t deliveries = 0;
    if (!free_of_the_gone(queue, out_others_hold, error) ||
        !read_first(queue, &number, &deliveries, error))
        return false;
    /* Only who has found something asks for the write lock. */
    return number == 0 || take_first(queue, error);
}

/* What was taken and not settled by the next take, or by the close, comes back. */
static bool release(struct sqlite_queue *queue, struct error *error)
{
    if (!queue->base.has_delivery)
        return true;
    if (!run_on_number(queue, RELEASE, queue->number, &queue->wake.taker, error))
        return false;
    queue->base.has_delivery = false;
    ignore_failure(wake_file_ring(&queue->wake, NULL));
    return true;
}

static void sqlite_close(struct job_queue *queue)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    ignore_failure(release(sqlite, NULL));
    sqlite_database_finish(&sqlite->database);
    wake_file_close(&sqlite->wake);
    buffer_finish(&sqlite->delivery.body);
    free(sqlite);
}

/* What a power loss can undo of a take or an ack is a delivery more. */
static bool prepare_take(struct sqlite_queue *queue, struct error *error)
{
    return sqlite_database_set_lazy(&queue->database, true, error) && release(queue, error) &&
           sqlite_database_check(&queue->database, error);
}

static bool sqlite_take(struct job_queue *queue, int timeout_ms, int interrupt_fd,
                        const struct job_delivery **out_delivery, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    int64_t until_ms = clock_boot_ms() + timeout_ms;
    if (!prepare_take(sqlite, error))
        return false;
    for (;;) {
        bool others_hold = false;
        if (!wake_file_listen(&sqlite->wake, error) || !try_take(sqlite, &others_hold, error))
            return false;
        int64_t left_ms = until_ms - clock_boot_ms();
        if (queue->has_delivery || left_ms <= 0)
            break;
        if (others_hold && left_ms > TAKERS_LOOK_MS)
            left_ms = TAKERS_LOOK_MS;
        if (wake_file_wait(&sqlite->wake, (int)left_ms, interrupt_fd) == WAKE_INTERRUPT)
            break;
    }
    *out_delivery = queue->has_delivery ? &sqlite->delivery : NULL;
    return true;
}

static bool sqlite_ack(struct job_queue *queue, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    if (!run_on_number(sqlite, ACK, sqlite->number, NULL, error))
        return false;
    queue->has_delivery = false;
    return true;
}

static bool sqlite_bury(struct job_queue *queue, const char *reason, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    if (!sqlite_transaction_begin(&sqlite->database, error))
        return false;
    CLEANUP(sqlite_transaction_endp) struct sqlite_database *transaction = &sqlite->database;
    if (!bury_number(sqlite, sqlite->number, reason, error) ||
        !sqlite_transaction_commit(transaction, error))
        return false;
    queue->has_delivery = false;
    return true;
}

static bool sqlite_length(struct job_queue *queue, uint64_t *out_length, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    bool has_row = false;
    if (!sqlite_query_start(&query, &sqlite->database, LENGTH, error))
        return false;
    sqlite_query_put_text(&query, sqlite->name);
    if (!sqlite_query_step(&query, &has_row, error))
        return false;
    *out_length = (uint64_t)sqlite_query_integer(&query, 0);
    return true;
}

/* A copy, so that nothing is locked while the visitor looks at it. */
struct dead_letter {
    int64_t number; /* 0: there is none */
    char id[24];
    char reason[JOB_QUEUE_REASON_SIZE_MAX];
    int64_t buried_at_ms;
    struct buffer body;
};

static bool read_dead(struct sqlite_queue *queue, int64_t after, struct dead_letter *letter,
                      struct error *error)
{
    CLEANUP(sqlite_query_finish) struct sqlite_query query = {0};
    bool has_row = false;
    size_t size = 0;
    letter->number = 0;
    if (!sqlite_query_start(&query, &queue->database, NEXT_DEAD, error))
        return false;
    sqlite_query_put_text(&query, queue->name);
    sqlite_query_put_integer(&query, after);
    if (!sqlite_query_step(&query, &has_row, error) || !has_row)
        return !has_row;
    letter->number = sqlite_query_integer(&query, 0);
    snprintf(letter->id, sizeof letter->id, "%" PRId64, letter->number);
    sqlite_query_copy_text(&query, 1, letter->reason, sizeof letter->reason);
    letter->buried_at_ms = sqlite_query_integer(&query, 2);
    const void *body = sqlite_query_bytes(&query, 3, &size);
    buffer_clear(&letter->body);
    return buffer_append(&letter->body, body,
                         size < JOB_QUEUE_BODY_SIZE_MAX ? size : JOB_QUEUE_BODY_SIZE_MAX, error);
}

static bool sqlite_browse_dead(struct job_queue *queue, size_t limit, job_queue_visit *visit,
                               void *context, struct error *error)
{
    struct sqlite_queue *sqlite = sqlite_queue_of(queue);
    CLEANUP(buffer_finish) struct buffer body = BUFFER_WITH_MAX(JOB_QUEUE_BODY_SIZE_MAX);
    struct dead_letter letter = {.body = body};
    bool succeeded = true;
    int64_t after = 0;
    for (size_t i = 0; succeeded && i < limit; i++, after = letter.number) {
        succeeded = read_dead(sqlite, after, &letter, error);
        if (!succeeded || letter.number == 0)
            break;
        const struct job_queue_letter shown = {
            .id = letter.id,
            .reason = letter.reason,
            .buried_at_ms = letter.buried_at_ms,
            .body = buffer_text(&letter.body),
            .body_size = letter.body.size,
        };
        if (visit(context, &shown) == JOB_QUEUE_DROP)
            succeeded = run_on_number(sqlite, DROP_DEAD, letter.number, NULL, error);
    }
    body = letter.body;
    return succeeded;
}

const struct job_queue_backend job_queue_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .check = sqlite_check,
    .migrate = sqlite_migrate,
    .backup = sqlite_backup,
    .publish = sqlite_publish,
    .take = sqlite_take,
    .ack = sqlite_ack,
    .bury = sqlite_bury,
    .length = sqlite_length,
    .browse_dead = sqlite_browse_dead,
};
