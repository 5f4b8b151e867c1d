/* For system tests: puts uploads into the stores without a gateway, and tells what is in them, all
 * through the interfaces that the services use.
 *
 *   seed DATA_DIR migrate
 *   seed DATA_DIR upload FILE [name=TEXT] [email=TEXT] [notify=none] [message=off] [due_ms=N]
 *                    [lost=N]
 *   seed DATA_DIR blob video|mp3 FILE   a blob of an original service: no owner, no record
 *   seed DATA_DIR publish video|mp3 BODY
 *   seed DATA_DIR message video|mp3 ID    the message about a record, once more
 *   seed DATA_DIR cancel|delete ID
 *   seed DATA_DIR done ID MP3_FILE | failed ID CODE    as a converter would end it
 *   seed DATA_DIR show ID | records | blobs | dead video|mp3 | length video|mp3
 *   seed DATA_DIR fetch video|mp3 ID FILE
 *
 * Times (recovery.lease and the like) come from the environment, as everywhere.
 * `upload` and `blob` print the id, `show` and `records` the stored documents, one a line. */

#include "base/file.h"
#include "model/conversion_document.h"
#include "model/message.h"
#include "services/common/policy.h"
#include "services/common/records.h"
#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/mongodb.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX 200
#define PIECE_SIZE ((size_t)256 << 10)
#define PUBLISH_TIMEOUT_MS 5000

static struct config *config;
static struct policy policy;
static struct record_store *records;
static struct blob_store *blobs;

static const struct config_option *const tables[] = {
    data_folder_options, blob_store_options, record_store_options, mongodb_options,
    job_queue_options,   rabbitmq_options,   policy_options,       NULL,
};

static bool fail(const struct error *error)
{
    fprintf(stderr, "seed: %s\n", error->text);
    return false;
}

/* "name=value" among the arguments, else the fallback. */
static const char *argument(char **arguments, const char *name, const char *fallback)
{
    size_t size = strlen(name);
    for (; *arguments != NULL; arguments++)
        if (strncmp(*arguments, name, size) == 0 && (*arguments)[size] == '=')
            return *arguments + size + 1;
    return fallback;
}

static int64_t number(const char *text)
{
    return (int64_t)strtoll(text, NULL, 10);
}

static enum blob_kind kind_of(const char *name)
{
    return strcmp(name, "mp3") == 0 ? BLOB_MP3 : BLOB_VIDEO;
}

static enum job_queue_name queue_of(const char *name)
{
    return strcmp(name, "mp3") == 0 ? JOB_QUEUE_MP3 : JOB_QUEUE_VIDEO;
}

/* ---- Writing ---- */

static bool copy_in(struct blob_writer *writer, int fd, uint64_t *out_size, struct error *error)
{
    static char piece[PIECE_SIZE];
    uint64_t offset = 0;
    for (;;) {
        size_t size = 0;
        if (!file_read_at(fd, piece, sizeof piece, offset, &size, error))
            return false;
        if (size == 0)
            break;
        if (!blob_writer_write(writer, offset, piece, size, error))
            return false;
        offset += size;
    }
    *out_size = offset;
    return true;
}

static bool write_blob(enum blob_kind kind, const struct id *id, const char *path,
                       const struct blob_metadata *metadata, uint64_t *out_size,
                       struct error *error)
{
    CLEANUP(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(blob_writer_closep) struct blob_writer *writer = NULL;
    if (fd < 0)
        return error_set(error, ERROR_NOT_FOUND, "cannot read %s", path);
    return blob_writer_open(blobs, kind, id, 1, &writer, error) &&
           copy_in(writer, fd, out_size, error) &&
           blob_writer_finish(writer, *out_size, metadata, error);
}

static bool publish(enum job_queue_name name, const char *body, struct error *error)
{
    struct job_queue *queue = NULL;
    if (!job_queue_open(config, name, &queue, error))
        return false;
    const struct job_message message = {.body = body, .body_size = strlen(body)};
    bool is_sent = job_queue_publish(queue, &message, PUBLISH_TIMEOUT_MS, error);
    job_queue_close(queue);
    return is_sent;
}

static bool publish_about(enum job_queue_name name, const struct conversion *record,
                          struct error *error)
{
    struct message message = {
        .video_id = record->id,
        .mp3_id = record->mp3.id,
        .conversion_id = record->id,
    };
    memcpy(message.username, record->owner.email, sizeof record->owner.email);
    struct buffer body = BUFFER_WITH_MAX(MESSAGE_SIZE_MAX);
    message_format(&message, &body);
    bool is_sent = publish(name, buffer_text(&body), error);
    buffer_finish(&body);
    return is_sent;
}

static bool insert(const struct id *id, const char *path, char **arguments,
                   struct conversion *out_record, struct error *error)
{
    int64_t now_ms;
    if (!record_store_now(records, &now_ms, error))
        return false;
    struct conversion_options options = {0};
    if (strcmp(argument(arguments, "notify", "email"), "none") == 0)
        options.notify = CONVERSION_NOTIFY_NONE;
    const struct conversion_upload upload = {
        .id = *id,
        .owner_id = id_make(),
        .owner_email = argument(arguments, "email", "anna@example.org"),
        .video_name = argument(arguments, "name", path),
        .options = &options,
        .size_bytes = CONVERSION_SIZE_UNKNOWN,
        .holder = id_make_random(),
    };
    conversion_begin_upload(&policy.conversion, now_ms, &upload, out_record);
    return record_store_insert(records, out_record, error) &&
           record_store_get(records, id, out_record, error);
}

static bool arrive(struct conversion *record, uint64_t size, char **arguments, struct error *error)
{
    int64_t now_ms;
    const struct conversion_arrival arrival = {
        .generation = record->generation,
        .size_bytes = (int64_t)size,
    };
    if (!record_store_now(records, &now_ms, error))
        return false;
    if (!conversion_finish_upload(record, &policy.conversion, now_ms, &arrival, record))
        return error_set(error, ERROR_BAD_INPUT, "the upload cannot be finished");
    record->lost = number(argument(arguments, "lost", "0"));
    const char *due_ms = argument(arguments, "due_ms", NULL);
    if (due_ms != NULL)
        record->due_at_ms = now_ms + number(due_ms);
    return record_store_update(records, record, error);
}

static bool run_upload(char **arguments, struct error *error)
{
    struct conversion record;
    struct id id = id_make();
    uint64_t size = 0;
    if (!insert(&id, arguments[0], arguments, &record, error))
        return false;
    const struct blob_metadata metadata = {.conversion_id = id, .owner_id = record.owner.id};
    if (!write_blob(BLOB_VIDEO, &id, arguments[0], &metadata, &size, error) ||
        !arrive(&record, size, arguments, error))
        return false;
    puts(id.text);
    return strcmp(argument(arguments, "message", "on"), "off") == 0 ||
           publish_about(JOB_QUEUE_VIDEO, &record, error);
}

static bool run_blob(char **arguments, struct error *error)
{
    const struct blob_metadata metadata = {0};
    struct id id = id_make();
    uint64_t size = 0;
    if (!write_blob(kind_of(arguments[0]), &id, arguments[1], &metadata, &size, error))
        return false;
    puts(id.text);
    return true;
}

static bool run_publish(char **arguments, struct error *error)
{
    return publish(queue_of(arguments[0]), arguments[1], error);
}

static bool run_message(char **arguments, struct error *error)
{
    struct id id;
    struct conversion record;
    return id_parse(arguments[1], &id, error) && record_store_get(records, &id, &record, error) &&
           publish_about(queue_of(arguments[0]), &record, error);
}

static bool decide_cancel(void *context, const struct conversion *record, int64_t now_ms,
                          struct conversion *out_next)
{
    (void)context;
    return conversion_cancel(record, &policy.conversion, now_ms, out_next);
}

static bool decide_delete(void *context, const struct conversion *record, int64_t now_ms,
                          struct conversion *out_next)
{
    (void)context;
    return conversion_delete(record, &policy.conversion, now_ms, out_next);
}

static bool change(const char *text, record_decision *decide, struct error *error)
{
    struct id id;
    struct conversion record;
    if (!id_parse(text, &id, error))
        return false;
    enum record_outcome outcome =
        records_change(records, &id, decide, NULL, PUBLISH_TIMEOUT_MS, &record, error);
    if (outcome == RECORD_REFUSED || outcome == RECORD_ABSENT)
        return error_set(error, ERROR_CONFLICT, "refused");
    return outcome == RECORD_WRITTEN;
}

static bool run_cancel(char **arguments, struct error *error)
{
    return change(arguments[0], decide_cancel, error);
}

static bool run_delete(char **arguments, struct error *error)
{
    return change(arguments[0], decide_delete, error);
}

/* ---- What a converter would do ---- */

struct ending {
    struct id holder;
    struct conversion_result result;
    const struct failure *failure; /* NULL: done */
};

static bool decide_claim(void *context, const struct conversion *record, int64_t now_ms,
                         struct conversion *out_next)
{
    const struct ending *ending = context;
    return conversion_claim(record, &policy.conversion, now_ms, ending->holder, out_next);
}

static bool decide_end(void *context, const struct conversion *record, int64_t now_ms,
                       struct conversion *out_next)
{
    const struct ending *ending = context;
    if (ending->failure != NULL)
        return conversion_fail(record, &policy.conversion, now_ms, &ending->holder, ending->failure,
                               out_next);
    return conversion_succeed(record, &policy.conversion, now_ms, &ending->holder, &ending->result,
                              out_next);
}

static bool claim(const char *text, struct ending *ending, struct conversion *out_record,
                  struct error *error)
{
    struct id id;
    ending->holder = id_make_random();
    return id_parse(text, &id, error) &&
           (records_change(records, &id, decide_claim, ending, PUBLISH_TIMEOUT_MS, out_record,
                           error) == RECORD_WRITTEN ||
            error_set(error, ERROR_CONFLICT, "not claimable"));
}

static bool end(struct conversion *record, struct ending *ending, struct error *error)
{
    return records_change_read(records, record, decide_end, ending, PUBLISH_TIMEOUT_MS, error) ==
               RECORD_WRITTEN ||
           error_set(error, ERROR_CONFLICT, "not ended");
}

static bool run_done(char **arguments, struct error *error)
{
    struct conversion record;
    struct ending ending = {
        .result =
            {
                .duration_seconds = 1200.1,
                .bitrate_kbps = 128,
                .sample_rate_hz = 44100,
                .channels = 2,
            },
    };
    uint64_t size = 0;
    if (!claim(arguments[0], &ending, &record, error))
        return false;
    struct id mp3_id = conversion_mp3_id(&record.id, record.claim);
    const struct blob_metadata metadata = {.conversion_id = record.id};
    if (!write_blob(BLOB_MP3, &mp3_id, arguments[1], &metadata, &size, error))
        return false;
    ending.result.size_bytes = (int64_t)size;
    return end(&record, &ending, error);
}

static bool run_failed(char **arguments, struct error *error)
{
    struct conversion record;
    struct ending ending = {.failure = failure_find(arguments[1])};
    if (ending.failure == NULL)
        return error_set(error, ERROR_BAD_INPUT, "no such code");
    return claim(arguments[0], &ending, &record, error) && end(&record, &ending, error);
}

/* ---- Reading ---- */

static void print_record(const struct conversion *record)
{
    json_t *json = conversion_to_json(record);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static bool run_show(char **arguments, struct error *error)
{
    struct id id;
    struct conversion record;
    if (!id_parse(arguments[0], &id, error) || !record_store_get(records, &id, &record, error))
        return false;
    print_record(&record);
    return true;
}

static bool run_records(char **arguments, struct error *error)
{
    (void)arguments;
    struct conversion *found = calloc(COUNT_MAX, sizeof *found);
    size_t count = COUNT_MAX;
    struct id after = {{0}};
    bool is_read = found != NULL;
    while (is_read && count == COUNT_MAX) {
        is_read = record_store_scan(records, &after, COUNT_MAX, found, &count, error);
        for (size_t i = 0; is_read && i < count; i++)
            print_record(&found[i]);
        if (is_read && count > 0)
            after = found[count - 1].id;
    }
    free(found);
    return is_read;
}

static bool print_blobs(enum blob_kind kind, const char *name, struct error *error)
{
    struct id ids[COUNT_MAX];
    struct id after = {{0}};
    size_t count = COUNT_MAX;
    while (count == COUNT_MAX) {
        if (!blob_store_scan(blobs, kind, &after, COUNT_MAX, ids, &count, error))
            return false;
        for (size_t i = 0; i < count; i++)
            printf("%s %s\n", name, ids[i].text);
        if (count > 0)
            after = ids[count - 1];
    }
    return true;
}

static bool run_blobs(char **arguments, struct error *error)
{
    (void)arguments;
    return print_blobs(BLOB_VIDEO, "video", error) && print_blobs(BLOB_MP3, "mp3", error);
}

static enum job_queue_verdict print_letter(void *context, const struct job_queue_letter *letter)
{
    (void)context;
    printf("%s\t%.*s\n", letter->reason, (int)letter->body_size, (const char *)letter->body);
    return JOB_QUEUE_KEEP;
}

static bool run_dead(char **arguments, struct error *error)
{
    struct job_queue *queue = NULL;
    bool is_read = job_queue_open(config, queue_of(arguments[0]), &queue, error) &&
                   job_queue_browse_dead(queue, COUNT_MAX, print_letter, NULL, error);
    job_queue_close(queue);
    return is_read;
}

static bool run_length(char **arguments, struct error *error)
{
    struct job_queue *queue = NULL;
    uint64_t length = 0;
    bool is_read = job_queue_open(config, queue_of(arguments[0]), &queue, error) &&
                   job_queue_length(queue, &length, error);
    job_queue_close(queue);
    if (is_read)
        printf("%" PRIu64 "\n", length);
    return is_read;
}

static bool copy_out(struct blob_reader *reader, int fd, uint64_t size, struct error *error)
{
    static char piece[PIECE_SIZE];
    for (uint64_t offset = 0; offset < size;) {
        size_t got = 0;
        if (!blob_reader_read(reader, offset, piece, sizeof piece, &got, error) ||
            !file_write(fd, piece, got, error))
            return false;
        if (got == 0)
            return error_set(error, ERROR_INTERNAL, "shorter than it says");
        offset += got;
    }
    return true;
}

static bool run_fetch(char **arguments, struct error *error)
{
    struct id id;
    struct blob_metadata metadata;
    uint64_t size = 0;
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    CLEANUP(file_closep)
    int fd = open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, ERROR_NOT_FOUND, "cannot write %s", arguments[2]);
    return id_parse(arguments[1], &id, error) &&
           blob_reader_open(blobs, kind_of(arguments[0]), &id, &reader, &size, &metadata, error) &&
           copy_out(reader, fd, size, error);
}

static bool run_migrate(char **arguments, struct error *error)
{
    (void)arguments;
    return record_store_migrate(config, error) && job_queue_migrate(config, error);
}

/* ---- Main ---- */

static const struct {
    const char *name;
    int argument_count; /* at least */
    bool uses_blobs;    /* opened only then: that makes folders */
    bool (*run)(char **arguments, struct error *error);
} commands[] = {
    {"migrate", 0, false, run_migrate}, {"upload", 1, true, run_upload},
    {"blob", 2, true, run_blob},        {"publish", 2, false, run_publish},
    {"message", 2, false, run_message}, {"cancel", 1, false, run_cancel},
    {"delete", 1, false, run_delete},   {"show", 1, false, run_show},
    {"records", 0, false, run_records}, {"blobs", 0, true, run_blobs},
    {"dead", 1, false, run_dead},       {"length", 1, false, run_length},
    {"fetch", 3, true, run_fetch},      {"done", 2, true, run_done},
    {"failed", 2, false, run_failed},
};

static bool open_config(const char *data_dir, struct error *error)
{
    char assignment[FILE_PATH_SIZE];
    snprintf(assignment, sizeof assignment, "data.dir=%s", data_dir);
    const char *const assignments[] = {assignment, NULL};
    const struct config_sources sources = {
        .assignments = assignments,
        .environment = (const char *const *)environ,
    };
    return config_open(tables, &sources, &config, error) && policy_load(config, &policy, error);
}

static bool run(int argc, char **argv, struct error *error)
{
    if (argc < 3)
        return error_set(error, ERROR_BAD_INPUT, "seed DATA_DIR COMMAND ...");
    if (!open_config(argv[1], error))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, argv[2]) != 0 || argc - 3 < commands[i].argument_count)
            continue;
        return record_store_open(config, &records, error) &&
               (!commands[i].uses_blobs || blob_store_open(config, &blobs, error)) &&
               commands[i].run(argv + 3, error);
    }
    return error_set(error, ERROR_BAD_INPUT, "unknown command, or arguments are missing");
}

int main(int argc, char **argv)
{
    struct error error = {0};
    bool is_done = run(argc, argv, &error) || fail(&error);
    blob_store_close(blobs);
    record_store_close(records);
    config_close(config);
    return is_done ? 0 : 1;
}
