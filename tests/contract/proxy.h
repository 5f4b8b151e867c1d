#pragma once

/* Between a store and its server, to make happen what networks do: requests that come late, answers
 * that never come, a server that is gone for a while. Bytes only, so that any server and TLS go
 * through it. */

#include <stdint.h>

struct proxy;

enum proxy_mode {
    PROXY_PASS,
    PROXY_LOSE_ANSWERS,  /* the server does what it is asked, and nobody is told */
    PROXY_HOLD_REQUESTS, /* nothing reaches the server until the mode changes; then all of it does,
                            also of those who hung up since */
    PROXY_REFUSE,        /* nobody listens; connections are reset */
};

/* To the server at host:port of loopback or beyond. Fails the test where it cannot. */
struct proxy *proxy_open(const char *host, const char *port);
void proxy_close(struct proxy *proxy);          /* NULL is fine */
uint16_t proxy_port(const struct proxy *proxy); /* on 127.0.0.1 */

void proxy_set(struct proxy *proxy, enum proxy_mode mode);
/* Until the server has answered all that came late, whether or not anybody still listens. */
void proxy_wait_landed(struct proxy *proxy);
