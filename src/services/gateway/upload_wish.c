#include "services/gateway/upload.h"

#include "services/gateway/video_name.h"
#include <string.h>

bool upload_apply_query(struct http_request *request, struct conversion_options *options)
{
    const char *name = NULL;
    const char *value = NULL;
    for (size_t i = 0; http_request_query_at(request, i, &name, &value); i++) {
        struct error error = {0};
        if (strcmp(name, "name") == 0 || conversion_options_set(options, name, value, &error))
            continue;
        return gateway_refuse(request, error.failure, error.text);
    }
    return true;
}

static bool read_key(struct http_request *request, struct upload_wish *wish)
{
    wish->key = http_request_header(request, "Idempotency-Key");
    if (wish->key == NULL)
        return true;
    if (wish->key != http_request_last_header(request, "Idempotency-Key"))
        return gateway_refuse(request, &FAILURE_BAD_REQUEST,
                              "The request has more than one Idempotency-Key.");
    size_t size = strlen(wish->key);
    for (size_t i = 0; i < size; i++)
        if (wish->key[i] <= ' ' || wish->key[i] >= 0x7f)
            size = 0;
    if (size != 0 && size < CONVERSION_REQUEST_KEY_SIZE)
        return true;
    return gateway_refuse(request, &FAILURE_BAD_REQUEST,
                          "Idempotency-Key has 1 to 255 visible ASCII characters.");
}

static bool check_length(struct http_request *request, const struct upload_wish *wish)
{
    uint64_t most = gateway_of(request)->limits.upload_size_max;
    if (!http_request_has_body(request))
        return gateway_refuse(
            request, wish->is_form ? &FAILURE_EXACTLY_ONE_FILE_REQUIRED : &FAILURE_EMPTY_FILE,
            NULL);
    if (wish->has_length && wish->length > most + (wish->is_form ? UPLOAD_FORM_OVERHEAD_MAX : 0))
        return gateway_refuse(request, &FAILURE_UPLOAD_TOO_LARGE, NULL);
    return true;
}

bool upload_wish_read(struct http_request *request, bool must_be_form, struct upload_wish *out_wish)
{
    struct upload_wish wish = {0};
    struct error error = {0};
    wish.is_form = multipart_is_content_type(http_request_header(request, "Content-Type"));
    if (must_be_form && !wish.is_form)
        return gateway_refuse(request, &FAILURE_EXACTLY_ONE_FILE_REQUIRED,
                              "Send the video as one file part of multipart/form-data.");
    wish.has_length = http_request_body_length(request, &wish.length);
    const char *name = http_request_query(request, "name");
    wish.has_name = name != NULL;
    if (name != NULL)
        video_name_clean(name, strlen(name), wish.name);
    if (!read_key(request, &wish) || !upload_apply_query(request, &wish.options))
        return false;
    if (!wish.is_form && !conversion_options_check(&wish.options, &error))
        return gateway_refuse(request, error.failure, error.text);
    if (!check_length(request, &wish))
        return false;
    *out_wish = wish;
    return true;
}
