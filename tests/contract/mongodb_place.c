#include "mongodb_place.h"

#include <mongoc/mongoc.h>
#include <stdlib.h>
#include <string.h>

static void drop(mongoc_client_t *client, const char *name)
{
    bson_error_t cause;
    mongoc_database_t *database = mongoc_client_get_database(client, name);
    if (!mongoc_database_drop_with_opts(database, NULL, &cause))
        fprintf(stderr, "%s is left behind: %s\n", name, cause.message);
    mongoc_database_destroy(database);
}

void mongodb_place_remove(const char *name)
{
    bson_error_t cause;
    const char *ca_file = getenv("TEST_CA_FILE");
    mongoc_uri_t *uri = mongoc_uri_new(getenv("TEST_MONGODB_URI"));
    if (ca_file != NULL && mongoc_uri_get_tls(uri))
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, ca_file);
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    char **names = mongoc_client_get_database_names_with_opts(client, NULL, &cause);
    if (names == NULL)
        fprintf(stderr, "%s is left behind: %s\n", name, cause.message);
    for (char **one = names; one != NULL && *one != NULL; one++) {
        if (strncmp(*one, name, strlen(name)) == 0)
            drop(client, *one);
    }
    bson_strfreev(names);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
}
