/*
 * check.c - what a request must be, whichever protocol brought it: its method, its target, its
 * host, and the headers that the server itself has to understand. HTTP/1.1 and HTTP/2 have a parser
 * each, and both refuse much by themselves; what they let through is checked here and nowhere else,
 * because a request that one protocol takes and the other refuses is a way around whatever stands
 * in front of the edge. Pure, except for the request that is checked.
 */
#include <string.h>
#include <strings.h>

#include "http/internal.h"

static bool refuse(http_fault *fault, leat_http_code code, const char *message)
{
    *fault = (http_fault){code, message};
    return false;
}

/* ---- headers ---- */

void http_find_known(const leat_http_request *request, http_known *ret)
{
    *ret = (http_known){-1, -1, -1, -1, -1, -1};
    const struct {
        leat_slice name;
        int *at;
    } wanted[] = {
        {LEAT_SLICE("host"), &ret->host},
        {LEAT_SLICE("transfer-encoding"), &ret->transfer_encoding},
        {LEAT_SLICE("content-length"), &ret->content_length},
        {LEAT_SLICE("expect"), &ret->expect},
        {LEAT_SLICE("content-type"), &ret->content_type},
        {LEAT_SLICE("content-encoding"), &ret->content_encoding},
    };
    for (uint32_t i = 0; i < request->header_count; i++) {
        const http_header *header = &request->headers[i];
        const char *name = request->head.data + header->name_at;
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
            if (header->name_size == wanted[k].name.size &&
                memcmp(name, wanted[k].name.data, wanted[k].name.size) == 0)
                *wanted[k].at = *wanted[k].at == -1 ? (int)i : -2;
    }
}

leat_slice http_header_value(const leat_http_request *request, int at)
{
    LEAT_ASSERT(at >= 0 && (uint32_t)at < request->header_count);
    const http_header *header = &request->headers[at];
    return (leat_slice){request->head.data + header->value_at, header->value_size};
}

/* By byte. */
static const bool in_no_host[256] = {
    [0 ... ' '] = true, ['/'] = true, ['\\'] = true, ['@'] = true,
    [','] = true,       ['#'] = true, ['?'] = true,  ['"'] = true,
    ['<'] = true,       ['>'] = true, ['^'] = true,  ['`'] = true,
    ['{'] = true,       ['|'] = true, ['}'] = true,  [0x7f ... 0xff] = true,
};

static bool check_host(const leat_http_request *request, const http_known *known, http_fault *fault)
{
    if (known->host == -2)
        return refuse(fault, LEAT_HTTP_BAD_REQUEST, "more than one Host header");
    if (known->host == -1)
        return request->http_1_0 ||
               refuse(fault, LEAT_HTTP_BAD_REQUEST, "the Host header is missing");
    leat_slice host = http_header_value(request, known->host);
    bool is_host = true;
    for (size_t i = 0; i < host.size; i++)
        is_host = is_host && !in_no_host[(unsigned char)host.data[i]];
    return is_host || refuse(fault, LEAT_HTTP_BAD_REQUEST, "the Host header is not a host");
}

static bool check_content(const http_known *known, http_fault *fault)
{
    if (known->content_length == -2)
        return refuse(fault, LEAT_HTTP_BAD_REQUEST, "more than one Content-Length header");
    if (known->content_type == -2 || known->content_encoding == -2)
        return refuse(fault, LEAT_HTTP_BAD_REQUEST,
                      "Content-Type or Content-Encoding was sent twice");
    return true;
}

static bool check_expect(leat_http_request *request, const http_known *known, bool has_body,
                         http_fault *fault)
{
    if (known->expect == -1 || request->http_1_0)
        return true;
    if (known->expect == -2 ||
        !leat_slice_is_nocase(http_header_value(request, known->expect), "100-continue"))
        return refuse(fault, LEAT_HTTP_EXPECTATION_FAILED,
                      "the only supported expectation is 100-continue");
    request->wants_continue = has_body;
    return true;
}

/* ---- the target ---- */

/* "*" is the server as a whole, for OPTIONS only. */
static bool is_asterisk(const leat_http_request *request, const char *target, uint32_t size)
{
    return size == 1 && target[0] == '*' && request->method == LEAT_HTTP_OPTIONS;
}

/* Finds the path within the target; in "http://host/path" it follows the authority. */
static bool check_target(leat_http_request *request, http_fault *fault)
{
    LEAT_ASSERT((size_t)request->target_at + request->target_size <= request->head.size);
    uint32_t size = request->target_size;
    const char *target = size > 0 ? request->head.data + request->target_at : "";
    bool is_plain = true; /* without a branch, which the compiler turns into steps of many bytes */
    for (uint32_t i = 0; i < size; i++)
        is_plain &= (target[i] > ' ') & (target[i] < 0x7f) & (target[i] != '#');
    if (!is_plain)
        return refuse(fault, LEAT_HTTP_BAD_REQUEST,
                      "the request target has a byte that must be percent-encoded");
    uint32_t at = 0;
    if (size >= 7 && strncasecmp(target, "http://", 7) == 0)
        at = 7;
    else if (size >= 8 && strncasecmp(target, "https://", 8) == 0)
        at = 8;
    else if (size == 0 || (target[0] != '/' && !is_asterisk(request, target, size)))
        return refuse(fault, LEAT_HTTP_BAD_REQUEST,
                      "the request target is neither a path nor a URL");
    while (at > 0 && at < size && target[at] != '/' && target[at] != '?')
        at++;
    const char *mark = at < size ? memchr(target + at, '?', size - at) : NULL;
    uint32_t end = mark ? (uint32_t)(mark - target) : size;
    LEAT_ASSERT(at <= end && end <= size);
    request->path_at = request->target_at + at;
    request->path_size = end - at;
    return true;
}

bool http_check(leat_http_request *request, const http_known *known, bool has_body,
                http_fault *ret_fault)
{
    return check_host(request, known, ret_fault) && check_content(known, ret_fault) &&
           check_target(request, ret_fault) && check_expect(request, known, has_body, ret_fault);
}

/* ---- the method ---- */

/* Those that llhttp knows: HTTP/1.1 does not get any other as far as here. */
static bool is_registered(leat_slice name)
{
#define METHOD(number, symbol, text) LEAT_SLICE(#text),
    static const leat_slice methods[] = {HTTP_METHOD_MAP(METHOD)};
#undef METHOD
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (leat_slice_equal(name, methods[i]))
            return true;
    return false;
}

bool http_check_method(leat_slice name, leat_http_method *ret_method, http_fault *ret_fault)
{
    static const struct {
        leat_slice name;
        leat_http_method method;
    } methods[] = {
        {LEAT_SLICE("PUT"), LEAT_HTTP_PUT},         {LEAT_SLICE("PATCH"), LEAT_HTTP_PATCH},
        {LEAT_SLICE("DELETE"), LEAT_HTTP_DELETE},   {LEAT_SLICE("GET"), LEAT_HTTP_GET},
        {LEAT_SLICE("HEAD"), LEAT_HTTP_HEAD},       {LEAT_SLICE("POST"), LEAT_HTTP_POST},
        {LEAT_SLICE("OPTIONS"), LEAT_HTTP_OPTIONS},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (leat_slice_equal(name, methods[i].name)) {
            *ret_method = methods[i].method;
            return true;
        }
    }
    *ret_method = LEAT_HTTP_OTHER;
    if (leat_slice_is(name, "CONNECT"))
        return refuse(ret_fault, LEAT_HTTP_NOT_IMPLEMENTED, "this is not a proxy");
    return is_registered(name) ||
           refuse(ret_fault, LEAT_HTTP_BAD_REQUEST, "the method is not one of HTTP");
}
