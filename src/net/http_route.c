#include "net/http_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* In place: what is decoded is never longer. */
static bool percent_decode(char *text, bool plus_is_space)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        char byte = *from;
        if (byte == '%') {
            int high = hex_value(from[1]);
            int low = high < 0 ? -1 : hex_value(from[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            byte = (char)(high * 16 + low);
            from += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        *to++ = byte;
    }
    *to = '\0';
    return true;
}

static bool parse_path(char *path, struct http_target *target)
{
    for (char *segment = path; segment != NULL;) {
        segment++; /* the slash */
        char *slash = strchr(segment, '/');
        if (slash != NULL)
            *slash = '\0';
        if (target->segment_count == HTTP_SEGMENTS_MAX || !percent_decode(segment, false))
            return false;
        target->segments[target->segment_count++] = segment;
        segment = slash;
    }
    return true;
}

static bool parse_query(char *query, struct http_target *target)
{
    char *rest = query;
    for (char *part; (part = strsep(&rest, "&")) != NULL;) {
        if (part[0] == '\0')
            continue;
        char *value = strchr(part, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = part + strlen(part);
        if (target->query_count == HTTP_QUERY_MAX || !percent_decode(part, true) ||
            (*value != '\0' && !percent_decode(value, true)))
            return false;
        target->query[target->query_count++] = (struct http_pair){part, value};
    }
    return true;
}

static const char *skip_authority(const char *text)
{
    size_t scheme = 0;
    if (strncasecmp(text, "http://", 7) == 0)
        scheme = 7;
    else if (strncasecmp(text, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0)
        return text;
    return text + scheme + strcspn(text + scheme, "/?");
}

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '#')
            return true;
    }
    return false;
}

/* The memory holds the path twice: as sent, and to be cut into segments. */
static bool parse_parts(const char *origin, struct http_target *target)
{
    size_t path_size = strcspn(origin, "?");
    size_t size = strlen(origin);
    target->memory = malloc(path_size + size + 4);
    if (target->memory == NULL)
        abort();
    char *path = target->memory;
    char *copy = path + path_size + 2;
    if (path_size == 0) {
        memcpy(path, "/", 2);
    } else {
        memcpy(path, origin, path_size);
        path[path_size] = '\0';
    }
    target->path = path;
    memcpy(copy, origin, size + 1);
    char *query = copy + path_size;
    if (*query == '?')
        *query++ = '\0';
    if (!parse_query(query, target))
        return false;
    if (path_size == 0) {
        target->segments[target->segment_count++] = query + strlen(query);
        return true;
    }
    return parse_path(copy, target);
}

bool http_target_parse(const char *text, struct http_target *out_target, struct error *error)
{
    const char *origin = skip_authority(text);
    bool may_be_empty = origin != text;
    if (has_control_character(text) || (origin[0] != '/' && !may_be_empty))
        return error_set(error, ERROR_BAD_INPUT, "the request target is malformed");
    struct http_target target = {0};
    if (!parse_parts(origin, &target)) {
        http_target_finish(&target);
        return error_set(error, ERROR_BAD_INPUT,
                         "the request target has a malformed escape or too many parts");
    }
    *out_target = target;
    return true;
}

void http_target_finish(struct http_target *target)
{
    free(target->memory);
    *target = (struct http_target){0};
}

/* Steps to the next segment of a route's path: *at is after a slash; false at the end. */
static bool next_segment(const char **at, const char **out_segment, size_t *out_size)
{
    if (*at == NULL)
        return false;
    *out_segment = *at;
    *out_size = strcspn(*at, "/");
    *at = (*at)[*out_size] == '/' ? *at + *out_size + 1 : NULL;
    return true;
}

static bool segment_matches(const char *pattern, size_t size, const char *segment)
{
    if (size >= 2 && pattern[0] == '{')
        return segment[0] != '\0';
    return strncmp(pattern, segment, size) == 0 && segment[size] == '\0';
}

static bool path_matches(const struct http_route *route, const struct http_target *target)
{
    const char *at = route->path + 1, *pattern;
    size_t size, index = 0;
    while (next_segment(&at, &pattern, &size)) {
        if (index == target->segment_count ||
            !segment_matches(pattern, size, target->segments[index]))
            return false;
        index++;
    }
    return index == target->segment_count;
}

const struct http_route *http_route_find(const struct http_route *routes,
                                         const struct http_target *target, const char *method,
                                         bool *out_is_path_known)
{
    const struct http_route *for_head = NULL;
    *out_is_path_known = false;
    for (const struct http_route *route = routes; route->method != NULL; route++) {
        if (!path_matches(route, target))
            continue;
        *out_is_path_known = true;
        if (strcmp(route->method, method) == 0)
            return route;
        if (route->serves_head && strcmp(method, "HEAD") == 0)
            for_head = route;
    }
    return for_head;
}

const char *http_route_parameter(const struct http_route *route, const struct http_target *target,
                                 const char *name)
{
    const char *at = route->path + 1, *pattern;
    size_t size, name_size = strlen(name);
    for (size_t index = 0; next_segment(&at, &pattern, &size); index++) {
        if (size == name_size + 2 && pattern[0] == '{' &&
            strncmp(pattern + 1, name, name_size) == 0)
            return target->segments[index];
    }
    return NULL;
}

static void allow_add(char allow[HTTP_ALLOW_SIZE], const char *method)
{
    size_t size = strlen(allow);
    snprintf(allow + size, HTTP_ALLOW_SIZE - size, "%s%s", size > 0 ? ", " : "", method);
}

void http_route_allow(const struct http_route *routes, const struct http_target *target,
                      char out_allow[HTTP_ALLOW_SIZE])
{
    out_allow[0] = '\0';
    for (const struct http_route *route = routes; route->method != NULL; route++) {
        if (!path_matches(route, target))
            continue;
        allow_add(out_allow, route->method);
        if (route->serves_head)
            allow_add(out_allow, "HEAD");
    }
}
