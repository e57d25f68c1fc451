/*
 * content.c - what a body is, by its headers: plain JSON, or a reason why it is not taken. The
 * media type is looked at without its parameters, and a PATCH has one more.
 */
#include "edge/internal.h"

/* "Application/JSON; charset=utf-8" without its parameters. */
leat_slice edge_media_type(leat_slice value)
{
    size_t size = 0;
    while (size < value.size && value.data[size] != ';')
        size++;
    while (size > 0 && (value.data[size - 1] == ' ' || value.data[size - 1] == '\t'))
        size--;
    return (leat_slice){value.data, size};
}

const char *edge_coding_fault(const leat_http_request *request)
{
    leat_slice coding = leat_http_request_header(request, "content-encoding");
    return coding.size > 0 && !leat_slice_is_nocase(coding, "identity")
               ? "the body must come without a Content-Encoding"
               : NULL;
}

const char *edge_content_fault(const leat_http_request *request, leat_route_op op)
{
    const char *fault = edge_coding_fault(request);
    if (fault)
        return fault;
    leat_slice type = edge_media_type(leat_http_request_header(request, "content-type"));
    if (op == LEAT_DELETE || type.size == 0 || leat_slice_is_nocase(type, "application/json"))
        return NULL;
    if (op == LEAT_PATCH && leat_slice_is_nocase(type, "application/merge-patch+json"))
        return NULL;
    return op == LEAT_PATCH
               ? "Content-Type must be application/json or application/merge-patch+json"
               : "Content-Type must be application/json";
}
