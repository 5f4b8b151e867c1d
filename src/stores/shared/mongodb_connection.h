#pragma once

/* Between the files behind mongodb.h: the connection, and what its failures mean. */

#include "stores/shared/mongodb.h"
#include <mongoc/mongoc.h>

#define MONGODB_SERVER_SIZE 128

struct mongodb {
    mongoc_client_t *client; /* owned */
    const char *databases[MONGODB_DATABASE_COUNT];
    char server[MONGODB_SERVER_SIZE]; /* the first host, for messages */
    int64_t clock_offset_ms;          /* the server's clock less ours since boot */
    int64_t clock_read_at_boot_ms;    /* 0: not yet */
};

/* Reads the options; refuses what would go over a network unencrypted or unverified. */
MUST_CHECK bool mongodb_connection_init(struct mongodb *mongodb, const struct config *config,
                                        struct error *error);

/* Sets *error from what the driver says; returns false. */
bool mongodb_fail(const struct mongodb *mongodb, const bson_error_t *cause, struct error *error);
