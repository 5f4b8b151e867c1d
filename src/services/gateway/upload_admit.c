#include "services/gateway/upload.h"

#include "base/clock.h"
#include <stdlib.h>

/* Records of uploads that are read at a time. */
#define UPLOADS_PAGE 16
/* Of limits that a few seconds do not change: what a client that waits as told should wait. */
#define LONG_WAIT_S "3600"

static bool refuse(struct http_request *request, const struct failure *failure)
{
    if (failure == &FAILURE_DAILY_LIMIT || failure == &FAILURE_STORAGE_LIMIT)
        http_answer_header(request, "Retry-After", LONG_WAIT_S);
    return gateway_refuse(request, failure, NULL);
}

static bool refuse_store(struct http_request *request, const struct error *error)
{
    gateway_answer_store_error(request, error);
    return false;
}

/* True: fewer than most, or most is 0. */
static bool count_is_below(struct http_request *request, const struct record_filter *filter,
                           uint64_t most, const struct failure *failure)
{
    if (most == 0)
        return true;
    int64_t count = 0;
    struct error error = {0};
    if (!record_store_count(gateway_records(request), filter, (int64_t)most, &count, &error))
        return refuse_store(request, &error);
    return (uint64_t)count < most || refuse(request, failure);
}

static void free_records(struct conversion **records)
{
    free(*records);
}

/* What a killed gateway left waits for its due time, minutes away: it must not keep its owner out
 * until then, so that only uploads that somebody holds are counted. */
static bool count_held(struct http_request *request, const struct id *owner_id, int64_t now_ms,
                       uint64_t *out_count, struct error *error)
{
    const struct conversion_policy *policy = &gateway_of(request)->policy.conversion;
    struct record_filter filter = {
        .owner_id = *owner_id, .has_state = true, .state = CONVERSION_UPLOADING};
    size_t size = 0;
    CLEANUP(free_records) struct conversion *page = calloc(UPLOADS_PAGE, sizeof *page);
    if (page == NULL)
        abort();
    *out_count = 0;
    do {
        if (!record_store_list(gateway_records(request), &filter, UPLOADS_PAGE, page, &size, error))
            return false;
        for (size_t i = 0; i < size; i++)
            *out_count += conversion_is_upload_held(&page[i], policy, now_ms);
        if (size != 0)
            filter.before_id = page[size - 1].id;
    } while (size == UPLOADS_PAGE);
    return true;
}

static bool has_upload_left(struct http_request *request, const struct claims *claims,
                            int64_t now_ms)
{
    uint64_t count = 0;
    struct error error = {0};
    if (!count_held(request, &claims->user_id, now_ms, &count, &error))
        return refuse_store(request, &error);
    return count < gateway_of(request)->limits.uploads_per_user ||
           refuse(request, &FAILURE_TOO_MANY_UPLOADS);
}

/* What the video has at least, as far as it is known before it comes. */
static uint64_t least_size(const struct upload_wish *wish)
{
    if (!wish->has_length)
        return 1;
    if (!wish->is_form)
        return wish->length;
    return wish->length > UPLOAD_FORM_OVERHEAD_MAX ? wish->length - UPLOAD_FORM_OVERHEAD_MAX : 1;
}

static bool has_storage(struct http_request *request, const struct claims *claims,
                        const struct upload_wish *wish, struct upload_room *room)
{
    uint64_t most = gateway_of(request)->limits.storage_per_user_max;
    if (most == 0)
        return true;
    int64_t stored = 0;
    struct error error = {0};
    if (!record_store_stored_bytes(gateway_records(request), &claims->user_id, (int64_t)most,
                                   &stored, &error))
        return refuse_store(request, &error);
    uint64_t left = (uint64_t)stored < most ? most - (uint64_t)stored : 0;
    if (left < room->size_max)
        *room = (struct upload_room){left, &FAILURE_STORAGE_LIMIT};
    return least_size(wish) <= left || refuse(request, &FAILURE_STORAGE_LIMIT);
}

static bool has_disk(struct http_request *request, const struct upload_wish *wish)
{
    uint64_t least = gateway_of(request)->limits.disk_free_min;
    bool is_known = false;
    uint64_t free_bytes = 0;
    struct error error = {0};
    struct blob_store *blobs = gateway_blobs(request);
    if (blobs == NULL)
        return false;
    if (!blob_store_space(blobs, &is_known, &free_bytes, &error))
        return refuse_store(request, &error);
    bool fits = !is_known || (free_bytes >= least && least_size(wish) <= free_bytes - least);
    return fits || refuse(request, &FAILURE_DISK_FULL);
}

bool upload_admit(struct http_request *request, const struct claims *claims,
                  const struct upload_wish *wish, struct upload_room *out_room)
{
    const struct limits *limits = &gateway_of(request)->limits;
    int64_t now_ms = 0;
    struct error error = {0};
    if (!record_store_now(gateway_records(request), &now_ms, &error))
        return refuse_store(request, &error);
    const struct record_filter queued = {.has_state = true, .state = CONVERSION_QUEUED};
    const struct record_filter today = {.owner_id = claims->user_id,
                                        .since_ms = now_ms - CLOCK_DAY_MS};
    *out_room = (struct upload_room){limits->upload_size_max, &FAILURE_UPLOAD_TOO_LARGE};
    return count_is_below(request, &queued, limits->queue_length_max, &FAILURE_QUEUE_FULL) &&
           has_upload_left(request, claims, now_ms) &&
           count_is_below(request, &today, limits->conversions_per_user_per_day,
                          &FAILURE_DAILY_LIMIT) &&
           has_storage(request, claims, wish, out_room) && has_disk(request, wish);
}
