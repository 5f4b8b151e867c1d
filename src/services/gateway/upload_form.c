/* A form with exactly one file, under any name, and options as its other fields, before or after
 * it. */

#include "services/gateway/upload.h"

#include "services/gateway/video_name.h"
#include <stdio.h>
#include <string.h>

#define PARTS_MAX 40
#define VALUE_SIZE_MAX 1024

static bool begin_file(struct upload *upload, const struct multipart_part *part)
{
    if (upload->has_file)
        return gateway_refuse(upload->request, &FAILURE_EXACTLY_ONE_FILE_REQUIRED,
                              "There is more than one file.");
    upload->has_file = true;
    upload->is_in_file = true;
    if (!upload->wish.has_name && !upload->has_name_field)
        video_name_clean(part->file_name, strlen(part->file_name), upload->name);
    return true;
}

static bool refuse_field(struct upload *upload, const char *complaint)
{
    char detail[sizeof upload->field_name + 80];
    snprintf(detail, sizeof detail, "The form's field \"%s\" %s.", upload->field_name, complaint);
    return gateway_refuse(upload->request, &FAILURE_OPTION_OUT_OF_RANGE, detail);
}

static bool begin_part(void *context, const struct multipart_part *part)
{
    struct upload *upload = context;
    if (part->has_file_name)
        return begin_file(upload, part);
    upload->is_in_file = false;
    buffer_clear(&upload->field_value);
    if (strlen(part->name) >= sizeof upload->field_name)
        return gateway_refuse(upload->request, &FAILURE_UNKNOWN_OPTION,
                              "A field of the form has a longer name than any option.");
    snprintf(upload->field_name, sizeof upload->field_name, "%s", part->name);
    return true;
}

static bool take_data(void *context, const void *bytes, size_t size)
{
    struct upload *upload = context;
    if (upload->is_in_file)
        return upload_write(upload, bytes, size);
    return buffer_append(&upload->field_value, bytes, size, NULL) ||
           refuse_field(upload, "is too long");
}

static bool end_part(void *context)
{
    struct upload *upload = context;
    struct error error = {0};
    if (upload->is_in_file) {
        upload->is_in_file = false;
        return true;
    }
    const char *value = buffer_text(&upload->field_value);
    if (strlen(value) != upload->field_value.size)
        return refuse_field(upload, "has a NUL in it");
    if (strcmp(upload->field_name, "name") == 0) {
        upload->has_name_field = true;
        if (!upload->wish.has_name)
            video_name_clean(value, strlen(value), upload->name);
        return true;
    }
    if (conversion_options_set(&upload->options, upload->field_name, value, &error))
        return true;
    return gateway_refuse(upload->request, error.failure, error.text);
}

static const struct multipart_handler form_handler = {
    .begin = begin_part,
    .data = take_data,
    .end = end_part,
};

bool upload_open_form(struct upload *upload)
{
    struct error error = {0};
    upload->field_value = BUFFER_WITH_MAX(VALUE_SIZE_MAX);
    return multipart_open(http_request_header(upload->request, "Content-Type"), PARTS_MAX,
                          &form_handler, upload, &upload->form, &error) ||
           gateway_refuse(upload->request, &FAILURE_BAD_REQUEST, error.text);
}

bool upload_feed_form(struct upload *upload, const void *bytes, size_t size)
{
    struct error error = {0};
    upload->form_size += size;
    if (multipart_feed(upload->form, bytes, size, &error))
        return upload->form_size - upload->size <= UPLOAD_FORM_OVERHEAD_MAX ||
               gateway_refuse(upload->request, &FAILURE_BAD_REQUEST,
                              "The form has too much beside its file.");
    if (!http_request_is_answered(upload->request))
        return gateway_refuse(upload->request, &FAILURE_BAD_REQUEST, error.text);
    return false;
}

bool upload_end_form(struct upload *upload)
{
    struct error error = {0};
    if (!multipart_finish(upload->form, &error))
        return gateway_refuse(upload->request, &FAILURE_BAD_REQUEST, error.text);
    if (!upload->has_file)
        return gateway_refuse(upload->request, &FAILURE_EXACTLY_ONE_FILE_REQUIRED, NULL);
    /* The query stands over the form's fields: it is what a repeat is known by. */
    if (!upload_apply_query(upload->request, &upload->options))
        return false;
    if (!conversion_options_check(&upload->options, &error))
        return gateway_refuse(upload->request, error.failure, error.text);
    return true;
}
