#include "net/http_watch.h"

#include "base/clock.h"
#include "base/condition.h"
#include "base/file.h"
#include "net/http_exchange.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGERERS_MAX 256
#define LINGER_TIME_MAX_MS 60000
#define LINGER_QUIET_MAX_MS 10000
#define SWALLOW_SIZE ((size_t)1 << 20)
/* Of the connections, this part is kept free for those who come: more than the library accepts
 * before it looks at those that were cut. */
#define SPARE_PART 16

struct http_connection {
    struct http_connection *next, *previous;
    int fd;
    bool is_tcp;

    /* Guarded by the watch's lock. */
    struct http_request *request; /* borrowed; NULL between two */
    bool has_headers;
    bool is_cut;            /* and soon removed */
    bool has_bytes;         /* of the next request, before its first line is complete */
    int64_t since_ms;       /* when the present state began */
    uint64_t idle_received; /* what had been received when it became idle; 0: not looked yet */
    uint64_t moved;
    int64_t moved_ms;
    int64_t tick_ms;
};

struct lingerer {
    struct lingerer *next;
    int fd; /* owned */
    uint64_t size_left;
    int64_t end_ms, quiet_end_ms;
};

struct http_watch {
    /* Set by http_watch_open(), then read-only. */
    struct http_limits limits;
    pthread_t thread;
    int epoll_fd, stop_fd; /* owned */

    /* The watch's thread only. */
    char *unwanted; /* owned; SWALLOW_SIZE bytes that nobody looks at */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct http_connection *connections;
    unsigned count;
    unsigned cut_count;         /* of these */
    struct lingerer *lingerers; /* owned */
    unsigned lingerer_count;
    pthread_cond_t emptied;
    bool is_draining;
};

/* ---- Connections ---- */

static struct tcp_info read_tcp_info(const struct http_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    return info;
}

/* Bytes received and acknowledged by the peer, both ever growing. A Unix socket has no such count:
 * what changes there is taken from what the library has moved and what waits in the socket. */
static uint64_t bytes_moved(const struct http_connection *connection)
{
    if (connection->is_tcp) {
        struct tcp_info info = read_tcp_info(connection);
        return info.tcpi_bytes_received + info.tcpi_bytes_acked;
    }
    int outgoing = 0, incoming = 0;
    ioctl(connection->fd, SIOCOUTQ, &outgoing);
    ioctl(connection->fd, SIOCINQ, &incoming);
    uint64_t moved = (uint64_t)incoming - (uint64_t)outgoing;
    struct http_request *request = connection->request;
    if (request != NULL) {
        pthread_mutex_lock(&request->lock);
        moved += request->body_received + request->body_sent;
        pthread_mutex_unlock(&request->lock);
    }
    return moved;
}

static void cut(struct http_watch *watch, struct http_connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
    watch->cut_count += !connection->is_cut;
    connection->is_cut = true;
}

/* Nobody works for it yet, whatever it has sent. */
static bool has_asked_nothing(const struct http_connection *connection)
{
    struct http_request *request = connection->request;
    if (request == NULL)
        return true;
    pthread_mutex_lock(&request->lock);
    bool is_incomplete = request->phase == HTTP_PHASE_HEADERS ||
                         request->phase == HTTP_PHASE_COLLECT ||
                         request->phase == HTTP_PHASE_DISCARD;
    pthread_mutex_unlock(&request->lock);
    return is_incomplete;
}

/* Connections that only stand there cost a client nothing, so that any number of them must not keep
 * others out: where they run out, the one that has asked for nothing for the longest time goes. */
static void make_room(struct http_watch *watch)
{
    unsigned most = watch->limits.connections_max - watch->limits.connections_max / SPARE_PART;
    struct http_connection *oldest = NULL;
    if (watch->count - watch->cut_count <= most)
        return;
    for (struct http_connection *at = watch->connections; at != NULL; at = at->next) {
        bool is_older = oldest == NULL || at->since_ms <= oldest->since_ms;
        if (is_older && !at->is_cut && has_asked_nothing(at))
            oldest = at;
    }
    if (oldest != NULL)
        cut(watch, oldest);
}

struct http_connection *http_watch_add(struct http_watch *watch, int fd)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        abort();
    int domain = 0;
    socklen_t size = sizeof domain;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    connection->fd = fd;
    connection->is_tcp = domain == AF_INET || domain == AF_INET6;
    connection->since_ms = clock_boot_ms();
    /* A new connection owes its headers at once; one that has had a request may idle. */
    connection->has_bytes = true;
    pthread_mutex_lock(&watch->lock);
    make_room(watch);
    connection->next = watch->connections;
    if (watch->connections != NULL)
        watch->connections->previous = connection;
    watch->connections = connection;
    watch->count++;
    pthread_mutex_unlock(&watch->lock);
    return connection;
}

void http_watch_remove(struct http_watch *watch, struct http_connection *connection)
{
    pthread_mutex_lock(&watch->lock);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        watch->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    watch->cut_count -= connection->is_cut;
    if (--watch->count == 0)
        pthread_cond_signal(&watch->emptied);
    pthread_mutex_unlock(&watch->lock);
    free(connection);
}

int http_connection_fd(const struct http_connection *connection)
{
    return connection->fd;
}

unsigned http_watch_count(struct http_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    unsigned count = watch->count;
    pthread_mutex_unlock(&watch->lock);
    return count;
}

void http_watch_begin(struct http_watch *watch, struct http_connection *connection,
                      struct http_request *request)
{
    pthread_mutex_lock(&watch->lock);
    connection->request = request;
    connection->has_headers = false;
    if (!connection->has_bytes)
        connection->since_ms = clock_boot_ms();
    pthread_mutex_unlock(&watch->lock);
}

void http_watch_headers(struct http_watch *watch, struct http_connection *connection)
{
    pthread_mutex_lock(&watch->lock);
    connection->has_headers = true;
    connection->moved_ms = connection->tick_ms = clock_boot_ms();
    pthread_mutex_unlock(&watch->lock);
}

void http_watch_end(struct http_watch *watch, struct http_connection *connection)
{
    pthread_mutex_lock(&watch->lock);
    connection->request = NULL;
    connection->has_bytes = false;
    connection->since_ms = clock_boot_ms();
    connection->idle_received = 0;
    pthread_mutex_unlock(&watch->lock);
}

/* Bytes that wait to be read: of a request that the event loop has not looked at. */
static bool has_waiting_bytes(const struct http_connection *connection)
{
    int waiting = 0;
    return ioctl(connection->fd, FIONREAD, &waiting) == 0 && waiting > 0;
}

static bool idles_too_long(struct http_watch *watch, struct http_connection *connection,
                           int64_t now_ms)
{
    if (connection->is_tcp && !connection->has_bytes) {
        uint64_t received = read_tcp_info(connection).tcpi_bytes_received;
        if (connection->idle_received == 0)
            connection->idle_received = received;
        if (received != connection->idle_received) {
            connection->has_bytes = true;
            connection->since_ms = now_ms;
        }
    }
    if (watch->is_draining && !has_waiting_bytes(connection) &&
        now_ms - connection->since_ms >= watch->limits.look_interval_ms)
        return true;
    int64_t patience_ms =
        connection->has_bytes ? watch->limits.header_timeout_ms : watch->limits.idle_timeout_ms;
    return now_ms - connection->since_ms > patience_ms;
}

/* While the connection is suspended it waits for us, and while a handler is due so does it. */
static bool stalls(struct http_watch *watch, struct http_connection *connection, bool is_suspended,
                   int64_t now_ms)
{
    uint64_t moved = bytes_moved(connection);
    if (is_suspended || moved - connection->moved >= watch->limits.stall_size_min) {
        connection->moved = moved;
        connection->moved_ms = now_ms;
        return false;
    }
    return now_ms - connection->moved_ms > watch->limits.stall_timeout_ms;
}

/* The client has closed, or closed its side, and nothing that it sent is left. The library learns
 * of that by an edge of epoll, and misses it where the end came in one event with the last bytes.
 */
static bool has_left(const struct http_connection *connection)
{
    struct pollfd state = {.fd = connection->fd, .events = POLLRDHUP};
    return poll(&state, 1, 0) == 1 && !has_waiting_bytes(connection);
}

static bool is_receiving(const struct http_request *request)
{
    return !request->is_suspended && !request->is_body_complete &&
           (request->phase == HTTP_PHASE_OPEN || request->phase == HTTP_PHASE_COLLECT ||
            request->phase == HTTP_PHASE_DISCARD || request->was_sent_early);
}

static bool look_at_request(struct http_watch *watch, struct http_connection *connection,
                            int64_t now_ms)
{
    struct http_request *request = connection->request;
    pthread_mutex_lock(&request->lock);
    bool is_suspended = request->is_suspended;
    bool is_tick = request->phase == HTTP_PHASE_OPEN &&
                   now_ms - connection->tick_ms >= watch->limits.tick_interval_ms;
    if (is_tick) {
        connection->tick_ms = now_ms;
        request->is_tick_due = true;
    }
    bool was_waiting = request->source_waits;
    request->source_waits = false;
    if (is_tick || was_waiting)
        http_exchange_schedule(request);
    bool is_left = is_receiving(request) && has_left(connection);
    pthread_mutex_unlock(&request->lock);
    return is_left || stalls(watch, connection, is_suspended, now_ms);
}

static void look_at_connections(struct http_watch *watch)
{
    int64_t now_ms = clock_boot_ms();
    pthread_mutex_lock(&watch->lock);
    for (struct http_connection *at = watch->connections; at != NULL; at = at->next) {
        bool is_cut;
        if (at->request == NULL)
            is_cut = idles_too_long(watch, at, now_ms);
        else if (!at->has_headers)
            is_cut = has_left(at) || now_ms - at->since_ms > watch->limits.header_timeout_ms;
        else
            is_cut = look_at_request(watch, at, now_ms);
        if (is_cut)
            cut(watch, at);
    }
    pthread_mutex_unlock(&watch->lock);
}

/* ---- Lingering ---- */

void http_watch_linger(struct http_watch *watch, const struct http_connection *connection)
{
    int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct lingerer *lingerer = calloc(1, sizeof *lingerer);
    if (lingerer == NULL)
        abort();
    int64_t now_ms = clock_boot_ms();
    *lingerer = (struct lingerer){
        .fd = fd,
        .size_left = watch->limits.swallow_size_max,
        .end_ms = now_ms + LINGER_TIME_MAX_MS,
        .quiet_end_ms = now_ms + LINGER_QUIET_MAX_MS,
    };
    pthread_mutex_lock(&watch->lock);
    bool has_room = watch->lingerer_count < LINGERERS_MAX;
    if (has_room) {
        lingerer->next = watch->lingerers;
        watch->lingerers = lingerer;
        watch->lingerer_count++;
    }
    pthread_mutex_unlock(&watch->lock);
    if (!has_room) {
        file_close(fd);
        free(lingerer);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* False: the client has closed, or more than it may has come. MSG_TRUNC drops without copying, on
 * TCP; a Unix socket is read for real. */
static bool swallow(struct http_watch *watch, struct lingerer *lingerer)
{
    ssize_t size = recv(lingerer->fd, watch->unwanted, SWALLOW_SIZE, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0 || (uint64_t)size > lingerer->size_left)
        return false;
    lingerer->size_left -= (uint64_t)size;
    lingerer->quiet_end_ms = clock_boot_ms() + LINGER_QUIET_MAX_MS;
    return true;
}

/* Only this thread removes lingerers, so that one found may be used without the lock. */
static struct lingerer **find_lingerer(struct http_watch *watch, int fd)
{
    struct lingerer **link = &watch->lingerers;
    while (*link != NULL && (*link)->fd != fd)
        link = &(*link)->next;
    return link;
}

static void lingerer_remove(struct http_watch *watch, struct lingerer **link)
{
    struct lingerer *lingerer = *link;
    *link = lingerer->next;
    watch->lingerer_count--;
    file_close(lingerer->fd); /* leaves the epoll set with its last descriptor */
    free(lingerer);
}

static void look_at_lingerers(struct http_watch *watch, bool are_all_ended)
{
    int64_t now_ms = clock_boot_ms();
    pthread_mutex_lock(&watch->lock);
    for (struct lingerer **link = &watch->lingerers; *link != NULL;) {
        if (are_all_ended || now_ms >= (*link)->end_ms || now_ms >= (*link)->quiet_end_ms)
            lingerer_remove(watch, link);
        else
            link = &(*link)->next;
    }
    pthread_mutex_unlock(&watch->lock);
}

static void linger_on(struct http_watch *watch, int fd)
{
    pthread_mutex_lock(&watch->lock);
    struct lingerer **link = find_lingerer(watch, fd);
    if (*link != NULL && !swallow(watch, *link))
        lingerer_remove(watch, link);
    pthread_mutex_unlock(&watch->lock);
}

/* ---- The thread ---- */

static void *watch_main(void *argument)
{
    struct http_watch *watch = argument;
    pthread_setname_np(pthread_self(), "http-watch");
    int64_t look_ms = clock_boot_ms();
    for (bool is_stopped = false; !is_stopped;) {
        struct epoll_event events[32];
        int count = epoll_wait(watch->epoll_fd, events, (int)ARRAY_COUNT(events),
                               (int)watch->limits.look_interval_ms);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == watch->stop_fd)
                is_stopped = true;
            else
                linger_on(watch, events[i].data.fd);
        }
        int64_t now_ms = clock_boot_ms();
        if (now_ms - look_ms >= watch->limits.look_interval_ms) {
            look_ms = now_ms;
            look_at_connections(watch);
            look_at_lingerers(watch, false);
        }
    }
    look_at_lingerers(watch, true);
    return NULL;
}

static void watch_free(struct http_watch *watch)
{
    file_close(watch->epoll_fd);
    file_close(watch->stop_fd);
    pthread_cond_destroy(&watch->emptied);
    pthread_mutex_destroy(&watch->lock);
    free(watch->unwanted);
    free(watch);
}

bool http_watch_open(const struct http_limits *limits, struct http_watch **out_watch,
                     struct error *error)
{
    struct http_watch *watch = calloc(1, sizeof *watch);
    char *unwanted = malloc(SWALLOW_SIZE);
    if (watch == NULL || unwanted == NULL)
        abort();
    watch->unwanted = unwanted;
    watch->limits = *limits;
    pthread_mutex_init(&watch->lock, NULL);
    condition_init(&watch->emptied);
    watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = watch->stop_fd};
    int failure = 0;
    if (watch->epoll_fd < 0 || watch->stop_fd < 0 ||
        epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->stop_fd, &event) != 0)
        failure = errno;
    else
        failure = pthread_create(&watch->thread, NULL, watch_main, watch);
    if (failure != 0) {
        watch_free(watch);
        return error_set_errno(error, failure, "start the watch over connections");
    }
    *out_watch = watch;
    return true;
}

void http_watch_close(struct http_watch *watch)
{
    if (watch == NULL)
        return;
    eventfd_write(watch->stop_fd, 1);
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}

void http_watch_drain(struct http_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_draining = true;
    pthread_mutex_unlock(&watch->lock);
}

bool http_watch_wait(struct http_watch *watch, int64_t timeout_ms)
{
    struct timespec deadline = condition_deadline(timeout_ms);
    pthread_mutex_lock(&watch->lock);
    int result = 0;
    while (watch->count > 0 && result == 0)
        result = pthread_cond_timedwait(&watch->emptied, &watch->lock, &deadline);
    bool is_empty = watch->count == 0;
    pthread_mutex_unlock(&watch->lock);
    return is_empty;
}

void http_watch_cut(struct http_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    for (struct http_connection *at = watch->connections; at != NULL; at = at->next)
        cut(watch, at);
    pthread_mutex_unlock(&watch->lock);
}
