#include "net/http_address.h"

#include "base/file.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

/* A file is left behind by a server that was killed; on one that is alive, somebody answers. */
static bool remove_stale_socket(const struct sockaddr_un *address, struct error *error)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return true;
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, ERROR_CONFLICT, "listen on %s: a file that is no socket is there",
                         address->sun_path);
    CLEANUP(file_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(error, errno, "make a socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
        return error_set(error, ERROR_CONFLICT, "listen on %s: another server answers there",
                         address->sun_path);
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return error_set_errno(error, errno, "remove the stale socket %s", address->sun_path);
    return true;
}

static bool take_path(const char *path, struct sockaddr_un *out_address, struct error *error)
{
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof out_address->sun_path)
        return error_set(error, ERROR_BAD_INPUT, "unix:%.200s: a path of 1 to %zu bytes", path,
                         sizeof out_address->sun_path - 1);
    *out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out_address->sun_path, path, size + 1);
    return true;
}

static bool listen_unix(const char *path, int *out_fd, struct error *error)
{
    struct sockaddr_un address;
    if (!take_path(path, &address, error))
        return error_prefix(error, "listen on");
    if (!remove_stale_socket(&address, error))
        return false;

    CLEANUP(file_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(error, errno, "make a socket");
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0)
        return error_set_errno(error, errno, "listen on unix:%s", path);
    *out_fd = fd;
    fd = -1;
    return true;
}

/* Cuts "host:port" or "[v6]:port" in two. */
static bool split_address(const char *address, char host[HTTP_ADDRESS_SIZE], char port[8],
                          struct error *error)
{
    const char *colon = strrchr(address, ':');
    size_t host_size = colon != NULL ? (size_t)(colon - address) : 0;
    const char *host_start = address;
    if (host_size >= 2 && address[0] == '[' && address[host_size - 1] == ']') {
        host_start++;
        host_size -= 2;
    } else if (host_size > 0 && memchr(address, ':', host_size) != NULL) {
        host_size = 0; /* a v6 address without brackets */
    }
    size_t port_size = colon != NULL ? strlen(colon + 1) : 0;
    uint64_t number;
    if (host_size == 0 || host_size >= HTTP_ADDRESS_SIZE || port_size > 5 ||
        !text_parse_count(port_size > 0 ? colon + 1 : "", UINT16_MAX, &number, NULL))
        return error_set(error, ERROR_BAD_INPUT,
                         "\"%.100s\" is no address: write host:port, [v6]:port or unix:/path",
                         address);
    memcpy(host, host_start, host_size);
    host[host_size] = '\0';
    memcpy(port, colon + 1, port_size + 1);
    return true;
}

bool http_address_check(const char *address, struct error *error)
{
    char host[HTTP_ADDRESS_SIZE], port[8];
    struct sockaddr_un path;
    return strncmp(address, "unix:", 5) == 0 ? take_path(address + 5, &path, error)
                                             : split_address(address, host, port, error);
}

static bool fail_to_listen(const char *address, struct error *error)
{
    if (errno == EADDRINUSE)
        return error_set(error, ERROR_CONFLICT, "listen on %.100s: the port is in use", address);
    return error_set_errno(error, errno, "listen on %.100s", address);
}

static bool bind_to(const struct addrinfo *info, const char *address, int *out_fd,
                    struct error *error)
{
    CLEANUP(file_closep)
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(error, errno, "make a socket");
    const int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0)
        return fail_to_listen(address, error);
    *out_fd = fd;
    fd = -1;
    return true;
}

static void format_bound(int fd, char out_address[HTTP_ADDRESS_SIZE])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {0}};
    socklen_t size = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "";
    getsockname(fd, &bound.any, &size);
    if (bound.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &bound.v6.sin6_addr, host, sizeof host);
        snprintf(out_address, HTTP_ADDRESS_SIZE, "[%s]:%u", host, ntohs(bound.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &bound.v4.sin_addr, host, sizeof host);
        snprintf(out_address, HTTP_ADDRESS_SIZE, "%s:%u", host, ntohs(bound.v4.sin_port));
    }
}

/* Of "host:port" and "[v6]:port". */
static bool bind_address(const char *address, int *out_fd, char out_address[HTTP_ADDRESS_SIZE],
                         struct error *error)
{
    char host[HTTP_ADDRESS_SIZE], port[8];
    if (!split_address(address, host, port, error))
        return false;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0)
        return error_set(error, ERROR_BAD_INPUT, "listen on %.100s: %s", address,
                         gai_strerror(failure));
    bool is_bound = bind_to(found, address, out_fd, error);
    freeaddrinfo(found);
    if (is_bound)
        format_bound(*out_fd, out_address);
    return is_bound;
}

bool http_address_listen(const char *address, int *out_fd, char out_address[HTTP_ADDRESS_SIZE],
                         struct error *error)
{
    if (strncmp(address, "unix:", 5) == 0) {
        if (!listen_unix(address + 5, out_fd, error))
            return false;
        snprintf(out_address, HTTP_ADDRESS_SIZE, "%s", address);
        return true;
    }
    CLEANUP(file_closep) int fd = -1;
    if (!bind_address(address, &fd, out_address, error))
        return false;
    if (listen(fd, BACKLOG) != 0)
        return fail_to_listen(address, error);
    *out_fd = fd;
    fd = -1;
    return true;
}

bool http_address_reserve(const char *address, int *out_fd, char out_address[HTTP_ADDRESS_SIZE],
                          struct error *error)
{
    if (strncmp(address, "unix:", 5) != 0)
        return bind_address(address, out_fd, out_address, error);
    snprintf(out_address, HTTP_ADDRESS_SIZE, "%s", address);
    *out_fd = -1;
    return true;
}

void http_address_format_host(const struct sockaddr *address, char out_text[HTTP_ADDRESS_SIZE])
{
    snprintf(out_text, HTTP_ADDRESS_SIZE, "unix");
    if (address == NULL)
        return;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, out_text, HTTP_ADDRESS_SIZE);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], out_text, HTTP_ADDRESS_SIZE);
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, out_text, HTTP_ADDRESS_SIZE);
    }
}
