/*
 * scopes.c - scopes stay the text that they came as: there are few, they are short, and a request
 * asks once.
 */
#include "auth/scopes.h"

#include <string.h>

#include "base/limits.h"

static bool is_between(char c)
{
    return c == ' ' || c == ',';
}

/* Takes the next word off; false: there is none. */
static bool next_word(leat_slice *rest, leat_slice *ret_word)
{
    while (rest->size > 0 && is_between(rest->data[0])) {
        rest->data++;
        rest->size--;
    }
    size_t size = 0;
    while (size < rest->size && !is_between(rest->data[size]))
        size++;
    *ret_word = (leat_slice){rest->data, size};
    rest->data += size;
    rest->size -= size;
    return size > 0;
}

static bool split(leat_slice word, leat_slice *ret_route, leat_slice *ret_operation)
{
    const char *colon = memchr(word.data, ':', word.size);
    if (!colon)
        return false;
    *ret_route = (leat_slice){word.data, (size_t)(colon - word.data)};
    *ret_operation = (leat_slice){colon + 1, word.size - ret_route->size - 1};
    return true;
}

bool leat_scopes_allow(leat_slice scopes, leat_slice route, leat_slice operation)
{
    leat_slice word, of_route, of_operation;
    while (next_word(&scopes, &word))
        if (split(word, &of_route, &of_operation) &&
            (leat_slice_is(of_route, "*") || leat_slice_equal(of_route, route)) &&
            (leat_slice_is(of_operation, "*") || leat_slice_equal(of_operation, operation)))
            return true;
    return false;
}

static bool is_operation(leat_slice text)
{
    return leat_slice_is(text, "*") || leat_slice_is(text, "put") || leat_slice_is(text, "patch") ||
           leat_slice_is(text, "delete");
}

int leat_scopes_check(leat_slice scopes, leat_error *error)
{
    leat_slice word, route, operation;
    bool has_any = false;
    for (; next_word(&scopes, &word); has_any = true)
        if (!split(word, &route, &operation) || route.size == 0 || route.size > LEAT_NAME_MAX ||
            !is_operation(operation))
            return leat_fail(
                error,
                "\"%.*s\" is not a scope (ROUTE:OPERATION: the name of a route or *, and put, "
                "patch, delete or *)",
                word.size < 80 ? (int)word.size : 80, word.data);
    return has_any ? 0 : leat_fail(error, "there is no scope (such as *:*)");
}

leat_slice leat_scopes_without_route(leat_slice scopes, const char *const *routes,
                                     uint32_t route_count)
{
    leat_slice word, route, operation;
    while (next_word(&scopes, &word)) {
        if (!split(word, &route, &operation) || leat_slice_is(route, "*"))
            continue;
        uint32_t i = 0;
        while (i < route_count && !leat_slice_is(route, routes[i]))
            i++;
        if (i == route_count)
            return word;
    }
    return (leat_slice){"", 0};
}
