#include "net/http_exchange.h"

#include "base/json.h"
#include "base/log.h"
#include "model/failure.h"
#include "net/problem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JSON_SIZE_MAX ((size_t)16 << 20)

void http_answer_finish(struct http_answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        free(answer->headers[i].name);
        free(answer->headers[i].value);
    }
    free(answer->owned_bytes);
    *answer = (struct http_answer){0};
}

bool http_request_is_answered(const struct http_request *request)
{
    return request->answer.kind != HTTP_ANSWER_NONE;
}

static bool answer_has_header(const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
    struct http_answer *answer = &request->answer;
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            log_error("header left out: it has a control character", FIELD_TEXT("header", name));
            return;
        }
    }
    assert(answer->header_count < HTTP_ANSWER_HEADERS_MAX);
    answer->headers[answer->header_count].name = strdup(name);
    answer->headers[answer->header_count].value = strdup(value);
    if (answer->headers[answer->header_count].name == NULL ||
        answer->headers[answer->header_count].value == NULL)
        abort();
    answer->header_count++;
}

/* A second answer is our bug: the first stands. */
static bool answer_set(struct http_request *request, enum http_answer_kind kind, int status,
                       const char *content_type)
{
    if (http_request_is_answered(request)) {
        log_error("answered twice", FIELD_COUNT("status", request->answer.status),
                  FIELD_COUNT("second_status", status));
        return false;
    }
    if (content_type != NULL)
        http_answer_header(request, "Content-Type", content_type);
    request->answer.kind = kind;
    request->answer.status = status;
    return true;
}

void http_answer_empty(struct http_request *request, int status)
{
    http_answer_static(request, status, NULL, "", 0);
}

void http_answer_bytes(struct http_request *request, int status, const char *content_type,
                       const void *bytes, size_t size)
{
    if (!answer_set(request, HTTP_ANSWER_BYTES, status, content_type))
        return;
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    request->answer.owned_bytes = copy;
    request->answer.bytes = copy;
    request->answer.length = size;
}

void http_answer_text(struct http_request *request, int status, const char *text)
{
    http_answer_bytes(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

void http_answer_static(struct http_request *request, int status, const char *content_type,
                        const void *bytes, size_t size)
{
    if (!answer_set(request, HTTP_ANSWER_STATIC, status, content_type))
        return;
    request->answer.bytes = bytes;
    request->answer.length = size;
}

void http_answer_json(struct http_request *request, int status, const json_t *json)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(JSON_SIZE_MAX);
    if (!json_format(json, &text, &error)) {
        http_answer_error(request, &error);
        return;
    }
    http_answer_bytes(request, status, "application/json", buffer_text(&text), text.size);
}

void http_answer_failure(struct http_request *request, const struct failure *failure,
                         const char *detail)
{
    if (failure->http_status == 0)
        failure = &FAILURE_INTERNAL; /* a row of conversions only, which no call is answered with */
    if (failure->http_status == 401 && !answer_has_header(&request->answer, "WWW-Authenticate"))
        http_answer_header(request, "WWW-Authenticate", "Bearer realm=\"tapedeck\"");
    bool is_later = failure->http_status == 429 || failure->http_status == 503;
    if (is_later && !answer_has_header(&request->answer, "Retry-After"))
        http_answer_header(request, "Retry-After", "5");

    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(PROBLEM_SIZE_MAX);
    if (!problem_format(failure, detail, request->id, &text, &error)) {
        /* The detail is no UTF-8: the row's own sentence is. */
        buffer_clear(&text);
        if (!problem_format(failure, NULL, request->id, &text, &error))
            log_error("problem left empty", FIELD_TEXT("reason", error.text));
    }
    http_answer_bytes(request, failure->http_status, PROBLEM_CONTENT_TYPE, buffer_text(&text),
                      text.size);
}

static const struct failure *failure_of(const struct error *error)
{
    if (error->failure != NULL && error->failure->http_status != 0)
        return error->failure;
    switch (error->kind) {
    case ERROR_BAD_INPUT:
        return &FAILURE_BAD_REQUEST;
    case ERROR_DENIED:
        return &FAILURE_NOT_ALLOWED;
    case ERROR_NOT_FOUND:
        return &FAILURE_NOT_FOUND;
    case ERROR_TOO_LARGE:
        return &FAILURE_UPLOAD_TOO_LARGE;
    case ERROR_CONFLICT: /* that nobody decided again on: the same request can succeed later */
    case ERROR_UNAVAILABLE:
        return &FAILURE_STORE_UNAVAILABLE;
    case ERROR_NONE:
    case ERROR_INTERNAL:
        break;
    }
    return &FAILURE_INTERNAL;
}

void http_answer_error(struct http_request *request, const struct error *error)
{
    const struct failure *failure = failure_of(error);
    if (failure->http_status >= 500) {
        enum log_level level = failure->http_status == 503 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
        LOG_EVENT(level, "request failed", FIELD_TEXT("code", failure->code),
                  FIELD_TEXT("reason", error->text), );
    }
    http_answer_failure(request, failure, NULL);
}

void http_answer_stream(struct http_request *request, int status, const char *content_type,
                        uint64_t length, const struct http_body_source *source, void *state)
{
    if (!answer_set(request, HTTP_ANSWER_STREAM, status, content_type)) {
        if (source->close != NULL)
            source->close(request, state);
        return;
    }
    request->answer.length = length;
    request->answer.source = source;
    request->answer.source_state = state;
}
