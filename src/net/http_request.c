#include "net/http_exchange.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "net/http_spares.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_request *http_request_create(struct http_server *server)
{
    struct http_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        abort();
    request->server = server;
    request->thread = HTTP_POOL_ANY_THREAD;
    request->reference_count = 1;
    request->started_ms = clock_boot_ms();
    struct id id = id_make();
    text_copy(request->id, sizeof request->id, id.text);
    pthread_mutex_init(&request->lock, NULL);
    return request;
}

static void request_destroy(struct http_request *request)
{
    http_answer_finish(&request->answer);
    http_target_finish(&request->target);
    http_spares_give(http_server_spares(request->server), request->pieces[0].bytes);
    http_spares_give(http_server_spares(request->server), request->pieces[1].bytes);
    free(request->body);
    free(request->headers);
    free(request->method);
    pthread_mutex_destroy(&request->lock);
    free(request);
}

void http_request_unref(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    bool is_last = --request->reference_count == 0;
    pthread_mutex_unlock(&request->lock);
    if (is_last)
        request_destroy(request);
}

/* ---- Headers ---- */

static const char *text_place(char **at, const char *text, size_t size)
{
    char *start = *at;
    memcpy(start, text, size);
    start[size] = '\0';
    *at += size + 1;
    return start;
}

/* RFC 9110 §5.5: space around a value is not part of it. */
static size_t value_size(const char *value)
{
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    return size;
}

void http_request_set_headers(struct http_request *request, const struct http_pair *headers,
                              size_t count)
{
    size_t size = count * sizeof *headers;
    for (size_t i = 0; i < count; i++)
        size += strlen(headers[i].name) + value_size(headers[i].value) + 2;
    struct http_pair *copies = malloc(size > 0 ? size : 1);
    if (copies == NULL)
        abort();
    char *at = (char *)(copies + count);
    for (size_t i = 0; i < count; i++) {
        copies[i].name = text_place(&at, headers[i].name, strlen(headers[i].name));
        copies[i].value = text_place(&at, headers[i].value, value_size(headers[i].value));
    }
    request->headers = copies;
    request->header_count = count;
}

/* RFC 9110 §5.6.2. A name that ends in a space, as in "name :", is none. */
static bool is_token(const char *text)
{
    if (text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text == 0x7f || strchr("()<>@,;:\\\"/[]?={}", *text) != NULL)
            return false;
    }
    return true;
}

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return true;
    }
    return false;
}

static size_t header_count(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += strcasecmp(request->headers[i].name, name) == 0;
    return count;
}

/* RFC 9112 §6: anything that two servers could understand differently is how a request is smuggled
 * past one of them. */
static bool check_framing(struct http_request *request, bool is_http_1_1, struct error *error)
{
    size_t length_count = header_count(request, "Content-Length");
    size_t coding_count = header_count(request, "Transfer-Encoding");
    if (length_count + coding_count > 1)
        return error_set(error, ERROR_BAD_INPUT,
                         "The request declares the length of its body more than once.");
    const char *coding = http_request_header(request, "Transfer-Encoding");
    if (coding != NULL && !is_http_1_1) /* RFC 9112 §6.1: not of that version */
        return error_set(error, ERROR_BAD_INPUT, "Transfer-Encoding needs a request of HTTP/1.1.");
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return error_set(error, ERROR_BAD_INPUT,
                         "The only Transfer-Encoding that is understood is chunked.");
    const char *length = http_request_header(request, "Content-Length");
    if (length != NULL) {
        if (!text_parse_count(length, INT64_MAX, &request->body_length, NULL))
            return error_set(error, ERROR_BAD_INPUT, "The Content-Length is not a number.");
        request->has_length = true;
    }
    request->has_body = coding != NULL || request->body_length > 0;
    return true;
}

static void take_request_id(struct http_request *request)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *given = http_request_header(request, "X-Request-Id");
    size_t size = given != NULL ? strlen(given) : 0;
    if (size > 0 && size < sizeof request->id && strspn(given, allowed) == size)
        text_copy(request->id, sizeof request->id, given);
}

/* W3C Trace Context §3.2: 00-{32 hex}-{16 hex}-{2 hex}. Others are as good as none. */
static void take_traceparent(struct http_request *request)
{
    static const char form[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    const char *given = http_request_header(request, "traceparent");
    if (given == NULL || strlen(given) != sizeof form - 1)
        return;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool is_right =
            form[i] == 'x' ? strchr("0123456789abcdef", given[i]) != NULL : given[i] == form[i];
        if (!is_right)
            return;
    }
    text_copy(request->traceparent, sizeof request->traceparent, given);
}

bool http_request_check_headers(struct http_request *request, bool is_http_1_1, struct error *error)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_token(request->headers[i].name))
            return error_set(error, ERROR_BAD_INPUT, "The name of a header is malformed.");
        if (has_control_character(request->headers[i].value))
            return error_set(error, ERROR_BAD_INPUT, "A header has a control character in it.");
    }
    take_request_id(request);
    take_traceparent(request);
    size_t host_count = header_count(request, "Host");
    if (host_count > 1 || (host_count == 0 && is_http_1_1))
        return error_set(error, ERROR_BAD_INPUT, "The request must have exactly one Host header.");
    const char *expect = http_request_header(request, "Expect");
    request->expects_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    return check_framing(request, is_http_1_1, error);
}

/* ---- What a handler asks ---- */

void *http_request_service(const struct http_request *request)
{
    return http_server_settings(request->server)->service;
}

void *http_request_thread(const struct http_request *request)
{
    return request->thread_state;
}

void http_request_set_state(struct http_request *request, void *state)
{
    request->state = state;
}

void *http_request_state(const struct http_request *request)
{
    return request->state;
}

bool http_request_is_head(const struct http_request *request)
{
    return request->is_head;
}

const char *http_request_path(const struct http_request *request)
{
    return request->target.path;
}

const char *http_request_path_parameter(const struct http_request *request, const char *name)
{
    return http_route_parameter(request->route, &request->target, name);
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

const char *http_request_last_header(const struct http_request *request, const char *name)
{
    for (size_t i = request->header_count; i > 0; i--) {
        if (strcasecmp(request->headers[i - 1].name, name) == 0)
            return request->headers[i - 1].value;
    }
    return NULL;
}

const char *http_request_bearer_token(const struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = http_request_header(request, "Authorization");
    if (header == NULL || strncasecmp(header, scheme, strlen(scheme)) != 0)
        return NULL;
    const char *token = header + strlen(scheme);
    token += strspn(token, " ");
    return token[0] != '\0' ? token : NULL;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->target.query_count; i++) {
        if (strcmp(request->target.query[i].name, name) == 0)
            return request->target.query[i].value;
    }
    return NULL;
}

bool http_request_query_at(const struct http_request *request, size_t index, const char **out_name,
                           const char **out_value)
{
    if (index >= request->target.query_count)
        return false;
    *out_name = request->target.query[index].name;
    *out_value = request->target.query[index].value;
    return true;
}

const void *http_request_body(const struct http_request *request, size_t *out_size)
{
    *out_size = request->body != NULL ? (size_t)request->body_received : 0;
    return request->body != NULL ? request->body : "";
}

bool http_request_body_length(const struct http_request *request, uint64_t *out_length)
{
    if (request->has_length)
        *out_length = request->body_length;
    return request->has_length;
}

bool http_request_has_body(const struct http_request *request)
{
    return request->has_body;
}

const char *http_request_remote_address(const struct http_request *request)
{
    return request->remote_address;
}

const char *http_request_id(const struct http_request *request)
{
    return request->id;
}

const char *http_request_traceparent(const struct http_request *request)
{
    return request->traceparent;
}
