/*
 * same_origin.c - a browser sends requests that another site's page makes with all that its user
 * may do here: being on this machine, where there is no token. It also says who made them, in
 * headers that a page cannot set: Sec-Fetch-Site, and Origin where there is a body. A body of JSON
 * it sends to another site only after asking, which is never answered here.
 *
 * A site may have its name lead to this machine, and then its page is of the same origin. Where no
 * token protects from that, the host must be one that no site can have: an address or localhost.
 */
#include "daemon/same_origin.h"

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

/* Of digits and dots, in brackets, or localhost; with or without a port. */
static bool is_own_name(leat_slice host)
{
    static const char name[] = "localhost";
    size_t size = host.size;
    while (size > 0 && host.data[size - 1] >= '0' && host.data[size - 1] <= '9')
        size--;
    if (size > 0 && host.data[size - 1] == ':')
        host.size = size - 1;
    if (host.size == sizeof name - 1 && strncasecmp(host.data, name, host.size) == 0)
        return true;
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        return true;
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
            return false;
    return host.size > 0;
}

leat_http_code leat_same_origin(const leat_http_request *request, bool has_token, bool acts,
                                const char **ret_why)
{
    leat_slice site = leat_http_request_header(request, "sec-fetch-site"),
               origin = leat_http_request_header(request, "origin"),
               host = leat_http_request_header(request, "host");
    if ((site.size > 0 && !leat_slice_is(site, "same-origin") && !leat_slice_is(site, "none")) ||
        (origin.size > 0 && !is_of_host(origin, host))) {
        *ret_why = "this is for the page of this process and for programs, not for other sites";
        return LEAT_HTTP_FORBIDDEN;
    }
    if (!has_token && !is_own_name(host)) {
        *ret_why = "without admin_token the host must be an address or localhost";
        return LEAT_HTTP_FORBIDDEN;
    }
    if (acts && !is_json(leat_http_request_header(request, "content-type"))) {
        *ret_why = "the body must be application/json";
        return LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    return LEAT_HTTP_OK;
}
