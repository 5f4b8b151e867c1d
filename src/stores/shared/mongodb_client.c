#include "stores/shared/mongodb_client.h"

#include "base/clock.h"
#include <string.h>

/* Where looks take long, as at a server that is silent, at most a third of the caller's time goes
 * into them. */
#define RENEW_LEAST_MS CLOCK_SECOND_MS
#define RENEW_MOST_MS (5 * CLOCK_SECOND_MS)

static mongoc_client_t *create(const mongoc_uri_t *uri, bson_error_t *out_cause)
{
    mongoc_client_t *created = mongoc_client_new_from_uri_with_error(uri, out_cause);
    if (created != NULL)
        mongoc_client_set_error_api(created, MONGOC_ERROR_API_VERSION_2);
    return created;
}

bool mongodb_client_init(struct mongodb_client *client, const mongoc_uri_t *uri,
                         bson_error_t *out_cause)
{
    mongoc_client_t *created = create(uri, out_cause);
    if (created == NULL)
        return false;
    *client = (struct mongodb_client){.uri = mongoc_uri_copy(uri), .current = created};
    return true;
}

void mongodb_client_finish(struct mongodb_client *client)
{
    if (client->current != NULL)
        mongoc_client_destroy(client->current);
    mongoc_uri_destroy(client->uri);
}

/* Servers that are there, though none of them can be written to, are asked again by this client. */
static bool is_any_there(const mongoc_client_t *client)
{
    size_t count = 0;
    mongoc_server_description_t **servers = mongoc_client_get_server_descriptions(client, &count);
    bool is_there = false;
    for (size_t i = 0; i < count; i++)
        is_there = is_there || strcmp(mongoc_server_description_type(servers[i]), "Unknown") != 0;
    mongoc_server_descriptions_destroy_all(servers, count);
    return is_there;
}

static void renew(struct mongodb_client *client)
{
    bson_error_t ignored = {0};
    mongoc_client_t *created = create(client->uri, &ignored);
    if (created == NULL)
        return;
    mongoc_client_reset(client->current); /* so that its end is told to no server */
    mongoc_client_destroy(client->current);
    client->current = created;
}

mongoc_client_t *mongodb_client_get(struct mongodb_client *client)
{
    int64_t now_ms = clock_boot_ms();
    if (client->renew_at_boot_ms != 0 && now_ms >= client->renew_at_boot_ms &&
        client->open_cursors == 0) {
        client->renew_at_boot_ms = 0;
        if (!is_any_there(client->current))
            renew(client);
    }
    client->used_at_boot_ms = now_ms;
    return client->current;
}

/* In its pause too the driver says now and then that it found no server. */
void mongodb_client_note_unreached(struct mongodb_client *client)
{
    if (client->renew_at_boot_ms != 0)
        return;
    int64_t now_ms = clock_boot_ms();
    int64_t wait_ms = 2 * (now_ms - client->used_at_boot_ms);
    wait_ms = wait_ms < RENEW_LEAST_MS ? RENEW_LEAST_MS : wait_ms;
    wait_ms = wait_ms > RENEW_MOST_MS ? RENEW_MOST_MS : wait_ms;
    client->renew_at_boot_ms = now_ms + wait_ms;
}
