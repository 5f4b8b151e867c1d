#include "proxy.h"

#include "base/file.h"

#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 32
#define HELD_MAX ((size_t)1024 * 1024)
#define TICK_MS 5
#define LANDING_MS 60000

struct connection {
    int client; /* -1: hung up */
    int server; /* -1: the place is free */
    char *held; /* owned; requests that are to come late */
    size_t held_size;
    bool is_late; /* some did, and the server has not answered yet */
};

struct proxy {
    /* Set by proxy_open(), then read-only. */
    struct sockaddr_storage server;
    socklen_t server_size;
    uint16_t port;
    pthread_t thread;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    enum proxy_mode mode;
    bool is_ending;
    int listener; /* -1: refusing */
    struct connection connections[CONNECTIONS_MAX];
};

static void close_end(int *fd)
{
    file_close(*fd);
    *fd = -1;
}

static void drop(struct connection *connection)
{
    close_end(&connection->client);
    close_end(&connection->server);
    free(connection->held);
    *connection = (struct connection){.client = -1, .server = -1};
}

/* The same port each time. */
static int listen_on(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(*port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof address;
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 32) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("proxy");
        abort();
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void take_connection(struct proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &proxy->connections[i];
        if (connection->server >= 0)
            continue;
        connection->client = client;
        connection->server = socket(proxy->server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(connection->server, (struct sockaddr *)&proxy->server, proxy->server_size) != 0)
            drop(connection);
        return;
    }
    file_close(client);
}

static void hold(struct connection *connection, const char *bytes, size_t size)
{
    if (connection->held_size + size > HELD_MAX)
        abort();
    connection->held = realloc(connection->held, HELD_MAX);
    if (connection->held == NULL)
        abort();
    memcpy(connection->held + connection->held_size, bytes, size);
    connection->held_size += size;
}

static void release(struct connection *connection)
{
    connection->is_late =
        file_write(connection->server, connection->held, connection->held_size, NULL);
    connection->held_size = 0;
}

/* False: that end is gone. */
static bool read_some(int fd, char *bytes, size_t capacity, size_t *out_size)
{
    ssize_t size = recv(fd, bytes, capacity, 0);
    if (size <= 0)
        return false;
    *out_size = (size_t)size;
    return true;
}

static void from_client(const struct proxy *proxy, struct connection *connection)
{
    char bytes[16384];
    size_t size = 0;
    if (!read_some(connection->client, bytes, sizeof bytes, &size)) {
        if (connection->held_size == 0 && !connection->is_late)
            drop(connection);
        else
            close_end(&connection->client);
    } else if (proxy->mode == PROXY_HOLD_REQUESTS) {
        hold(connection, bytes, size);
    } else if (!file_write(connection->server, bytes, size, NULL)) {
        drop(connection);
    }
}

static void from_server(const struct proxy *proxy, struct connection *connection)
{
    char bytes[16384];
    size_t size = 0;
    if (!read_some(connection->server, bytes, sizeof bytes, &size)) {
        drop(connection);
        return;
    }
    connection->is_late = false;
    if (connection->client < 0 ||
        (proxy->mode != PROXY_LOSE_ANSWERS && !file_write(connection->client, bytes, size, NULL)))
        drop(connection);
}

static bool has_input(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&ready, 1, 0) == 1;
}

static bool serve(struct proxy *proxy)
{
    bool is_busy = false;
    if (has_input(proxy->listener)) {
        take_connection(proxy);
        is_busy = true;
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &proxy->connections[i];
        if (connection->held_size != 0 && proxy->mode != PROXY_HOLD_REQUESTS)
            release(connection);
        if (has_input(connection->client)) {
            from_client(proxy, connection);
            is_busy = true;
        }
        if (has_input(connection->server)) {
            from_server(proxy, connection);
            is_busy = true;
        }
    }
    return is_busy;
}

static void *run(void *argument)
{
    struct proxy *proxy = argument;
    for (bool is_ending = false; !is_ending;) {
        pthread_mutex_lock(&proxy->lock);
        bool is_busy = serve(proxy);
        is_ending = proxy->is_ending;
        pthread_mutex_unlock(&proxy->lock);
        if (!is_busy)
            poll(NULL, 0, TICK_MS);
    }
    return NULL;
}

struct proxy *proxy_open(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    struct proxy *proxy = calloc(1, sizeof *proxy);
    assert_int_equal(getaddrinfo(host, port, &hints, &addresses), 0);
    /* Of localhost the address that a server of tests surely listens on. */
    const struct addrinfo *chosen = addresses;
    if (proxy == NULL || chosen == NULL)
        abort();
    for (const struct addrinfo *one = addresses; one != NULL; one = one->ai_next) {
        if (one->ai_family == AF_INET)
            chosen = one;
    }
    memcpy(&proxy->server, chosen->ai_addr, chosen->ai_addrlen);
    proxy->server_size = chosen->ai_addrlen;
    freeaddrinfo(addresses);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        proxy->connections[i] = (struct connection){.client = -1, .server = -1};
    proxy->listener = listen_on(&proxy->port);
    pthread_mutex_init(&proxy->lock, NULL);
    assert_int_equal(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

void proxy_close(struct proxy *proxy)
{
    if (proxy == NULL)
        return;
    pthread_mutex_lock(&proxy->lock);
    proxy->is_ending = true;
    pthread_mutex_unlock(&proxy->lock);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        drop(&proxy->connections[i]);
    file_close(proxy->listener);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

void proxy_set(struct proxy *proxy, enum proxy_mode mode)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->mode = mode;
    if (mode == PROXY_REFUSE) {
        close_end(&proxy->listener);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            drop(&proxy->connections[i]);
    } else if (proxy->listener < 0) {
        proxy->listener = listen_on(&proxy->port);
    }
    pthread_mutex_unlock(&proxy->lock);
}

static bool is_landed(struct proxy *proxy)
{
    bool is_late = false;
    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        is_late = is_late || proxy->connections[i].is_late || proxy->connections[i].held_size != 0;
    pthread_mutex_unlock(&proxy->lock);
    return !is_late;
}

void proxy_wait_landed(struct proxy *proxy)
{
    for (int waited_ms = 0; !is_landed(proxy); waited_ms += TICK_MS) {
        assert_true(waited_ms < LANDING_MS);
        poll(NULL, 0, TICK_MS);
    }
}
