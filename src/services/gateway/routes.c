/* The tour: what clients can ask for, and which file answers it. */

#include "services/gateway/gateway.h"

const struct http_route gateway_routes[] = {
    /* The three calls of the original system. */
    {.method = "POST",
     .path = "/login",
     .handle = gateway_login,
     .body = HTTP_BODY_SMALL,
     .body_size_max = 4096},
    {.method = "POST", .path = "/upload", .upload = &gateway_upload_form, .body = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/download", .handle = gateway_download, .serves_head = true},

    {.method = "POST",
     .path = "/v1/conversions",
     .upload = &gateway_upload_any,
     .body = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/v1/conversions", .handle = gateway_list},
    {.method = "GET", .path = "/v1/conversions/{id}", .handle = gateway_get},
    {.method = "DELETE", .path = "/v1/conversions/{id}", .handle = gateway_delete},
    {.method = "POST",
     .path = "/v1/conversions/{id}/cancel",
     .handle = gateway_cancel,
     .body = HTTP_BODY_SMALL,
     .body_size_max = 4096},
    {.method = "GET",
     .path = "/v1/conversions/{id}/mp3",
     .handle = gateway_mp3,
     .serves_head = true},

    {.method = "GET", .path = "/c/{id}", .handle = gateway_page, .serves_head = true},
    {0},
};
