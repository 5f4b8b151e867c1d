/* GET /v1/conversions: the caller's own, newest first, a page at a time. */

#include "services/gateway/gateway.h"

#include "base/json.h"
#include "base/text.h"
#include "model/conversion_document.h"
#include "services/gateway/cursor.h"
#include <stdlib.h>

#define LIMIT_STANDARD 20
#define LIMIT_MAX 100

static bool parse_query(struct http_request *request, struct record_filter *filter,
                        uint64_t *out_limit)
{
    const char *limit = http_request_query(request, "limit");
    *out_limit = LIMIT_STANDARD;
    if (limit != NULL && (!text_parse_count(limit, LIMIT_MAX, out_limit, NULL) || *out_limit == 0))
        return gateway_refuse(request, &FAILURE_BAD_REQUEST, "limit is a number from 1 to 100");
    const char *state = http_request_query(request, "state");
    filter->has_state = state != NULL;
    if (state != NULL &&
        (!conversion_state_parse(state, &filter->state) || filter->state == CONVERSION_DELETING))
        return gateway_refuse(request, &FAILURE_BAD_REQUEST,
                              "state is uploading, queued, converting, done, failed or cancelled");
    const char *cursor = http_request_query(request, "cursor");
    if (cursor != NULL && !cursor_parse(cursor, &filter->before_id, NULL))
        return gateway_refuse(request, &FAILURE_BAD_REQUEST,
                              "cursor is the next_cursor of another page");
    return true;
}

static void answer_page(struct http_request *request, const struct conversion *records,
                        size_t count, bool has_more)
{
    CLEANUP(json_decrefp) json_t *page = json_object_make();
    json_t *list = json_array_make();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, conversion_to_public_json(&records[i]));
    json_set_take(page, "conversions", list);
    char cursor[CURSOR_SIZE];
    if (has_more)
        cursor_format(&records[count - 1].id, cursor);
    json_set_text(page, "next_cursor", has_more ? cursor : NULL);
    http_answer_header(request, "Cache-Control", "no-store");
    http_answer_json(request, 200, page);
}

void gateway_list(struct http_request *request)
{
    struct claims claims;
    if (!gateway_authenticate(request, &claims))
        return;
    struct record_filter filter = {.owner_id = claims.user_id};
    uint64_t limit = 0;
    if (!parse_query(request, &filter, &limit))
        return;
    struct record_store *store = gateway_records(request);
    if (store == NULL)
        return;
    /* One more than asked for tells whether there is a next page. */
    struct conversion *records = calloc((size_t)limit + 1, sizeof *records);
    if (records == NULL)
        abort();
    size_t count = 0;
    struct error error = {0};
    if (record_store_list(store, &filter, (size_t)limit + 1, records, &count, &error)) {
        bool has_more = count > limit;
        answer_page(request, records, has_more ? (size_t)limit : count, has_more);
    } else {
        gateway_answer_store_error(request, &error);
    }
    free(records);
}
