#include "http_fixture.h"

#include "base/clock.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static void assert_answer(const char *request, int status, const char *text)
{
    struct reply reply = ask(request);
    if (reply.status != status || strstr(reply.body, text) == NULL || reply.is_cut)
        fail_msg("%s\nwas answered %d %s", request, reply.status, reply.body);
    assert_string_not_equal(reply_header(&reply, "X-Request-Id"), "");
    reply_free(&reply);
}

/* ---- Requests and answers ---- */

static void a_known_path_is_handled(void **state)
{
    (void)state;
    assert_answer("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello");
    assert_answer("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello");
    assert_answer("GET http://a/hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello");
    assert_answer("GET /things/a%2Fb?x&q=%C3%A9+1 HTTP/1.1\r\nHost: a\r\nX-Told:  s \r\n"
                  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
                  200, "a/b|\xc3\xa9 1|s|00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_answer("GET /things/1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-XYZ\r\n\r\n", 200,
                  "1|-|-|");
}

static void an_unknown_path_or_method_is_refused(void **state)
{
    (void)state;
    assert_answer("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "\"code\":\"not_found\"");
    assert_answer("GET /things/ HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found");
    assert_answer("GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found");
    struct reply reply = ask("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD, POST");
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/problem+json");
    reply_free(&reply);
}

static void what_two_servers_could_read_differently_is_refused(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\x01\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "POST /hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "GET /things/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /things/%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /things/1?q=%0 HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        struct reply reply = ask(requests[i]);
        if (reply.status != 400)
            fail_msg("%s\nwas answered %d", requests[i], reply.status);
        reply_free(&reply);
    }
    assert_int_equal(calls.handles, 0);
}

static void what_cannot_be_parsed_ends_the_connection(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /hello\r\nHost: a\r\n\r\n",
        "GET /hello FOO/1.1\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\n\n", /* TLS */
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        int fd = client_connect();
        client_send(fd, requests[i]);
        client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        struct reply reply = client_read(fd, false);
        if (reply.status != 0 && reply.status != 400 && reply.status != 505)
            fail_msg("%s\nwas answered %d", requests[i], reply.status);
        assert_true(client_is_closed(fd));
        reply_free(&reply);
        close(fd);
    }
    assert_int_equal(calls.handles, 0);
}

static void too_large_headers_are_refused(void **state)
{
    (void)state;
    char request[20000];
    int size = snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    memset(request + size, 'x', 17000);
    snprintf(request + size + 17000, 100, "\r\n\r\n");
    assert_answer(request, 431, "headers_too_large");
}

static void a_target_has_its_limits(void **state)
{
    (void)state;
    char request[1000];
    int size = snprintf(request, sizeof request, "GET /hello?");
    for (int i = 0; i < 64; i++)
        size += snprintf(request + size, sizeof request - (size_t)size, "a=%d&", i);
    snprintf(request + size, sizeof request - (size_t)size, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_answer(request, 200, "hello");
    snprintf(request + size, sizeof request - (size_t)size, "a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_answer(request, 400, "bad_request");
    assert_answer("GET /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16 HTTP/1.1\r\nHost: a\r\n\r\n", 404,
                  "not_found");
    assert_answer("GET /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17 HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "bad_request");
}

/* One left out silently could be the one that says how long the body is. */
static void too_many_headers_are_refused(void **state)
{
    (void)state;
    char request[4000];
    int size = snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: a\r\n");
    for (int i = 2; i <= 101; i++) {
        size += snprintf(request + size, sizeof request - (size_t)size, "X: %d\r\n", i);
        if (i < 100)
            continue;
        snprintf(request + size, sizeof request - (size_t)size, "\r\n");
        assert_answer(request, i == 100 ? 200 : 431, i == 100 ? "hello" : "headers_too_large");
    }
}

static void a_request_id_is_taken_or_made(void **state)
{
    (void)state;
    struct reply reply = ask("GET /nothing HTTP/1.1\r\nHost: a\r\nX-Request-Id: my.id_1-2\r\n\r\n");
    assert_string_equal(reply_header(&reply, "X-Request-Id"), "my.id_1-2");
    assert_non_null(strstr(reply.body, "\"request_id\":\"my.id_1-2\""));
    reply_free(&reply);
    reply = ask("GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: bad id\r\n\r\n");
    assert_int_equal(strlen(reply_header(&reply, "X-Request-Id")), 24);
    reply_free(&reply);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /things/1 HTTP/1.1\r\nHost: a\r\n\r\n"
                    "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                    "GET /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx"
                    "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nab\r\n3;ext=1\r\ncde\r\n0\r\n\r\n"
                    "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                    "GET /things/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    static const char *const bodies[] = {"1|-|-|", "abc", NULL, "abcde", "", "2|-|-|"};
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        struct reply reply = client_read(fd, i == 4);
        assert_int_equal(reply.status, i == 2 ? 404 : 200);
        if (bodies[i] != NULL)
            assert_string_equal(reply.body, bodies[i]);
        if (i == 4)
            assert_string_equal(reply_header(&reply, "Content-Length"), "5");
        reply_free(&reply);
    }
    close(fd);
}

static void a_small_body_has_its_limit(void **state)
{
    (void)state;
    char request[3000], body[1002] = "";
    memset(body, 'b', 1001);
    snprintf(request, sizeof request,
             "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n%.1000s", body);
    assert_answer(request, 200, "bbb");
    snprintf(request, sizeof request,
             "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n%s", body);
    assert_answer(request, 413, "upload_too_large");
    snprintf(request, sizeof request,
             "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n%s\r\n"
             "0\r\n\r\n",
             body);
    assert_answer(request, 413, "upload_too_large");
    assert_int_equal(calls.handles, 1);
}

static void a_handler_without_answer_is_our_mistake(void **state)
{
    (void)state;
    assert_answer("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n", 500, "\"code\":\"internal\"");
}

static void an_unavailable_store_is_said_without_its_reason(void **state)
{
    (void)state;
    struct reply reply = ask("GET /unavailable HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply_header(&reply, "Retry-After"), "5");
    assert_null(strstr(reply.body, "secret"));
    reply_free(&reply);
}

/* ---- Uploads ---- */

static int upload_start(uint64_t length, const char *more_headers)
{
    char request[256];
    int fd = client_connect();
    snprintf(request, sizeof request,
             "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %llu\r\n%s\r\n",
             (unsigned long long)length, more_headers);
    client_send(fd, request);
    return fd;
}

static void assert_reply(int fd, int status, const char *text)
{
    struct reply reply = client_read(fd, false);
    if (reply.status != status || strstr(reply.body, text) == NULL || reply.is_cut)
        fail_msg("answered %d %s", reply.status, reply.body);
    reply_free(&reply);
}

static void an_upload_arrives_whole_and_in_order(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 262144, 524288, 1000003, 5 * MIB};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char text[32];
        int fd = upload_start(sizes[i], "");
        assert_true(client_send_pattern(fd, 0, sizes[i]));
        snprintf(text, sizeof text, "%llu", (unsigned long long)sizes[i]);
        assert_reply(fd, 202, text);
        /* The connection goes on. */
        client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_reply(fd, 200, "hello");
        close(fd);
    }
    assert_int_equal(calls.ends, ARRAY_COUNT(sizes));
    assert_int_equal(calls.aborts, 0);
    assert_false(calls.is_wrong);
}

static void a_chunked_upload_arrives(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    uint64_t offset = 0;
    for (unsigned size = 1; size < 200000; size = size * 3 + 1) {
        char line[16];
        snprintf(line, sizeof line, "%x\r\n", size);
        client_send(fd, line);
        client_send_pattern(fd, offset, size);
        client_send(fd, "\r\n");
        offset += size;
    }
    client_send(fd, "0\r\n\r\n");
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)offset);
    assert_reply(fd, 202, text);
    assert_false(calls.is_wrong);
    close(fd);
}

static void a_broken_chunk_ends_the_upload(void **state)
{
    (void)state;
    static const char *const chunks[] = {
        "zz\r\n", "-1\r\n", "0x1\r\n", "1 \r\n", "1\r\nabc\r\n", "fffffffffffffffff\r\n",
    };
    for (int i = 0; i < (int)ARRAY_COUNT(chunks); i++) {
        int fd = client_connect();
        client_send(fd, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client_send(fd, chunks[i]);
        client_send(fd, "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        struct reply reply = client_read(fd, false);
        assert_in_range(reply.status, 400, 499);
        assert_true(client_is_closed(fd));
        reply_free(&reply);
        close(fd);
        wait_until(calls.aborts == i + 1);
    }
    assert_int_equal(calls.ends + calls.handles, 0);
}

static void a_slow_handler_holds_the_client_back(void **state)
{
    (void)state;
    int fd = upload_start(64 * MIB, "");
    int size = 65536;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    behaviour.blocks_body = true;
    char piece[65536];
    uint64_t sent = 0;
    for (int idle = 0; idle < 50 || (sent < 2 * 262144 && idle < 10000);) {
        pattern_fill(piece, sizeof piece, sent);
        ssize_t got = send(fd, piece, sizeof piece, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (got > 0) {
            sent += (uint64_t)got;
            idle = 0;
        } else {
            sleep_ms(2);
            idle++;
        }
    }
    /* Two pieces, and what the sockets and the library hold. */
    assert_in_range(sent, 2 * 262144, 40 * MIB);
    behaviour.blocks_body = false;
    assert_true(client_send_pattern(fd, sent, 64 * MIB - sent));
    assert_reply(fd, 202, "67108864");
    assert_false(calls.is_wrong);
    close(fd);
}

static void a_refused_upload_is_never_asked_for(void **state)
{
    (void)state;
    behaviour.refuses = true;
    int fd = upload_start(5 * MIB, "Expect: 100-continue\r\n");
    assert_reply(fd, 401, "invalid_token"); /* not 100 */
    assert_int_equal(calls.bytes, 0);
    close(fd);
}

static void an_accepted_upload_is_asked_for(void **state)
{
    (void)state;
    behaviour.blocks_begin = true;
    int fd = upload_start(1000, "Expect: 100-continue\r\n");
    wait_until(calls.begins == 1);
    sleep_ms(50);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1); /* not before begin() says so */
    behaviour.blocks_begin = false;
    assert_reply(fd, 100, "");
    client_send_pattern(fd, 0, 1000);
    assert_reply(fd, 202, "1000");
    close(fd);
}

static void a_refused_client_that_sends_on_gets_its_answer(void **state)
{
    (void)state;
    behaviour.refuses = true;
    for (int i = 0; i < 5; i++) {
        int fd = upload_start(20 * MIB, i == 0 ? "Expect: 100-continue\r\n" : "");
        client_send_pattern(fd, 0, 20 * MIB); /* all of it, before looking */
        assert_reply(fd, 401, "invalid_token");
        assert_true(client_is_closed(fd));
        close(fd);
    }
    assert_int_equal(calls.bytes, 0);
    assert_int_equal(calls.aborts + calls.ends, 0);
}

static void an_upload_can_be_ended_in_the_middle(void **state)
{
    (void)state;
    behaviour.too_large_after = MIB;
    for (int i = 0; i < 5; i++) {
        int fd = upload_start(20 * MIB, "");
        client_send_pattern(fd, 0, 20 * MIB);
        assert_reply(fd, 413, "upload_too_large");
        close(fd);
    }
    wait_until(calls.aborts == 5);
    assert_int_equal(calls.ends, 0);
    assert_in_range(calls.bytes, 5 * MIB, 5 * (MIB + 524288));
}

static void an_answer_in_the_last_piece_is_an_ordinary_one(void **state)
{
    (void)state;
    behaviour.too_large_after = 10;
    behaviour.blocks_body = true;
    int fd = upload_start(20, "");
    client_send_pattern(fd, 0, 20);
    sleep_ms(20); /* the body is complete, and the handler still in it */
    behaviour.blocks_body = false;
    assert_reply(fd, 413, "upload_too_large");
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_reply(fd, 200, "hello");
    assert_int_equal(calls.aborts, 1);
    close(fd);
}

static void a_client_that_goes_in_the_middle_is_aborted(void **state)
{
    (void)state;
    for (int i = 1; i <= 10; i++) {
        int fd = upload_start(5 * MIB, "");
        client_send_pattern(fd, 0, 1000000);
        close(fd);
        wait_until(calls.aborts == i);
    }
    /* What had arrived was handed over first, but for what the library held. */
    assert_in_range(calls.bytes, 10 * (1000000 - 65536), 10000000);
    assert_int_equal(calls.ends, 0);
    wait_until(calls.last_status == 499);
}

static void a_client_that_goes_while_the_handler_is_busy_is_aborted_once(void **state)
{
    (void)state;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    behaviour.blocks_body = true;
    for (int i = 0; i < 3; i++) {
        int fd = upload_start(50 * MIB, "");
        client_send_pattern(fd, 0, 400000 + (uint64_t)i * 200000);
        wait_until(calls.begins == i + 1);
        sleep_ms(20);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(fd);
    }
    sleep_ms(50);
    behaviour.blocks_body = false;
    wait_until(calls.aborts == 3);
    assert_int_equal(calls.ends, 0);
    assert_false(calls.is_wrong);
}

#define SELDOM_MS 10000 /* the interval of ticks, where time is moved */

static void an_open_upload_ticks(void **state)
{
    (void)state;
    int fd = upload_start(MIB, "");
    client_send_pattern(fd, 0, 1234);
    wait_until(calls.begins == 1);
    sleep_ms(100);
    assert_int_equal(calls.bytes, 0);
    clock_advance_ms(SELDOM_MS);
    wait_until(calls.ticks >= 1);
    assert_int_equal(calls.bytes, 1234); /* came with the tick */
    behaviour.tick_answers = true;
    clock_advance_ms(SELDOM_MS);
    assert_reply(fd, 409, "upload_taken_over"); /* although the client is silent */
    wait_until(calls.aborts == 1);
    close(fd);
}

/* proc(5): the second number of statm. */
static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#define SLOW_UPLOAD_COUNT 480 /* two descriptors each of the usual 1024 */
#define SLOW_UPLOAD_SIZE ((uint64_t)262144 + 20000)
#ifdef __SANITIZE_THREAD__
#define RESIDENT_EACH_MAX ((uint64_t)5 * 98304) /* its shadow is four times what it shadows */
#else
#define RESIDENT_EACH_MAX ((uint64_t)98304)
#endif

static void slow_uploads_hold_no_buffers(void **state)
{
    (void)state;
    static int fds[SLOW_UPLOAD_COUNT];
    size_t before = resident_bytes();
    for (int i = 0; i < SLOW_UPLOAD_COUNT; i++) {
        fds[i] = upload_start(SLOW_UPLOAD_SIZE, "");
        client_send_pattern(fds[i], 0, SLOW_UPLOAD_SIZE - 5000);
    }
    wait_until(calls.bytes == SLOW_UPLOAD_COUNT * (SLOW_UPLOAD_SIZE - 5000));
    /* The library's 64 KiB, of which a part is in use, but not ours of 256 KiB. */
    assert_in_range(resident_bytes() - before, 0, SLOW_UPLOAD_COUNT * RESIDENT_EACH_MAX);
    for (int i = 0; i < SLOW_UPLOAD_COUNT; i++)
        client_send_pattern(fds[i], SLOW_UPLOAD_SIZE - 5000, 5000);
    for (int i = 0; i < SLOW_UPLOAD_COUNT; i++) {
        assert_reply(fds[i], 202, "282144");
        close(fds[i]);
    }
    assert_false(calls.is_wrong);
}

/* ---- Downloads ---- */

static void assert_download(const char *target, int status, uint64_t offset, size_t size)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    struct reply reply = ask(request);
    assert_int_equal(reply.status, status);
    assert_false(reply.is_cut);
    assert_int_equal(reply.body_size, size);
    for (size_t i = 0; i < size; i++) {
        if (reply.body[i] != pattern_at(offset + i))
            fail_msg("wrong byte at %zu", i);
    }
    reply_free(&reply);
}

static void a_stream_arrives_whole(void **state)
{
    (void)state;
    assert_download("/stream?size=0", 200, 0, 0);
    assert_download("/stream?size=1", 200, 0, 1);
    assert_download("/stream?size=262144", 200, 0, 262144);
    assert_download("/stream?size=5000001", 200, 0, 5000001);
    wait_until(calls.closes == 4);
}

static void head_of_a_stream_has_its_length_and_no_body(void **state)
{
    (void)state;
    struct reply reply = ask("HEAD /stream?size=5000001 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(reply_header(&reply, "Content-Length"), "5000001");
    reply_free(&reply);
    wait_until(calls.closes == 1);
}

static void a_client_that_leaves_a_download_closes_its_source(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /stream?size=500000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    char bytes[10000];
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    close(fd);
    wait_until(calls.closes == 1);
}

static void a_stream_may_have_nothing_to_say_for_a_while(void **state)
{
    (void)state;
    assert_answer("GET /events HTTP/1.1\r\nHost: a\r\n\r\n", 200, "event;event;");
    wait_until(calls.closes == 1);
}

static void a_source_that_fails_cuts_the_connection(void **state)
{
    (void)state;
    struct reply reply = ask("GET /failing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(reply.status, 200);
    assert_true(reply.is_cut);
    reply_free(&reply);
    wait_until(calls.closes == 1);
}

/* ---- Patience ---- */

/* Time is moved, and the watch looks a few times a second. */
static void let_time_pass(int64_t milliseconds)
{
    sleep_ms(100);
    clock_advance_ms(milliseconds);
    sleep_ms(100);
}

static void slow_headers_are_cut_off(void **state)
{
    (void)state;
    int silent_fd = client_connect(), dripping_fd = client_connect();
    client_send(dripping_fd, "GET /hello HTTP/1.1\r\nHost: a\r\n");
    let_time_pass(8000);
    client_send(dripping_fd, "X: 1\r\n"); /* not inactive, and still open */
    let_time_pass(4000);
    assert_true(client_is_closed(silent_fd));
    assert_true(client_is_closed(dripping_fd));
    close(silent_fd);
    close(dripping_fd);
}

static void an_idle_connection_is_closed_later(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_reply(fd, 200, "hello");
    let_time_pass(50000); /* longer than headers may take */
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_reply(fd, 200, "hello");
    let_time_pass(61000);
    assert_true(client_is_closed(fd));
    close(fd);
}

static void headers_that_stop_in_the_middle_are_not_idle(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_reply(fd, 200, "hello");
    sleep_ms(600); /* the watch has seen it idle */
    client_send(fd, "GE");
    let_time_pass(11000);
    assert_true(client_is_closed(fd));
    close(fd);
}

static void a_stalled_upload_is_cut_off(void **state)
{
    (void)state;
    int fd = upload_start(MIB, "");
    client_send_pattern(fd, 0, 5000);
    let_time_pass(20000);
    assert_int_equal(calls.aborts, 0);
    client_send_pattern(fd, 5000, 1); /* a byte now and then is not enough */
    let_time_pass(20000);
    wait_until(calls.aborts == 1);
    assert_true(client_is_closed(fd));
    close(fd);
}

static void a_slow_upload_goes_on(void **state)
{
    (void)state;
    int fd = upload_start(15000, "");
    for (int i = 0; i < 3; i++) {
        client_send_pattern(fd, (uint64_t)i * 5000, 5000);
        let_time_pass(20000);
    }
    assert_reply(fd, 202, "15000");
    close(fd);
}

static void our_own_slowness_cuts_nobody_off(void **state)
{
    (void)state;
    behaviour.blocks_body = true;
    int fd = upload_start(700000, "");
    client_send_pattern(fd, 0, 700000);
    let_time_pass(40000);
    let_time_pass(40000);
    assert_int_equal(calls.aborts, 0);
    behaviour.blocks_body = false;
    assert_reply(fd, 202, "700000");
    close(fd);
}

static void a_client_that_reads_nothing_is_cut_off(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /stream?size=500000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let_time_pass(20000);
    assert_int_equal(calls.closes, 0);
    /* The sockets' buffers may still have been filling until here. */
    for (int i = 0; i < 10 && calls.closes == 0; i++)
        let_time_pass(20000);
    assert_int_equal(calls.closes, 1);
    close(fd);
}

static void a_slow_reader_gets_it_all(void **state)
{
    (void)state;
    int fd = client_connect();
    int size = 16384;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    client_send(fd, "GET /stream?size=12000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    sleep_ms(20); /* both buffers and both sockets are full */
    char bytes[100000], *head_end = NULL;
    ssize_t got = recv(fd, bytes, 1000, MSG_WAITALL);
    assert_int_equal(got, 1000);
    bytes[got] = '\0';
    head_end = strstr(bytes, "\r\n\r\n");
    assert_non_null(head_end);
    uint64_t offset = (uint64_t)(bytes + got - (head_end + 4));
    for (int i = 0; offset < 12000000; i++) {
        got = recv(fd, bytes, sizeof bytes, 0);
        assert_true(got > 0);
        for (ssize_t at = 0; at < got; at++)
            assert_true(bytes[at] == pattern_at(offset + (uint64_t)at));
        offset += (uint64_t)got;
        if (i < 40 && i % 10 == 0)
            let_time_pass(20000); /* two minutes in all, but always something moves */
    }
    assert_int_equal(offset, 12000000);
    wait_until(calls.closes == 1);
    close(fd);
}

/* ---- Stopping ---- */

struct late_client {
    int fd;
    pthread_t thread;
};

static void *finish_later(void *argument)
{
    struct late_client *client = argument;
    sleep_ms(300);
    client_send_pattern(client->fd, 500, 500);
    return NULL;
}

static void draining_waits_for_what_runs(void **state)
{
    (void)state;
    struct late_client client = {.fd = upload_start(1000, "")};
    int idle_fd = client_connect();
    client_send(idle_fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_reply(idle_fd, 200, "hello");
    client_send_pattern(client.fd, 0, 500);
    wait_until(calls.begins == 1);
    pthread_create(&client.thread, NULL, finish_later, &client);
    assert_true(http_server_drain(fixture_server, 30000));
    pthread_join(client.thread, NULL);
    struct reply reply = client_read(client.fd, false);
    assert_int_equal(reply.status, 202);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_free(&reply);
    assert_true(client_is_closed(idle_fd));
    close(client.fd);
    close(idle_fd);
}

static void *unblock_later(void *argument)
{
    sleep_ms(200);
    behaviour.blocks_body = false;
    return argument;
}

static void draining_waits_for_uploads_that_are_held_back(void **state)
{
    (void)state;
    pthread_t thread;
    int fd = upload_start(800000, "");
    behaviour.blocks_body = true;
    client_send_pattern(fd, 0, 800000);
    sleep_ms(50); /* both buffers are full: the connection is suspended */
    pthread_create(&thread, NULL, unblock_later, NULL);
    assert_true(http_server_drain(fixture_server, 30000));
    pthread_join(thread, NULL);
    struct reply reply = client_read(fd, false);
    assert_int_equal(reply.status, 202);
    assert_string_equal(reply.body, "800000");
    reply_free(&reply);
    assert_int_equal(calls.ends, 1);
    assert_false(calls.is_wrong);
    close(fd);
}

static void a_drained_address_can_be_taken_by_another(void **state)
{
    (void)state;
    int fd = upload_start(1000, "");
    wait_until(calls.begins == 1);
    assert_false(http_server_drain(fixture_server, 50));
    struct error error = {0};
    struct http_server *other = NULL;
    static const struct http_route none[] = {{0}};
    const struct http_server_options options = {
        .listen = http_server_address(fixture_server),
        .routes = none,
        .thread_count = 1,
        .limits = HTTP_LIMITS_STANDARD,
    };
    assert_true(http_server_open(&options, &other, &error));
    http_server_close(other);
    wait_until(calls.aborts == 1);
    close(fd);
}

static void stopping_aborts_uploads_that_wait_for_a_blocked_handler(void **state)
{
    (void)state;
    int fds[4];
    behaviour.blocks_body = true;
    for (int i = 0; i < 4; i++) {
        fds[i] = upload_start(50 * MIB, "");
        client_send_pattern(fds[i], 0, 700000);
    }
    int endless_fd = client_connect();
    client_send(endless_fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    sleep_ms(100);
    assert_false(http_server_drain(fixture_server, 50));
    behaviour.blocks_body = false;
    http_server_close(fixture_server);
    fixture_server = NULL;
    assert_int_equal(calls.aborts, calls.begins);
    assert_int_equal(calls.ends, 0);
    assert_int_equal(calls.threads_closed, 3);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(endless_fd);
}

static void draining_ends_streams_that_wait(void **state)
{
    (void)state;
    int fd = client_connect();
    client_send(fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    sleep_ms(500); /* until it is heard */
    assert_true(http_server_drain(fixture_server, 30000));
    struct reply reply = client_read(fd, false);
    assert_int_equal(reply.status, 200);
    assert_false(reply.is_cut);
    reply_free(&reply);
    close(fd);
    wait_until(calls.closes == 1);
}

static void more_connections_than_the_limit_wait(void **state)
{
    (void)state;
    int fds[4];
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = client_connect();
        client_send(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_reply(fds[i], 200, "hello");
    }
    int late_fd = client_connect(); /* in the kernel's queue only */
    client_send(late_fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    sleep_ms(100);
    assert_int_equal(calls.handles, 4);
    assert_int_equal(http_server_connection_count(fixture_server), 4);
    close(fds[0]);
    assert_reply(late_fd, 200, "hello");
    for (size_t i = 1; i < ARRAY_COUNT(fds); i++)
        close(fds[i]);
    close(late_fd);
}

static void a_refused_client_that_sends_too_much_is_cut(void **state)
{
    (void)state;
    behaviour.refuses = true;
    int fd = upload_start(100 * MIB, "");
    assert_false(client_send_pattern(fd, 0, 100 * MIB));
    close(fd);
}

static void many_clients_at_once(void **state)
{
    (void)state;
    int fds[60];
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = upload_start(100000, "");
        client_send_pattern(fds[i], 0, 60000);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        if (i % 3 == 0)
            close(fds[i]);
        else
            client_send_pattern(fds[i], 60000, 40000);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        if (i % 3 != 0) {
            assert_reply(fds[i], 202, "100000");
            close(fds[i]);
        }
    }
    wait_until(calls.aborts == 20);
    assert_int_equal(calls.ends, 40);
    assert_false(calls.is_wrong);
}

static int open_on(const char *listen, int64_t tick_interval_ms, void **state)
{
    fixture_listen = listen;
    fixture_limits = HTTP_LIMITS_STANDARD;
    fixture_limits.tick_interval_ms = tick_interval_ms;
    fixture_limits.look_interval_ms = 40;
    return http_fixture_open(state);
}

static int open_tcp(void **state)
{
    return open_on("127.0.0.1:0", 300, state);
}

static int open_ticking_seldom(void **state)
{
    return open_on("127.0.0.1:0", SELDOM_MS, state);
}

static int open_unix(void **state)
{
    static char address[64];
    snprintf(address, sizeof address, "unix:/tmp/test-http-server-%d", getpid());
    return open_on(address, 300, state);
}

static int open_narrow(void **state)
{
    fixture_listen = "127.0.0.1:0";
    fixture_limits = HTTP_LIMITS_STANDARD;
    fixture_limits.connections_max = 4;
    fixture_limits.swallow_size_max = 4 * MIB;
    return http_fixture_open(state);
}

#define on_narrow(test) cmocka_unit_test_setup_teardown(test, open_narrow, http_fixture_close)
#define on_tcp(test) cmocka_unit_test_setup_teardown(test, open_tcp, http_fixture_close)
#define on_unix(test)                                                                              \
    {                                                                                              \
#test "_on_a_unix_socket", test, open_unix, http_fixture_close, NULL                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_tcp(a_known_path_is_handled),
        on_tcp(an_unknown_path_or_method_is_refused),
        on_tcp(what_two_servers_could_read_differently_is_refused),
        on_tcp(what_cannot_be_parsed_ends_the_connection),
        on_tcp(too_large_headers_are_refused),
        on_tcp(a_target_has_its_limits),
        on_tcp(too_many_headers_are_refused),
        on_tcp(a_request_id_is_taken_or_made),
        on_tcp(pipelined_requests_are_answered_in_order),
        on_tcp(a_small_body_has_its_limit),
        on_tcp(a_handler_without_answer_is_our_mistake),
        on_tcp(an_unavailable_store_is_said_without_its_reason),
        on_tcp(an_upload_arrives_whole_and_in_order),
        on_tcp(a_chunked_upload_arrives),
        on_tcp(a_broken_chunk_ends_the_upload),
        on_tcp(a_slow_handler_holds_the_client_back),
        on_tcp(a_refused_upload_is_never_asked_for),
        on_tcp(an_accepted_upload_is_asked_for),
        on_tcp(a_refused_client_that_sends_on_gets_its_answer),
        on_tcp(an_upload_can_be_ended_in_the_middle),
        on_tcp(an_answer_in_the_last_piece_is_an_ordinary_one),
        on_tcp(a_client_that_goes_in_the_middle_is_aborted),
        on_tcp(a_client_that_goes_while_the_handler_is_busy_is_aborted_once),
        cmocka_unit_test_setup_teardown(an_open_upload_ticks, open_ticking_seldom,
                                        http_fixture_close),
        on_tcp(slow_uploads_hold_no_buffers),
        on_tcp(a_stream_arrives_whole),
        on_tcp(head_of_a_stream_has_its_length_and_no_body),
        on_tcp(a_client_that_leaves_a_download_closes_its_source),
        on_tcp(a_stream_may_have_nothing_to_say_for_a_while),
        on_tcp(a_source_that_fails_cuts_the_connection),
        on_tcp(slow_headers_are_cut_off),
        on_tcp(an_idle_connection_is_closed_later),
        on_tcp(headers_that_stop_in_the_middle_are_not_idle),
        on_tcp(a_stalled_upload_is_cut_off),
        on_tcp(a_slow_upload_goes_on),
        on_tcp(our_own_slowness_cuts_nobody_off),
        on_tcp(a_client_that_reads_nothing_is_cut_off),
        on_tcp(a_slow_reader_gets_it_all),
        on_tcp(draining_waits_for_what_runs),
        on_tcp(draining_waits_for_uploads_that_are_held_back),
        on_tcp(a_drained_address_can_be_taken_by_another),
        on_tcp(stopping_aborts_uploads_that_wait_for_a_blocked_handler),
        on_tcp(draining_ends_streams_that_wait),
        on_tcp(many_clients_at_once),
        on_narrow(more_connections_than_the_limit_wait),
        on_narrow(a_refused_client_that_sends_too_much_is_cut),
        on_unix(an_upload_arrives_whole_and_in_order),
        on_unix(a_stream_arrives_whole),
        on_unix(a_refused_client_that_sends_on_gets_its_answer),
        on_unix(a_stalled_upload_is_cut_off),
        on_unix(a_client_that_reads_nothing_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
