#pragma once

/* What auth's handlers share. */

#include "net/http_server.h"
#include "net/metrics.h"
#include "net/ops.h"
#include "services/auth/auth.h"
#include "services/auth/hash_gate.h"
#include "services/auth/keys.h"
#include "services/auth/throttle.h"
#include "stores/user_store/user_store.h"
#include <stdatomic.h>

struct auth {
    /* Set by auth_open(), then read-only. */
    const struct config *config;
    struct auth_settings settings;
    struct throttle *throttle; /* owned */
    struct ops *ops;
    struct ops_check checks[3];
    struct http_server *server;                /* owned */
    char nobody_hash[USER_PASSWORD_HASH_SIZE]; /* what an unknown user's password is held against */

    struct hash_gate gate;     /* safe from any thread */
    atomic_bool has_met_users; /* they could be worked with at least once */
};

/* Of one pool thread. */
struct auth_thread {
    struct auth *auth;
    struct user_store *users; /* owned; NULL until it could be opened */
    struct key_ring *keys;    /* owned */
};

struct auth *auth_of(const struct http_request *request);
struct key_ring *auth_keys(const struct http_request *request);
/* NULL: it has answered. */
struct user_store *auth_users(struct http_request *request);
/* The caller has shown the secret of the gateways. */
bool auth_is_gateway(const struct http_request *request);
/* Tokens that were issued before this time have ended, whatever the clock of who verifies them. */
MUST_CHECK bool auth_tokens_since(const struct http_request *request, struct user_store *users,
                                  int64_t *out_since_ms, struct error *error);

void auth_count_login(struct auth *auth, const char *outcome);

http_handler auth_login;
http_handler auth_validate;
http_handler auth_jwks;
http_handler auth_revocations;
http_handler auth_erased;

extern const struct http_route auth_routes[];
