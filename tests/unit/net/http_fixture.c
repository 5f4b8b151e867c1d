#include "http_fixture.h"

#include "base/log.h"
#include "base/text.h"
#include "model/failure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct calls calls;
struct behaviour behaviour;
struct http_limits fixture_limits;
const char *fixture_listen;
struct http_server *fixture_server;

struct upload {
    uint64_t offset;
    pthread_t thread;
};

char pattern_at(uint64_t offset)
{
    return (char)((offset * 2654435761u) >> 13);
}

void pattern_fill(char *bytes, size_t size, uint64_t offset)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_at(offset + i);
}

void sleep_ms(int milliseconds)
{
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* ---- Handlers ---- */

static void hello(struct http_request *request)
{
    calls.handles++;
    http_answer_text(request, 200, "hello");
}

static void thing(struct http_request *request)
{
    const char *q = http_request_query(request, "q");
    const char *told = http_request_header(request, "X-Told");
    char text[256];
    snprintf(text, sizeof text, "%s|%s|%s|%s", http_request_path_parameter(request, "id"),
             q != NULL ? q : "-", told != NULL ? told : "-", http_request_traceparent(request));
    http_answer_text(request, 200, text);
}

static void echo(struct http_request *request)
{
    size_t size;
    const void *body = http_request_body(request, &size);
    calls.handles++;
    http_answer_bytes(request, 200, "application/octet-stream", body, size);
}

static void silent(struct http_request *request)
{
    (void)request;
}

static void unavailable(struct http_request *request)
{
    struct error error = {0};
    error_set(&error, ERROR_UNAVAILABLE, "the secret reason");
    http_answer_error(request, &error);
}

static void upload_begin(struct http_request *request)
{
    calls.begins++;
    while (behaviour.blocks_begin)
        sleep_ms(1);
    if (behaviour.refuses) {
        http_answer_failure(request, &FAILURE_INVALID_TOKEN, NULL);
        return;
    }
    struct upload *upload = calloc(1, sizeof *upload);
    upload->thread = pthread_self();
    http_request_set_state(request, upload);
}

static void upload_body(struct http_request *request, const void *bytes, size_t size)
{
    struct upload *upload = http_request_state(request);
    const char *text = bytes;
    while (behaviour.blocks_body)
        sleep_ms(1);
    if (!pthread_equal(upload->thread, pthread_self()))
        calls.is_wrong = true;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != pattern_at(upload->offset + i))
            calls.is_wrong = true;
    }
    upload->offset += size;
    calls.bytes += size;
    if (behaviour.too_large_after > 0 && upload->offset > behaviour.too_large_after)
        http_answer_failure(request, &FAILURE_UPLOAD_TOO_LARGE, NULL);
}

static void upload_tick(struct http_request *request)
{
    calls.ticks++;
    if (behaviour.tick_answers)
        http_answer_failure(request, &FAILURE_UPLOAD_TAKEN_OVER, NULL);
}

static void upload_end(struct http_request *request)
{
    struct upload *upload = http_request_state(request);
    if (!pthread_equal(upload->thread, pthread_self()))
        calls.is_wrong = true;
    char text[64];
    snprintf(text, sizeof text, "%llu", (unsigned long long)upload->offset);
    free(upload);
    calls.ends++;
    http_answer_text(request, 202, text);
}

static void upload_abort(struct http_request *request)
{
    free(http_request_state(request));
    calls.aborts++;
}

static const struct http_upload upload = {
    .begin = upload_begin,
    .body = upload_body,
    .tick = upload_tick,
    .end = upload_end,
    .abort = upload_abort,
};

static enum http_read stream_read(struct http_request *request, void *state, uint64_t offset,
                                  void *buffer, size_t size, size_t *out_size)
{
    (void)request, (void)state;
    pattern_fill(buffer, size, offset);
    *out_size = size;
    return HTTP_READ_MORE;
}

/* Says nothing now three times, then a piece; ends after the fourth. */
static enum http_read waiting_read(struct http_request *request, void *state, uint64_t offset,
                                   void *buffer, size_t size, size_t *out_size)
{
    int *count = state;
    (void)request, (void)offset, (void)size;
    if (++*count <= 1)
        return HTTP_READ_WAIT;
    if (*count == 4) {
        *out_size = 0;
        return HTTP_READ_MORE;
    }
    memcpy(buffer, "event;", 6);
    *out_size = 6;
    return HTTP_READ_MORE;
}

static enum http_read endless_read(struct http_request *request, void *state, uint64_t offset,
                                   void *buffer, size_t size, size_t *out_size)
{
    (void)request, (void)state, (void)offset, (void)buffer, (void)size, (void)out_size;
    return HTTP_READ_WAIT;
}

static enum http_read failing_read(struct http_request *request, void *state, uint64_t offset,
                                   void *buffer, size_t size, size_t *out_size)
{
    if (offset >= 1000)
        return HTTP_READ_FAIL;
    return stream_read(request, state, offset, buffer, size < 1000 ? size : 1000, out_size);
}

static void source_close(struct http_request *request, void *state)
{
    (void)request;
    calls.closes++;
    free(state);
}

static const struct http_body_source stream_source = {stream_read, source_close};
static const struct http_body_source waiting_source = {waiting_read, source_close};
static const struct http_body_source endless_source = {endless_read, source_close};
static const struct http_body_source failing_source = {failing_read, source_close};

static uint64_t size_asked(struct http_request *request)
{
    uint64_t size = 0;
    const char *text = http_request_query(request, "size");
    if (text == NULL || !text_parse_count(text, UINT64_MAX, &size, NULL))
        return HTTP_LENGTH_UNKNOWN;
    return size;
}

static void stream(struct http_request *request)
{
    http_answer_stream(request, 200, "audio/mpeg", size_asked(request), &stream_source, NULL);
}

static void events(struct http_request *request)
{
    http_answer_stream(request, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &waiting_source,
                       calloc(1, sizeof(int)));
}

static void endless(struct http_request *request)
{
    http_answer_stream(request, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &endless_source,
                       NULL);
}

static void failing(struct http_request *request)
{
    http_answer_stream(request, 200, "audio/mpeg", 5000, &failing_source, NULL);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/", .handle = hello},
    {.method = "GET", .path = "/hello", .handle = hello, .serves_head = true},
    {.method = "POST",
     .path = "/hello",
     .handle = echo,
     .body = HTTP_BODY_SMALL,
     .body_size_max = 1000},
    {.method = "GET", .path = "/things/{id}", .handle = thing},
    {.method = "GET", .path = "/silent", .handle = silent},
    {.method = "GET", .path = "/unavailable", .handle = unavailable},
    {.method = "POST", .path = "/upload", .upload = &upload, .body = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/stream", .handle = stream, .serves_head = true},
    {.method = "GET", .path = "/events", .handle = events},
    {.method = "GET", .path = "/endless", .handle = endless},
    {.method = "GET", .path = "/failing", .handle = failing},
    {0},
};

/* ---- The server ---- */

static bool thread_open(void *service, void **out_thread_state, struct error *error)
{
    (void)service, (void)error;
    calls.threads_opened++;
    *out_thread_state = &calls;
    return true;
}

static void thread_close(void *service, void *thread_state)
{
    (void)service;
    if (thread_state != &calls)
        calls.is_wrong = true;
    calls.threads_closed++;
}

static void observe(void *service, const struct http_observation *observation)
{
    (void)service;
    calls.last_status = observation->status;
    calls.observed++;
}

int http_fixture_open(void **state)
{
    struct error error = {0};
    (void)state;
    memset(&calls, 0, sizeof calls);
    memset(&behaviour, 0, sizeof behaviour);
    log_open("test", LOG_LEVEL_ERROR);
    const struct http_server_options options = {
        .listen = fixture_listen,
        .routes = routes,
        .thread_open = thread_open,
        .thread_close = thread_close,
        .observe = observe,
        .thread_count = 3,
        .event_thread_count = 2,
        .limits = fixture_limits,
    };
    if (!http_server_open(&options, &fixture_server, &error)) {
        print_error("%s\n", error.text);
        return -1;
    }
    return 0;
}

int http_fixture_close(void **state)
{
    (void)state;
    behaviour.blocks_begin = false;
    behaviour.blocks_body = false;
    http_server_close(fixture_server);
    fixture_server = NULL;
    return calls.threads_opened == calls.threads_closed ? 0 : -1;
}

/* ---- The client ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int client_connect(void)
{
    const char *address = http_server_address(fixture_server);
    if (text_starts_with(address, "unix:"))
        return connect_unix(address + 5);
    uint64_t port = 0;
    assert_true(text_parse_count(strrchr(address, ':') + 1, UINT16_MAX, &port, NULL));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    const struct timeval patience = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

void client_send_bytes(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            fail_msg("send: %s", strerror(errno));
        at += sent;
        size -= (size_t)sent;
    }
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

bool client_send_pattern(int fd, uint64_t offset, uint64_t size)
{
    char bytes[16384];
    while (size > 0) {
        size_t count = size < sizeof bytes ? (size_t)size : sizeof bytes;
        pattern_fill(bytes, count, offset);
        for (size_t done = 0; done < count;) {
            ssize_t sent = send(fd, bytes + done, count - done, MSG_NOSIGNAL);
            if (sent <= 0)
                return false;
            done += (size_t)sent;
        }
        offset += count;
        size -= count;
    }
    return true;
}

static bool read_exactly(int fd, char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got <= 0)
            return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

static bool read_line_end(int fd, char *line, size_t size, const char *end)
{
    size_t count = 0;
    while (count + 1 < size && read_exactly(fd, line + count, 1)) {
        line[++count] = '\0';
        if (count >= strlen(end) && strcmp(line + count - strlen(end), end) == 0)
            return true;
    }
    return false;
}

static void read_body(int fd, struct reply *reply, size_t size)
{
    reply->body = realloc(reply->body, reply->body_size + size + 1);
    reply->is_cut = !read_exactly(fd, reply->body + reply->body_size, size);
    reply->body_size += size;
    reply->body[reply->body_size] = '\0';
}

static void read_chunks(int fd, struct reply *reply)
{
    char line[64] = "";
    while (read_line_end(fd, line, sizeof line, "\r\n")) {
        unsigned size = 0;
        sscanf(line, "%x", &size);
        if (size > 0)
            read_body(fd, reply, size);
        read_line_end(fd, line, sizeof line, "\r\n");
        if (size == 0)
            return;
    }
    reply->is_cut = true;
}

struct reply client_read(int fd, bool is_head)
{
    struct reply reply = {.body = calloc(1, 1)};
    if (!read_line_end(fd, reply.head, sizeof reply.head, "\r\n\r\n"))
        return reply;
    sscanf(reply.head, "HTTP/1.1 %d", &reply.status);
    uint64_t length = 0;
    if (is_head || reply.status == 100 || reply.status == 204)
        return reply;
    if (text_parse_count(reply_header(&reply, "Content-Length"), UINT64_MAX, &length, NULL))
        read_body(fd, &reply, (size_t)length);
    else
        read_chunks(fd, &reply);
    return reply;
}

void reply_free(struct reply *reply)
{
    free(reply->body);
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[512];
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\r\n%s: ", name);
    const char *found = strcasestr(reply->head, pattern);
    if (found == NULL)
        return "";
    found += strlen(pattern);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\r"), found);
    return value;
}

bool client_is_closed(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&waiting, 1, 60000) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

struct reply ask(const char *request)
{
    int fd = client_connect();
    client_send(fd, request);
    struct reply reply = client_read(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return reply;
}
