#pragma once

/* Where the stores of a configuration are, for people: so that a command says which ones it worked
 * on, and a store that was left out of a configuration is noticed. */

#include "base/error.h"
#include "config/config.h"

enum store_role {
    STORE_RECORDS,
    STORE_BLOBS,
    STORE_MESSAGES,
    STORE_ACCOUNTS,
    STORE_MAIL,
};
#define STORE_ROLE_COUNT 5

#define STORE_PLACE_SIZE 400

struct store_place {
    const char *what;            /* "records" */
    bool is_server;              /* else below data.dir */
    char text[STORE_PLACE_SIZE]; /* "sqlite /var/lib/tapedeck", "mysql db.example.org:3306"; no
                                  * login */
};

/* Asks no server. ERROR_BAD_INPUT: an option that says where is wrong or missing. */
MUST_CHECK bool store_place_get(const struct config *config, enum store_role role,
                                struct store_place *out_place, struct error *error);
