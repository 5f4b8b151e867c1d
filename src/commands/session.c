#include "commands/session.h"

#include "base/text.h"
#include "commands/say.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ACTIONS_MAX 16
#define USAGE_SIZE 1400

bool session_open(const struct invocation *invocation, const char *help,
                  struct session *out_session, int *out_status)
{
    struct error error = {0};
    CLEANUP(session_finish) struct session session = {.invocation = invocation};
    /* A server that hangs up is an error to be told of. */
    signal(SIGPIPE, SIG_IGN);
    if (!command_line_parse(invocation, &session.line, &error)) {
        *out_status = session_usage(&session, "%s", error.text);
        return false;
    }
    if (session.line.wants_help) {
        fputs(help, stdout);
        *out_status = COMMAND_OK;
        return false;
    }
    if (!command_line_open_config(invocation, &session.line, &session.config, &error)) {
        *out_status = session_fail(&session, &error);
        return false;
    }
    *out_session = session;
    session = (struct session){0};
    return true;
}

void session_finish(struct session *session)
{
    command_line_finish(&session->line);
    config_close(session->config);
    session->config = NULL;
}

static void remove_argument(struct command_line *line, int index)
{
    for (int i = index; i < line->rest_count; i++)
        line->rest[i] = line->rest[i + 1];
    line->rest_count--;
}

bool session_take_flag(struct session *session, const char *flag)
{
    struct command_line *line = &session->line;
    for (int i = 0; i < line->rest_count && strcmp(line->rest[i], "--") != 0; i++) {
        if (strcmp(line->rest[i], flag) != 0)
            continue;
        remove_argument(line, i);
        return true;
    }
    return false;
}

bool session_has_arguments(struct session *session, int count, const char *form)
{
    struct command_line *line = &session->line;
    for (int i = 0; i < line->rest_count; i++) {
        if (strcmp(line->rest[i], "--") == 0) {
            remove_argument(line, i);
            break;
        }
        if (line->rest[i][0] != '-' || line->rest[i][1] == '\0')
            continue;
        session_usage(session, "there is no option \"%.80s\" here; expected: %s", line->rest[i],
                      form);
        return false;
    }
    if (line->rest_count == count)
        return true;
    if (line->rest_count > count)
        session_usage(session, "\"%.80s\" is one argument too many; expected: %s",
                      line->rest[count], form);
    else
        session_usage(session, "something is missing; expected: %s", form);
    return false;
}

static int refuse_action(const struct session *session, const struct session_action *actions)
{
    const char *names[ACTIONS_MAX + 1] = {NULL};
    CLEANUP(buffer_finish) struct buffer list = BUFFER_WITH_MAX(1000);
    for (size_t i = 0; i < ACTIONS_MAX && actions[i].name != NULL; i++) {
        names[i] = actions[i].name;
        ignore_failure(buffer_append_format(&list, NULL, i == 0 ? "%s" : ", %s", actions[i].name));
    }
    if (session->line.rest_count == 0)
        return session_usage(session, "what is to be done? One of: %s", buffer_text(&list));
    const char *nearest = text_nearest(session->line.rest[0], names);
    if (nearest != NULL)
        return session_usage(session, "there is no \"%.80s\"; did you mean \"%s\"?",
                             session->line.rest[0], nearest);
    return session_usage(session, "there is no \"%.80s\"; one of these is expected: %s",
                         session->line.rest[0], buffer_text(&list));
}

int session_run_action(struct session *session, const struct session_action *actions)
{
    for (const struct session_action *action = actions; action->name != NULL; action++) {
        if (session->line.rest_count == 0 || strcmp(session->line.rest[0], action->name) != 0)
            continue;
        remove_argument(&session->line, 0);
        return action->run(session);
    }
    return refuse_action(session, actions);
}

int session_run(const struct invocation *invocation, const char *help,
                const struct session_action *actions)
{
    int status = COMMAND_FAILED;
    CLEANUP(session_finish) struct session session = {0};
    if (!session_open(invocation, help, &session, &status))
        return status;
    return session_run_action(&session, actions);
}

int session_fail(const struct session *session, const struct error *error)
{
    say("%s: %s", session->invocation->program, error->text);
    return COMMAND_FAILED;
}

int session_usage(const struct session *session, const char *format, ...)
{
    char text[USAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("%s: %s", session->invocation->program, text);
    say("`%s --help` explains.", session->invocation->program);
    return COMMAND_USAGE;
}
