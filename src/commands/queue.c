/* tapedeck queue dead: messages that nobody could read. */

#include "commands/commands.h"
#include "commands/session.h"

#include "base/clock.h"
#include "base/text.h"
#include "stores/job_queue/job_queue.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LETTERS_MAX 100000
#define ID_SIZE_MAX 160
#define SHOWN_SIZE 160 /* of a body */

static const char help[] =
    "usage: tapedeck queue dead list\n"
    "       tapedeck queue dead drop ID | --all\n\n"
    "Dead letters are messages that no service could read, each with the reason. No conversion\n"
    "waits for one: what is to be done stands in its record. They are kept to find out who sends\n"
    "such messages, until they are dropped.\n\n"
    "Examples:\n"
    "  tapedeck queue dead list\n"
    "  tapedeck queue dead drop video/3\n";

static const enum job_queue_name queues[] = {JOB_QUEUE_VIDEO, JOB_QUEUE_MP3};

/* The ids of two queues may be the same: people are shown "video/ID". */
struct visit {
    enum job_queue_name queue;
    const char *wanted; /* of drop: "video/ID"; NULL: all */
    size_t count;       /* listed, or dropped */
};

static void format_id(const struct visit *visit, const struct job_queue_letter *letter,
                      char out_id[ID_SIZE_MAX])
{
    snprintf(out_id, ID_SIZE_MAX, "%s/%s", job_queue_name_text(visit->queue), letter->id);
}

/* The beginning of the body, without what a terminal would obey. */
static void print_body(const struct job_queue_letter *letter)
{
    char shown[SHOWN_SIZE + 1];
    const unsigned char *body = letter->body;
    size_t size = letter->body_size < SHOWN_SIZE ? letter->body_size : SHOWN_SIZE;
    for (size_t i = 0; i < size; i++)
        shown[i] = body[i] >= 0x20 && body[i] < 0x7f ? (char)body[i] : '.';
    shown[size] = '\0';
    printf("    %zu bytes: %s%s\n", letter->body_size, shown, size < letter->body_size ? "…" : "");
}

static enum job_queue_verdict list_one(void *context, const struct job_queue_letter *letter)
{
    struct visit *visit = context;
    char id[ID_SIZE_MAX];
    char buried_at[CLOCK_TEXT_SIZE];
    format_id(visit, letter, id);
    clock_format_seconds(letter->buried_at_ms, buried_at);
    printf("%s  %s  %s\n", buried_at, id, letter->reason);
    print_body(letter);
    visit->count++;
    return JOB_QUEUE_KEEP;
}

static enum job_queue_verdict drop_one(void *context, const struct job_queue_letter *letter)
{
    struct visit *visit = context;
    char id[ID_SIZE_MAX];
    format_id(visit, letter, id);
    if (visit->wanted != NULL && strcmp(visit->wanted, id) != 0)
        return JOB_QUEUE_KEEP;
    visit->count++;
    return JOB_QUEUE_DROP;
}

static bool visit_all(const struct session *session, struct visit *visit, job_queue_visit *visitor,
                      struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(queues); i++) {
        CLEANUP(job_queue_closep) struct job_queue *queue = NULL;
        visit->queue = queues[i];
        if (!job_queue_open(session->config, queues[i], &queue, error) ||
            !job_queue_browse_dead(queue, LETTERS_MAX, visitor, visit, error))
            return false;
    }
    return true;
}

static int list(struct session *session)
{
    struct error error = {0};
    struct visit visit = {0};
    if (!session_has_arguments(session, 0, "tapedeck queue dead list"))
        return COMMAND_USAGE;
    if (!visit_all(session, &visit, list_one, &error))
        return session_fail(session, &error);
    if (visit.count == 0)
        puts("There are no dead letters.");
    return COMMAND_OK;
}

static int drop(struct session *session)
{
    struct error error = {0};
    struct visit visit = {0};
    bool drops_all = session_take_flag(session, "--all");
    if (!session_has_arguments(session, drops_all ? 0 : 1, "tapedeck queue dead drop ID | --all"))
        return COMMAND_USAGE;
    visit.wanted = drops_all ? NULL : session->line.rest[0];
    if (!visit_all(session, &visit, drop_one, &error))
        return session_fail(session, &error);
    if (!drops_all && visit.count == 0) {
        error_set(&error, ERROR_NOT_FOUND,
                  "there is no dead letter %.100s; `tapedeck queue dead list` shows their ids",
                  visit.wanted);
        return session_fail(session, &error);
    }
    printf("dropped %zu\n", visit.count);
    return COMMAND_OK;
}

static int dead(struct session *session)
{
    static const struct session_action actions[] = {
        {"list", list},
        {"drop", drop},
        {0},
    };
    return session_run_action(session, actions);
}

int queue_run(const struct invocation *invocation)
{
    static const struct session_action actions[] = {
        {"dead", dead},
        {0},
    };
    return session_run(invocation, help, actions);
}
