#include "net/http_route.h"

#include "base/compiler.h"

#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

static const struct http_route routes[] = {
    {.method = "GET", .path = "/"},
    {.method = "GET", .path = "/v1/{id}", .serves_head = true},
    {.method = "POST", .path = "/v1/{id}"},
    {.method = "GET", .path = "/v1/{id}/{part}/end"},
    {0},
};

static void look_for_route(const struct http_target *target)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "BREW"};
    char allow[HTTP_ALLOW_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        bool is_path_known;
        const struct http_route *route =
            http_route_find(routes, target, methods[i], &is_path_known);
        if (route == NULL)
            continue;
        must(is_path_known);
        const char *id = http_route_parameter(route, target, "id");
        must((id == NULL) == (strstr(route->path, "{id}") == NULL));
        must(id == NULL || id[0] != '\0');
    }
    http_route_allow(routes, target, allow);
    must(strlen(allow) < HTTP_ALLOW_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    struct http_target target = {0};
    char *text = fuzz_text(bytes, size);
    if (http_target_parse(text, &target, &error)) {
        must(target.path[0] == '/');
        must(target.segment_count > 0 && target.segment_count <= HTTP_SEGMENTS_MAX);
        must(target.query_count <= HTTP_QUERY_MAX);
        size_t decoded = 0;
        for (size_t i = 0; i < target.segment_count; i++)
            decoded += strlen(target.segments[i]);
        for (size_t i = 0; i < target.query_count; i++)
            decoded += strlen(target.query[i].name) + strlen(target.query[i].value);
        must(decoded <= size);
        look_for_route(&target);
    } else {
        must(error.kind == ERROR_BAD_INPUT);
    }
    http_target_finish(&target);
    free(text);
    return 0;
}
