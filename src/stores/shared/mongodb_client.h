#pragma once

/* The driver's client, which finds a server that is back sooner than the driver by itself: after a
 * look in vain that leaves a host alone for 5 s, whatever it is told. A new client looks at once.
 * For the files behind mongodb.h, one thread. */

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

struct mongodb_client {
    mongoc_uri_t *uri;        /* owned */
    mongoc_client_t *current; /* owned */
    int open_cursors;         /* of the current one: as long as there are any, it stays */
    int64_t used_at_boot_ms;
    int64_t renew_at_boot_ms; /* 0: no look was in vain since this client was made */
};

/* False: why is in *out_cause. Connects to nothing yet, but the hosts of a mongodb+srv URI are
 * looked up. */
bool mongodb_client_init(struct mongodb_client *client, const mongoc_uri_t *uri,
                         bson_error_t *out_cause);
void mongodb_client_finish(struct mongodb_client *client); /* zeroed is fine */

/* For each use anew: what it returns is good until the next call. */
mongoc_client_t *mongodb_client_get(struct mongodb_client *client);
/* What it was got for last found no server. */
void mongodb_client_note_unreached(struct mongodb_client *client);
