#pragma once

/* Between the files behind mongodb.h: the connection, and what its failures mean. */

#include "base/file.h"
#include "stores/shared/mongodb.h"
#include "stores/shared/mongodb_client.h"
#include <mongoc/mongoc.h>

#define MONGODB_SERVER_SIZE 128
#define MONGODB_DATABASE_SIZE 64

struct mongodb {
    struct mongodb_client client;
    char databases[MONGODB_DATABASE_COUNT][MONGODB_DATABASE_SIZE];
    char server[MONGODB_SERVER_SIZE]; /* the first host, for messages */
    int timeout_ms;
    bool has_tls;
    char ca_file[FILE_PATH_SIZE];      /* "": the system's */
    char unreachable[ERROR_TEXT_SIZE]; /* why it was so last; "": it has not been */
    int64_t clock_offset_ms;           /* the server's clock less ours since boot */
    int64_t clock_read_at_boot_ms;     /* 0: not yet */
};

/* Reads the options; refuses what would go over a network unencrypted or unverified. */
MUST_CHECK bool mongodb_connection_init(struct mongodb *mongodb, const struct config *config,
                                        struct error *error);

/* Sets *error from what the driver says; returns false (as error.h's own do, and by the same means
 * for compilers). */
bool mongodb_fail(struct mongodb *mongodb, const bson_error_t *cause, struct error *error);
#define mongodb_fail(...) always_false((mongodb_fail)(__VA_ARGS__))
