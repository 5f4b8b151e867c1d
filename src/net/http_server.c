#include "net/http_server.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "model/failure.h"
#include "net/http_address.h"
#include "net/http_exchange.h"
#include "net/http_spares.h"
#include "net/http_watch.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The only file that knows libmicrohttpd (0.9.75): its callbacks run on the event loop and hand
 * over to http_exchange.c what may block.
 *
 * What the library does not do by itself, and is done here: strict headers; an answer that is given
 * while the body still comes (it takes one only before or after the body); and a client that gets
 * such an answer although it goes on sending (http_watch_linger). */

/* What the library keeps of one connection: the headers, then 64 KiB at a time of a body. */
#define CONNECTION_MEMORY_SIZE ((size_t)64 << 10)
#define HEADER_SIZE_MOST ((size_t)48 << 10)
#define SEND_SIZE ((size_t)128 << 10)
#define HEADERS_MAX 100
/* A refused body up to this size is read to its end, so that the connection can go on. */
#define DISCARD_SIZE_MAX 65536
#define EARLY_ANSWER_SIZE_MAX 65536
#define STATUS_CLIENT_WENT 499
#define BODY_LIMIT_SIZE 80

struct http_server {
    /* Set by http_server_open(), then read-only. */
    struct http_server_options options;
    char address[HTTP_ADDRESS_SIZE];
    struct MHD_Daemon *daemon;
    struct http_pool *pool;
    struct http_spares *spares;
    struct http_watch *watch;

    atomic_bool is_draining;

    /* The thread that opened it only. */
    int listen_fd;  /* owned, until the daemon is stopped */
    int nothing_fd; /* owned; takes the place of what listen_fd was when it stops listening */
    bool is_listening;

    /* Guarded by suspend_lock, a leaf. */
    pthread_mutex_t suspend_lock;
    pthread_cond_t all_resumed;
    unsigned suspended_count;
    bool is_stopping; /* nothing may be suspended any more: the daemon cannot stop over it */
};

/* ---- Suspending: the request's lock is held ---- */

static bool suspend(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->suspend_lock);
    bool may_suspend = !server->is_stopping;
    server->suspended_count += may_suspend;
    pthread_mutex_unlock(&server->suspend_lock);
    if (may_suspend) {
        request->is_suspended = true;
        MHD_suspend_connection(request->transport);
    }
    return may_suspend;
}

void http_server_resume(struct http_request *request)
{
    struct http_server *server = request->server;
    MHD_resume_connection(request->transport);
    pthread_mutex_lock(&server->suspend_lock);
    if (--server->suspended_count == 0)
        pthread_cond_signal(&server->all_resumed);
    pthread_mutex_unlock(&server->suspend_lock);
}

/* ---- Answers ---- */

/* Called by the library for the next bytes to send. */
static ssize_t on_send(void *closure, uint64_t offset, char *bytes, size_t size)
{
    struct http_request *request = closure;
    (void)offset;
    pthread_mutex_lock(&request->lock);
    ssize_t result = (ssize_t)http_exchange_give_bytes(request, bytes, size);
    if (result == 0) {
        if (request->source_ended)
            result = MHD_CONTENT_READER_END_OF_STREAM;
        else if (request->source_failed || !suspend(request))
            result = MHD_CONTENT_READER_END_WITH_ERROR;
    }
    pthread_mutex_unlock(&request->lock);
    return result;
}

static struct MHD_Response *make_response(struct http_request *request)
{
    struct http_answer *answer = &request->answer;
    switch (answer->kind) {
    case HTTP_ANSWER_BYTES:
    case HTTP_ANSWER_STATIC: {
        /* The library reads it only, whatever its signature says. */
        union {
            const void *constant;
            void *plain;
        } bytes = {.constant = answer->bytes};
        return MHD_create_response_from_buffer((size_t)answer->length, bytes.plain,
                                               MHD_RESPMEM_PERSISTENT);
    }
    case HTTP_ANSWER_STREAM:
        return MHD_create_response_from_callback(
            answer->length == HTTP_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : answer->length, SEND_SIZE,
            on_send, request, NULL);
    case HTTP_ANSWER_NONE:
        break;
    }
    return NULL;
}

static enum MHD_Result send_answer(struct http_request *request)
{
    const struct http_answer *answer = &request->answer;
    struct MHD_Response *response = make_response(request);
    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    MHD_add_response_header(response, "X-Request-Id", request->id);
    if (http_server_is_draining(request->server))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result =
        MHD_queue_response(request->transport, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static bool format_early_answer(const struct http_request *request, struct buffer *text,
                                struct error *error)
{
    const struct http_answer *answer = &request->answer;
    if (!buffer_append_format(text, error, "HTTP/1.1 %d %s\r\n", answer->status,
                              MHD_get_reason_phrase_for((unsigned)answer->status)))
        return false;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (!buffer_append_format(text, error, "%s: %s\r\n", answer->headers[i].name,
                                  answer->headers[i].value))
            return false;
    }
    return buffer_append_format(text, error,
                                "X-Request-Id: %s\r\nConnection: close\r\n"
                                "Content-Length: %llu\r\n\r\n",
                                request->id, (unsigned long long)answer->length) &&
           (request->is_head || buffer_append(text, answer->bytes, (size_t)answer->length, error));
}

/* It fits into the socket's empty buffer, or the client does not get it. */
void http_server_answer_early(struct http_request *request)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(EARLY_ANSWER_SIZE_MAX);
    if (!format_early_answer(request, &text, &error))
        log_error("early answer left out", FIELD_TEXT("reason", error.text));
    int fd = http_connection_fd(request->connection);
    ssize_t sent = send(fd, buffer_text(&text), text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
    shutdown(fd, SHUT_WR);
    request->was_sent_early = true;
    request->body_sent = request->answer.length;
}

/* ---- The headers are here ---- */

struct header_list {
    struct http_pair pairs[HEADERS_MAX];
    size_t count;
};

static enum MHD_Result on_header(void *closure, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct header_list *list = closure;
    (void)kind;
    if (list->count < HEADERS_MAX)
        list->pairs[list->count] = (struct http_pair){name, value != NULL ? value : ""};
    list->count++;
    return MHD_YES;
}

static void set_phase(struct http_request *request, enum http_phase phase)
{
    pthread_mutex_lock(&request->lock);
    request->phase = phase;
    pthread_mutex_unlock(&request->lock);
}

/* Before the pool was asked. A short body is read first, so that the connection can go on. */
static enum MHD_Result refuse(struct http_request *request, const struct failure *failure,
                              const char *detail)
{
    http_answer_failure(request, failure, detail);
    bool is_short = request->has_length && request->body_length <= DISCARD_SIZE_MAX;
    if (!request->has_body || (is_short && !request->expects_continue)) {
        set_phase(request, HTTP_PHASE_DISCARD);
        return MHD_YES;
    }
    set_phase(request, HTTP_PHASE_ANSWERED);
    request->lingers = true;
    return send_answer(request);
}

static enum MHD_Result refuse_method(struct http_request *request)
{
    char allow[HTTP_ALLOW_SIZE];
    http_route_allow(request->server->options.routes, &request->target, allow);
    http_answer_header(request, "Allow", allow);
    return refuse(request, &FAILURE_METHOD_NOT_ALLOWED, NULL);
}

/* Of a call that takes no file: the failure's own words are about files. */
static const char *body_limit_text(const struct http_route *route, char out_text[BODY_LIMIT_SIZE])
{
    if (route->body == HTTP_BODY_NONE)
        return "This call takes no body.";
    snprintf(out_text, BODY_LIMIT_SIZE, "The body of this call has at most %llu bytes.",
             (unsigned long long)route->body_size_max);
    return out_text;
}

static bool is_body_too_long(const struct http_request *request)
{
    const struct http_route *route = request->route;
    if (!request->has_body || route->body == HTTP_BODY_STREAM)
        return false;
    return route->body == HTTP_BODY_NONE ||
           (request->has_length && request->body_length > route->body_size_max);
}

/* An upload asks its handler before the first byte; all else comes when the body is complete. */
static enum MHD_Result accept_request(struct http_request *request)
{
    enum MHD_Result result = MHD_YES;
    pthread_mutex_lock(&request->lock);
    if (request->route->body == HTTP_BODY_STREAM && request->has_body) {
        request->phase = HTTP_PHASE_BEGIN;
        http_exchange_schedule(request);
        result = suspend(request) ? MHD_YES : MHD_NO;
    } else {
        request->phase = HTTP_PHASE_COLLECT;
    }
    pthread_mutex_unlock(&request->lock);
    return result;
}

static void take_headers(struct http_request *request, const char *method, size_t *out_count)
{
    struct header_list list = {.count = 0};
    MHD_get_connection_values(request->transport, MHD_HEADER_KIND, on_header, &list);
    *out_count = list.count;
    http_request_set_headers(request, list.pairs,
                             list.count < HEADERS_MAX ? list.count : HEADERS_MAX);
    request->method = strdup(method);
    if (request->method == NULL)
        abort();
    request->is_head = strcmp(method, "HEAD") == 0;
}

static size_t header_size(struct MHD_Connection *transport)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(transport, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

static enum MHD_Result on_headers(struct http_request *request, const char *method,
                                  const char *version)
{
    const struct http_server *server = request->server;
    size_t header_count;
    take_headers(request, method, &header_count);
    http_watch_headers(server->watch, request->connection);

    struct error error = {0};
    if (!http_request_check_headers(request, strcmp(version, "HTTP/1.0") != 0, &error)) {
        request->has_body = true; /* where it ends is what is unclear */
        request->has_length = false;
        return refuse(request, &FAILURE_BAD_REQUEST, error.text);
    }
    if (header_count > HEADERS_MAX ||
        header_size(request->transport) > server->options.limits.header_size_max)
        return refuse(request, &FAILURE_HEADERS_TOO_LARGE, NULL);
    if (request->target.path == NULL)
        return refuse(request, &FAILURE_BAD_REQUEST, "The request's path or query is malformed.");
    bool is_path_known;
    request->route =
        http_route_find(server->options.routes, &request->target, method, &is_path_known);
    if (request->route == NULL)
        return is_path_known ? refuse_method(request) : refuse(request, &FAILURE_NOT_FOUND, NULL);
    if (is_body_too_long(request)) {
        char text[BODY_LIMIT_SIZE];
        return refuse(request, &FAILURE_UPLOAD_TOO_LARGE, body_limit_text(request->route, text));
    }
    return accept_request(request);
}

/* ---- The body: the request's lock is held ---- */

/* A small body; one without a declared length may turn out to be none. */
static void collect(struct http_request *request, const char *bytes, size_t size)
{
    uint64_t total = request->body_received + size;
    if (total > request->route->body_size_max) {
        char text[BODY_LIMIT_SIZE];
        http_answer_failure(request, &FAILURE_UPLOAD_TOO_LARGE,
                            body_limit_text(request->route, text));
        request->phase = HTTP_PHASE_ANSWERED;
        http_server_answer_early(request);
        return;
    }
    char *body = realloc(request->body, (size_t)total + 1);
    if (body == NULL)
        abort();
    memcpy(body + request->body_received, bytes, size);
    body[total] = '\0';
    request->body = body;
    request->body_received = total;
}

static enum MHD_Result on_body(struct http_request *request, const char *bytes, size_t *size)
{
    size_t taken;
    switch (request->phase) {
    case HTTP_PHASE_DISCARD:
        request->body_received += *size;
        *size = 0;
        return MHD_YES;
    case HTTP_PHASE_COLLECT:
        collect(request, bytes, *size);
        *size = 0;
        return MHD_YES;
    case HTTP_PHASE_OPEN:
        taken = http_exchange_take_bytes(request, bytes, *size);
        *size -= taken;
        return *size == 0 || suspend(request) ? MHD_YES : MHD_NO;
    case HTTP_PHASE_ANSWERED: /* early: what follows is for nobody */
        request->lingers = true;
        return MHD_NO;
    case HTTP_PHASE_HEADERS:
    case HTTP_PHASE_BEGIN:
    case HTTP_PHASE_HANDLE:
        break;
    }
    return MHD_NO;
}

/* ---- No bytes, but a turn: the body is complete, or the pool resumed the connection ---- */

enum turn { TURN_GO_ON, TURN_CUT, TURN_SEND };

static enum turn wait_for_pool(struct http_request *request)
{
    http_exchange_schedule(request);
    return suspend(request) ? TURN_GO_ON : TURN_CUT;
}

static enum turn next_turn(struct http_request *request)
{
    bool is_before_body = request->has_body && !request->is_receiving;
    switch (request->phase) {
    case HTTP_PHASE_COLLECT:
        request->is_body_complete = true;
        request->phase =
            request->route->body == HTTP_BODY_STREAM ? HTTP_PHASE_BEGIN : HTTP_PHASE_HANDLE;
        return wait_for_pool(request);
    case HTTP_PHASE_OPEN:
        if (is_before_body) {
            request->is_receiving = true;
            return TURN_GO_ON; /* only now the library asks for it by 100 Continue */
        }
        request->is_body_complete = true;
        return wait_for_pool(request);
    case HTTP_PHASE_DISCARD:
        request->phase = HTTP_PHASE_ANSWERED;
        return TURN_SEND;
    case HTTP_PHASE_ANSWERED:
        if (request->was_sent_early)
            return TURN_CUT;
        request->lingers = is_before_body && request->route->body == HTTP_BODY_STREAM;
        return TURN_SEND;
    case HTTP_PHASE_BEGIN:
    case HTTP_PHASE_HANDLE:
        return wait_for_pool(request);
    case HTTP_PHASE_HEADERS:
        break;
    }
    return TURN_CUT;
}

/* The answer is queued without the lock: the library takes locks of its own around on_send(). */
static enum MHD_Result on_turn(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    enum turn turn = next_turn(request);
    pthread_mutex_unlock(&request->lock);
    if (turn == TURN_SEND)
        return send_answer(request);
    return turn == TURN_GO_ON ? MHD_YES : MHD_NO;
}

/* ---- The library's callbacks ---- */

static struct http_connection *connection_of(struct MHD_Connection *transport)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(transport, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context;
}

/* The first line is here: the request exists from now on. */
static void *on_request_line(void *closure, const char *uri, struct MHD_Connection *transport)
{
    struct http_server *server = closure;
    struct http_request *request = http_request_create(server);
    request->transport = transport;
    request->connection = connection_of(transport);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(transport, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    http_address_format_host(info != NULL ? info->client_addr : NULL, request->remote_address);
    if (uri == NULL || !http_target_parse(uri, &request->target, NULL))
        request->target = (struct http_target){0};
    http_watch_begin(server->watch, request->connection, request);
    return request;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is libmicrohttpd's */
static enum MHD_Result on_request(void *closure, struct MHD_Connection *transport, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **context)
{
    struct http_request *request = *context;
    (void)closure, (void)transport, (void)url;
    if (request->method == NULL)
        return on_headers(request, method, version);
    if (*size == 0)
        return on_turn(request);
    pthread_mutex_lock(&request->lock);
    enum MHD_Result result = on_body(request, bytes, size);
    pthread_mutex_unlock(&request->lock);
    return result;
}

/* What the library answered by itself, to what it could not parse; 0: nothing. */
static int own_status(struct MHD_Connection *transport)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(transport, MHD_CONNECTION_INFO_HTTP_STATUS);
    return info != NULL ? (int)info->http_status : 0;
}

static void report(struct http_request *request, int status)
{
    const struct http_server_options *options = &request->server->options;
    bool is_quiet = options->is_quiet || (request->route != NULL && request->route->is_quiet);
    pthread_mutex_lock(&request->lock);
    const struct http_observation observation = {
        .method = request->method != NULL ? request->method : "",
        .route = request->route != NULL ? request->route->path : "",
        .status = status,
        .received = request->body_received,
        .sent = request->body_sent,
        .duration_ms = clock_boot_ms() - request->started_ms,
    };
    pthread_mutex_unlock(&request->lock);
    log_request_set(request->id);
    LOG_EVENT(is_quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "request",
              FIELD_TEXT("method", observation.method),
              FIELD_TEXT("path", request->target.path != NULL ? request->target.path : ""),
              FIELD_COUNT("status", status), FIELD_COUNT("bytes", observation.sent),
              FIELD_COUNT("received_bytes", observation.received),
              FIELD_COUNT("duration_ms", observation.duration_ms), );
    log_request_set(NULL);
    if (options->observe != NULL)
        options->observe(options->service, &observation);
}

static void on_completed(void *closure, struct MHD_Connection *transport, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_request *request = *context;
    (void)closure;
    if (request == NULL)
        return;
    *context = NULL;

    struct http_server *server = request->server;
    pthread_mutex_lock(&request->lock);
    bool is_answered = request->phase == HTTP_PHASE_ANSWERED && http_request_is_answered(request);
    if (is_answered && !request->is_head && request->answer.kind != HTTP_ANSWER_STREAM &&
        code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        request->body_sent = request->answer.length;
    pthread_mutex_unlock(&request->lock);
    int status = is_answered ? request->answer.status : own_status(transport);
    report(request, status != 0 ? status : STATUS_CLIENT_WENT);

    if (request->lingers)
        http_watch_linger(server->watch, request->connection);
    http_watch_end(server->watch, request->connection);
    http_exchange_end(request);
    http_request_unref(request);
}

static void on_connection(void *closure, struct MHD_Connection *transport, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = closure;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(transport, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = http_watch_add(server->watch, info->connect_fd);
    } else {
        http_watch_remove(server->watch, *socket_context);
        *socket_context = NULL;
    }
}

/* Parts of the request target are decoded by http_route.c, which knows where they end. */
static size_t leave_escaped(void *closure, struct MHD_Connection *transport, char *text)
{
    (void)closure, (void)transport;
    return strlen(text);
}

static void on_log(void *closure, const char *format, va_list arguments)
{
    char text[256];
    (void)closure;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the library's own format */
    vsnprintf(text, sizeof text, format, arguments);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    log_debug("http library", FIELD_TEXT("text", text));
}

/* ---- Opening and closing ---- */

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    unsigned event_thread_count = server->options.event_thread_count;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)event_thread_count, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (event_thread_count < 2) /* one thread is no pool to the library */
        pool[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        server->listen_fd, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_SIZE, MHD_OPTION_CONNECTION_LIMIT,
        server->options.limits.connections_max, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        pool, MHD_OPTION_END);
}

static bool server_start(struct http_server *server, struct error *error)
{
    const struct http_server_options *options = &server->options;
    const struct http_pool_options pool = {
        .thread_count = options->thread_count,
        .service = options->service,
        .thread_open = options->thread_open,
        .thread_close = options->thread_close,
        .run = http_exchange_run,
    };
    server->nothing_fd = eventfd(0, EFD_CLOEXEC);
    if (server->nothing_fd < 0)
        return error_set_errno(error, errno, "start the http server");
    if (!http_address_listen(options->listen, &server->listen_fd, server->address, error))
        return false;
    server->is_listening = true;
    if (!http_pool_open(&pool, &server->pool, error) ||
        !http_watch_open(&options->limits, &server->watch, error))
        return false;
    server->daemon = start_daemon(server);
    if (server->daemon == NULL)
        return error_set(error, ERROR_UNAVAILABLE, "start the http server on %s", server->address);
    return true;
}

bool http_server_open(const struct http_server_options *options, struct http_server **out_server,
                      struct error *error)
{
    assert(options->thread_count > 0 && options->limits.header_size_max <= HEADER_SIZE_MOST);
    CLEANUP(http_server_closep) struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    server->options = *options;
    server->listen_fd = server->nothing_fd = -1;
    server->spares = http_spares_open();
    pthread_mutex_init(&server->suspend_lock, NULL);
    pthread_cond_init(&server->all_resumed, NULL);
    if (!server_start(server, error))
        return false;
    *out_server = server;
    server = NULL;
    return true;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

unsigned http_server_connection_count(struct http_server *server)
{
    return http_watch_count(server->watch);
}

struct http_pool *http_server_pool(struct http_server *server)
{
    return server->pool;
}

struct http_spares *http_server_spares(struct http_server *server)
{
    return server->spares;
}

const struct http_server_options *http_server_settings(const struct http_server *server)
{
    return &server->options;
}

bool http_server_is_draining(const struct http_server *server)
{
    return atomic_load(&server->is_draining);
}

/* The address is free after this. A socket file goes first, since another server replaces it as
 * soon as nobody answers there. The descriptor stays, but of nothing: the library's thread may be
 * about to use its number, which must not be another file's by then. */
static void stop_listening(struct http_server *server)
{
    if (!server->is_listening)
        return;
    server->is_listening = false;
    if (text_starts_with(server->address, "unix:"))
        unlink(server->address + strlen("unix:"));
    if (server->daemon != NULL)
        MHD_quiesce_daemon(server->daemon);
    while (dup3(server->nothing_fd, server->listen_fd, O_CLOEXEC) < 0 && errno == EINTR)
        continue;
}

bool http_server_drain(struct http_server *server, int64_t timeout_ms)
{
    atomic_store(&server->is_draining, true);
    stop_listening(server);
    http_watch_drain(server->watch);
    if (http_watch_wait(server->watch, timeout_ms))
        return true;
    http_watch_cut(server->watch);
    return false;
}

/* Handlers that still run are waited for: what they hold cannot be taken from them. */
static void stop_daemon(struct http_server *server)
{
    pthread_mutex_lock(&server->suspend_lock);
    server->is_stopping = true;
    while (server->suspended_count > 0)
        pthread_cond_wait(&server->all_resumed, &server->suspend_lock);
    pthread_mutex_unlock(&server->suspend_lock);
    MHD_stop_daemon(server->daemon);
}

void http_server_close(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL) {
        if (!http_server_is_draining(server))
            http_server_drain(server, 0);
        stop_daemon(server);
    }
    stop_listening(server);
    file_close(server->listen_fd);
    file_close(server->nothing_fd);
    http_watch_close(server->watch);
    http_pool_close(server->pool);
    http_spares_close(server->spares); /* requests gave theirs back until here */
    pthread_cond_destroy(&server->all_resumed);
    pthread_mutex_destroy(&server->suspend_lock);
    free(server);
}

void http_server_closep(struct http_server **server)
{
    http_server_close(*server);
}
