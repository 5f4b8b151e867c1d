#pragma once

/* What the gateway's handlers share. Routes are in routes.c; each handler has a file of its own. */

#include "base/error.h"
#include "config/config.h"
#include "model/claims.h"
#include "model/conversion.h"
#include "net/http_server.h"
#include "net/ops.h"
#include "services/common/cleaner.h"
#include "services/common/limits.h"
#include "services/common/policy.h"
#include "services/common/public_url.h"
#include "services/common/publisher.h"
#include "services/common/records.h"
#include "services/gateway/erasure.h"
#include "services/gateway/settings.h"
#include "services/gateway/tokens.h"
#include "stores/blob_store/blob_store.h"
#include "stores/record_store/record_store.h"
#include <stdatomic.h>
#include <stdint.h>

struct http_client;

/* How long a handler goes on with a write whose outcome it does not know. */
#define GATEWAY_WRITE_TIMEOUT_MS 10000

struct gateway {
    /* Set by gateway_open(), then read-only. */
    const struct config *config;
    struct gateway_settings settings;
    struct limits limits;
    struct policy policy;
    struct public_url public_url;
    struct tokens *tokens;       /* owned */
    struct publisher *publisher; /* owned */
    struct cleaner *cleaner;     /* owned */
    struct http_server *server;  /* owned */
    int64_t tick_interval_ms;    /* how often what is transferred is looked up in its record */
    struct ops *ops;
    struct ops_check checks[2]; /* the last one ends the table */

    struct erasure erasure; /* of the thread of the tokens */

    atomic_ullong logins_open; /* changed by any thread */
};

/* Of one pool thread; nobody else's. */
struct gateway_thread {
    struct gateway *gateway;
    struct record_store *records; /* owned; NULL until it could be opened */
    struct blob_store *blobs;     /* owned; likewise */
    struct http_client *auth;     /* owned; likewise */
};

struct gateway *gateway_of(const struct http_request *request);

/* Answers, and returns false. */
bool gateway_refuse(struct http_request *request, const struct failure *failure,
                    const char *detail);

/* Each of these has answered where it returns NULL or false. */
struct record_store *gateway_records(struct http_request *request);
struct blob_store *gateway_blobs(struct http_request *request);
/* The bearer of the request's token. */
MUST_CHECK bool gateway_authenticate(struct http_request *request, struct claims *out_claims);
/* The conversion of that id, if it is the bearer's: what is somebody else's, what is deleted and
 * what never was cannot be told apart. */
MUST_CHECK bool gateway_find_own(struct http_request *request, const struct claims *claims,
                                 const char *id_text, struct conversion *out_record);
/* The bearer's own that the path names as {id}. */
MUST_CHECK bool gateway_find_in_path(struct http_request *request, struct conversion *out_record);
/* The record as it was found, changed; `refused` is the answer where `decide`, whose context is the
 * gateway, does not change what is still there. */
MUST_CHECK bool gateway_change(struct http_request *request, record_decision *decide,
                               const struct failure *refused, struct conversion *record);

bool gateway_is_owner(const struct claims *claims, const struct conversion *record);
void gateway_answer_conversion(struct http_request *request, int status,
                               const struct conversion *record);
/* Of a store: 503, store_unavailable or disk_full, and a line in the log. */
void gateway_answer_store_error(struct http_request *request, const struct error *error);

/* ---- One for each route ---- */

http_handler gateway_login;
http_handler gateway_list;
http_handler gateway_get;
http_handler gateway_delete;
http_handler gateway_cancel;
http_handler gateway_download;
http_handler gateway_mp3;
http_handler gateway_page;
extern const struct http_upload gateway_upload_form; /* POST /upload */
extern const struct http_upload gateway_upload_any;  /* POST /v1/conversions */

extern const struct http_route gateway_routes[];
