/*
 * same_origin.c - a browser says who made a request in headers that a page cannot set:
 * Sec-Fetch-Site, and Origin where there is a body. A body of JSON it sends to another site only
 * after asking, which is never answered here. A token that only this page has protects from other
 * sites already; a browser extension or a proxy that adds it would undo that.
 */
#include "daemon/same_origin.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_json(leat_slice type)
{
    static const leat_slice json = {LEAT_HTTP_JSON, sizeof LEAT_HTTP_JSON - 1};
    return type.size >= json.size && strncasecmp(type.data, json.data, json.size) == 0 &&
           (type.size == json.size || type.data[json.size] == ';' || type.data[json.size] == ' ');
}

/* Is the origin "http://HOST" or "https://HOST"? */
static bool is_of_host(leat_slice origin, leat_slice host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (origin.size == size + host.size && strncasecmp(origin.data, schemes[i], size) == 0 &&
            strncasecmp(origin.data + size, host.data, host.size) == 0)
            return true;
    }
    return false;
}

leat_http_code leat_same_origin(const leat_http_request *request, bool acts, const char **ret_why)
{
    leat_slice site = leat_http_request_header(request, "sec-fetch-site"),
               origin = leat_http_request_header(request, "origin"),
               host = leat_http_request_header(request, "host");
    if ((site.size > 0 && !leat_slice_is(site, "same-origin") && !leat_slice_is(site, "none")) ||
        (origin.size > 0 && !is_of_host(origin, host))) {
        *ret_why = "this is for the page of this process and for programs, not for other sites";
        return LEAT_HTTP_FORBIDDEN;
    }
    if (acts && !is_json(leat_http_request_header(request, "content-type"))) {
        *ret_why = "the body must be application/json";
        return LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    return LEAT_HTTP_OK;
}

/* "NAME", "NAME:PORT", "[ADDRESS]" and "[ADDRESS]:PORT": what is before the port. */
static leat_slice without_port(leat_slice host)
{
    size_t size = host.size;
    while (size > 0 && host.data[size - 1] >= '0' && host.data[size - 1] <= '9')
        size--;
    if (size > 0 && host.data[size - 1] == ':')
        host.size = size - 1;
    return host;
}

bool leat_same_origin_is_address(const leat_http_request *request)
{
    static const char local[] = "localhost";
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    leat_slice host = without_port(leat_http_request_header(request, "host"));
    if (host.size == sizeof local - 1 && strncasecmp(host.data, local, host.size) == 0)
        return true;
    bool is_v6 = host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (is_v6)
        host = (leat_slice){host.data + 1, host.size - 2};
    if (host.size == 0 || host.size >= sizeof text)
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, &address) == 1;
}
