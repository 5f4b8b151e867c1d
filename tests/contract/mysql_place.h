#pragma once

/* A database of its own for each case, and two accounts for it as deploy/mysql makes them: one that
 * makes tables, one that may use the rows of two of them and nothing else. TEST_MYSQL_URI names an
 * account that may make all this. */

#include "stores/shared/server_uri.h"

struct mysql_place {
    char service_uri[SERVER_URI_PART_SIZE];
    char migrate_uri[SERVER_URI_PART_SIZE];
};

/* Makes it where it is missing. Fails the test on any error. */
void mysql_place_make(const char *name, struct mysql_place *out_place);
void mysql_place_remove(const char *name);

/* SQL of any kind by the account of TEST_MYSQL_URI: "%1$s" is the database. Fails the test on any
 * error. */
void mysql_place_execute(const char *name, const char *format);
