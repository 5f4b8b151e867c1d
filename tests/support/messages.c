/* For system tests: one handle of a queue, which does what it is told on standard input, so that a
 * test can do something to the broker between two calls.
 *
 *   messages video|mp3 [section.key=value]...
 *
 *   take MS | ack | bury REASON | publish MS BODY | check | length | reopen | dead
 *
 * Each is answered by one line of JSON: whether it succeeded, how long it took, what it found. */

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "stores/job_queue/job_queue.h"
#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/shared/data_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 8192
#define SHOWN_SIZE 200 /* of a body */

static const struct config_option *const tables[] = {
    data_folder_options,
    job_queue_options,
    rabbitmq_options,
    NULL,
};

struct bench {
    struct config *config;
    enum job_queue_name name;
    struct job_queue *queue;
};

static int number_before(char **text)
{
    uint64_t number = 0;
    char *space = strchr(*text, ' ');
    if (space != NULL)
        *space = '\0';
    if (!text_parse_count(*text, 1000000, &number, NULL))
        abort();
    *text = space == NULL ? *text + strlen(*text) : space + 1;
    return (int)number;
}

static bool take(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    const struct job_delivery *delivery = NULL;
    if (!job_queue_take(bench->queue, number_before(&argument), -1, &delivery, error))
        return false;
    if (delivery == NULL)
        return true;
    char shown[SHOWN_SIZE + 1];
    snprintf(shown, sizeof shown, "%s", buffer_text(&delivery->body));
    json_object_set_new(answer, "body", json_string(shown));
    json_object_set_new(answer, "size", json_integer((json_int_t)delivery->body.size));
    json_object_set_new(answer, "message_id", json_string(delivery->message_id));
    json_object_set_new(answer, "traceparent", json_string(delivery->traceparent));
    return true;
}

static bool ack(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)argument;
    (void)answer;
    return job_queue_ack(bench->queue, error);
}

static bool bury(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)answer;
    return job_queue_bury(bench->queue, argument, error);
}

static bool publish(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)answer;
    int timeout_ms = number_before(&argument);
    const struct job_message message = {
        .body = argument,
        .body_size = strlen(argument),
        .message_id = "66f0aabbccddeeff00112233",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    return job_queue_publish(bench->queue, &message, timeout_ms, error);
}

static bool check(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)argument;
    (void)answer;
    return job_queue_check(bench->queue, error);
}

static bool length(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)argument;
    uint64_t count = 0;
    if (!job_queue_length(bench->queue, &count, error))
        return false;
    json_object_set_new(answer, "length", json_integer((json_int_t)count));
    return true;
}

static bool reopen(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)argument;
    (void)answer;
    job_queue_close(bench->queue);
    bench->queue = NULL;
    return job_queue_open(bench->config, bench->name, &bench->queue, error);
}

static enum job_queue_verdict see(void *context, const struct job_queue_letter *letter)
{
    json_t *seen = json_object();
    json_object_set_new(seen, "id", json_string(letter->id));
    json_object_set_new(seen, "reason", json_string(letter->reason));
    json_object_set_new(seen, "size", json_integer((json_int_t)letter->body_size));
    json_object_set_new(seen, "buried_at_ms", json_integer((json_int_t)letter->buried_at_ms));
    json_array_append_new(context, seen);
    return JOB_QUEUE_KEEP;
}

static bool dead(struct bench *bench, char *argument, json_t *answer, struct error *error)
{
    (void)argument;
    json_t *letters = json_array();
    json_object_set_new(answer, "letters", letters);
    return job_queue_browse_dead(bench->queue, SIZE_MAX, see, letters, error);
}

static const struct command {
    const char *name;
    bool (*run)(struct bench *bench, char *argument, json_t *answer, struct error *error);
} commands[] = {
    {"take", take},   {"ack", ack},       {"bury", bury},     {"publish", publish},
    {"check", check}, {"length", length}, {"reopen", reopen}, {"dead", dead},
};

static void run(struct bench *bench, char *line)
{
    struct error error = {0};
    json_t *answer = json_object();
    size_t size = strcspn(line, " ");
    char *argument = line[size] == '\0' ? line + size : line + size + 1;
    int64_t start_ms = clock_boot_ms();
    bool succeeded = error_set(&error, ERROR_BAD_INPUT, "no such command");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strlen(commands[i].name) == size && strncmp(commands[i].name, line, size) == 0)
            succeeded = commands[i].run(bench, argument, answer, &error);
    }
    json_object_set_new(answer, "ok", json_boolean(succeeded));
    json_object_set_new(answer, "ms", json_integer((json_int_t)(clock_boot_ms() - start_ms)));
    json_object_set_new(answer, "error", json_string(succeeded ? "" : error.text));
    char *text = json_dumps(answer, 0);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct bench bench = {0};
    if (argc < 2)
        return 2;
    const struct config_sources sources = {.assignments = (const char *const *)(argv + 2)};
    bench.name = strcmp(argv[1], "mp3") == 0 ? JOB_QUEUE_MP3 : JOB_QUEUE_VIDEO;
    log_open("messages", LOG_LEVEL_WARNING);
    if (!config_open(tables, &sources, &bench.config, &error) ||
        !job_queue_open(bench.config, bench.name, &bench.queue, &error)) {
        fprintf(stderr, "messages: %s\n", error.text);
        return 1;
    }
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        run(&bench, line);
    }
    job_queue_close(bench.queue);
    config_close(bench.config);
    return 0;
}
