/*
 * tenant.c - the tenant of a write whose path does not name it: in the body, in a header, in the
 * token, or, as a DELETE has no body, in the query. It is looked for before anything else in the
 * body is checked, because the write's shard, and so the tables that the body has to fit, follow
 * from it.
 */
#include "edge/internal.h"

#include <stdio.h>
#include <string.h>

#include "record/chars.h"

static leat_body_fault refuse(const leat_route *route, const char *message,
                              leat_body_error *ret_error)
{
    snprintf(ret_error->field, sizeof ret_error->field, "%s", route->tenant_name);
    snprintf(ret_error->message, sizeof ret_error->message, "%s", message);
    return LEAT_BODY_REFUSED;
}

/* ---- the query ---- */

/* Up to the character, which is taken away too; the whole rest when there is none. */
static leat_slice cut(leat_slice *rest, char at)
{
    const char *end = rest->size > 0 ? memchr(rest->data, at, rest->size) : NULL;
    leat_slice ret = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t used = ret.size + (end != NULL);
    *rest = (leat_slice){rest->data + used, rest->size - used};
    return ret;
}

/* As forms are encoded: '+' is a space. False: a '%' without its two digits. */
static bool decode(leat_slice text, leat_buf *ret)
{
    leat_buf_clear(ret);
    for (size_t at = 0; at < text.size; at++) {
        char c = text.data[at] == '+' ? ' ' : text.data[at];
        if (c == '%') {
            int high = text.size - at > 2 ? leat_hex_digit(text.data[at + 1]) : -1;
            int low = high < 0 ? -1 : leat_hex_digit(text.data[at + 2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            at += 2;
        }
        leat_buf_byte(ret, c);
    }
    return true;
}

static leat_body_fault find_in_query(leat_edge *edge, const leat_route *route, leat_slice query,
                                     leat_slice *ret, leat_body_error *ret_error)
{
    leat_slice found = {0};
    while (query.size > 0) {
        leat_slice value = cut(&query, '&');
        leat_slice name = cut(&value, '=');
        if (!decode(name, &edge->tenant) ||
            !leat_slice_is((leat_slice){edge->tenant.data, edge->tenant.size}, route->tenant_name))
            continue;
        if (found.data)
            return refuse(route, "is in the query twice", ret_error);
        found = (leat_slice){value.data, value.size};
    }
    if (!found.data)
        return refuse(route, "must be in the query: it names the tenant", ret_error);
    if (!decode(found, &edge->tenant))
        return refuse(route, "has a '%' that two hexadecimal digits do not follow", ret_error);
    if (edge->tenant.failed)
        return LEAT_BODY_MEMORY;
    *ret = (leat_slice){edge->tenant.data, edge->tenant.size};
    return LEAT_BODY_OK;
}

/* ---- a header ---- */

/* Of two, one may be the client's and the other a proxy's: neither is taken. */
static leat_body_fault find_in_header(const leat_http_request *request, const leat_route *route,
                                      leat_slice *ret, leat_body_error *ret_error)
{
    if (leat_http_request_header_line(request, route->tenant_name, 1).data)
        return refuse(route, "the header is there twice", ret_error);
    *ret = leat_http_request_header(request, route->tenant_name);
    return ret->size > 0
               ? LEAT_BODY_OK
               : refuse(route, "the header must be there: it names the tenant", ret_error);
}

/* ---- all places ---- */

leat_body_fault edge_tenant_find(leat_edge *edge, const edge_write *write, leat_slice *ret,
                                 leat_body_error *ret_error)
{
    const leat_route *route = write->route;
    LEAT_ASSERT(route->tenant_from != LEAT_TENANT_IN_PATH);
    if (route->tenant_from == LEAT_TENANT_IN_BODY && write->op == LEAT_DELETE)
        return find_in_query(edge, route, write->query, ret, ret_error);
    if (route->tenant_from == LEAT_TENANT_IN_BODY)
        return leat_body_tenant(edge->parser, route, write->body, ret, ret_error);
    if (route->tenant_from == LEAT_TENANT_IN_TOKEN) {
        *ret = edge_auth_tenant(edge, write->asker.request);
        return ret->size > 0 ? LEAT_BODY_OK : refuse(route, "the token names no tenant", ret_error);
    }
    return find_in_header(write->asker.request, route, ret, ret_error);
}
