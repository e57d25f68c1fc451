/*
 * status.c - one row for each answer, so that a status line, the error that clients program against
 * and its headers cannot disagree between the server, the edge and the admin listener.
 *
 * The body of an error is written by hand rather than by yyjson: under overload every write gets
 * one, and then it must not cost a document tree and its allocations. leat_buf_json_string escapes
 * foreign text. Its members are leat's own three, then those of RFC 9457. The type is a name: it
 * leads nowhere, because a program has no use for a page, and a domain may change hands.
 */
#include "http/status.h"

#define LINE(status, reason) "HTTP/1.1 " #status " " reason "\r\n"
#define ROW(status, reason, error, headers)                                                        \
    {status, {LINE(status, reason), sizeof LINE(status, reason) - 1}, error, headers}

#define RETRY_AFTER_S 1
#define RETRY_AFTER   "Retry-After: " LEAT_STRINGIZE(RETRY_AFTER_S) "\r\n"

const leat_http_code_row leat_http_codes[LEAT_HTTP_CODE_COUNT] = {
    [LEAT_HTTP_OK] = ROW(200, "OK", NULL, NULL),
    [LEAT_HTTP_ACCEPTED] = ROW(202, "Accepted", NULL, NULL),
    [LEAT_HTTP_MULTI_STATUS] = ROW(207, "Multi-Status", NULL, NULL),
    [LEAT_HTTP_NOT_MODIFIED] = ROW(304, "Not Modified", NULL, NULL),
    [LEAT_HTTP_BAD_REQUEST] = ROW(400, "Bad Request", "bad_request", NULL),
    [LEAT_HTTP_BAD_JSON] = ROW(400, "Bad Request", "bad_json", NULL),
    [LEAT_HTTP_UNAUTHORIZED] = ROW(401, "Unauthorized", "unauthorized", NULL),
    [LEAT_HTTP_FORBIDDEN] = ROW(403, "Forbidden", "forbidden", NULL),
    [LEAT_HTTP_NO_ROUTE] = ROW(404, "Not Found", "no_route", NULL),
    [LEAT_HTTP_NO_WRITE] = ROW(404, "Not Found", "no_write", NULL),
    [LEAT_HTTP_METHOD_NOT_ALLOWED] = ROW(405, "Method Not Allowed", "method_not_allowed", NULL),
    [LEAT_HTTP_TIMEOUT] = ROW(408, "Request Timeout", "timeout", NULL),
    [LEAT_HTTP_TOO_LARGE] = ROW(413, "Content Too Large", "too_large", NULL),
    [LEAT_HTTP_TARGET_TOO_LONG] = ROW(414, "URI Too Long", "too_large", NULL),
    [LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE] =
        ROW(415, "Unsupported Media Type", "unsupported_media_type", NULL),
    [LEAT_HTTP_EXPECTATION_FAILED] = ROW(417, "Expectation Failed", "bad_request", NULL),
    [LEAT_HTTP_INVALID] = ROW(422, "Unprocessable Content", "invalid", NULL),
    [LEAT_HTTP_DEAD_LETTER] = ROW(422, "Unprocessable Content", "dead_letter", NULL),
    [LEAT_HTTP_REFUSED] = ROW(422, "Unprocessable Content", "refused", NULL),
    [LEAT_HTTP_LIMITED] = ROW(429, "Too Many Requests", "limited", NULL),
    [LEAT_HTTP_HEADERS_TOO_LARGE] = ROW(431, "Request Header Fields Too Large", "too_large", NULL),
    [LEAT_HTTP_NOT_IMPLEMENTED] = ROW(501, "Not Implemented", "bad_request", NULL),
    [LEAT_HTTP_OVERLOADED] = ROW(503, "Service Unavailable", "overloaded", RETRY_AFTER),
    [LEAT_HTTP_UNAVAILABLE] = ROW(503, "Service Unavailable", "unavailable", RETRY_AFTER),
    [LEAT_HTTP_UNREADY] = ROW(503, "Service Unavailable", NULL, NULL),
    [LEAT_HTTP_UNKNOWN] = ROW(504, "Gateway Timeout", "unknown", NULL),
    [LEAT_HTTP_VERSION_NOT_SUPPORTED] = ROW(505, "HTTP Version Not Supported", "bad_request", NULL),
};

const char *leat_http_body_type(leat_http_code code)
{
    LEAT_ASSERT(code < LEAT_HTTP_CODE_COUNT);
    return leat_http_codes[code].error ? LEAT_HTTP_PROBLEM : LEAT_HTTP_JSON;
}

/* Without "HTTP/1.1 400 " and CRLF. */
static leat_slice reason_of(const leat_http_code_row *row)
{
    static const size_t before = sizeof "HTTP/1.1 400 " - 1, after = sizeof "\r\n" - 1;
    LEAT_ASSERT(row->line.size > before + after);
    return (leat_slice){row->line.data + before, row->line.size - before - after};
}

static void error_members(leat_buf *out, leat_http_code code, const char *field,
                          const char *message)
{
    LEAT_ASSERT(code < LEAT_HTTP_CODE_COUNT && leat_http_codes[code].error);
    leat_buf_slice(out, LEAT_SLICE("\"error\":\""));
    leat_buf_text(out, leat_http_codes[code].error);
    leat_buf_slice(out, LEAT_SLICE("\",\"field\":"));
    if (field && *field)
        leat_buf_json_string(out, leat_slice_of(field));
    else
        leat_buf_slice(out, LEAT_SLICE("null"));
    leat_buf_slice(out, LEAT_SLICE(",\"message\":"));
    leat_buf_json_string(out, leat_slice_of(message));
}

void leat_http_error_body(leat_buf *out, leat_http_code code, const char *field,
                          const char *message)
{
    const leat_http_code_row *row = &leat_http_codes[code];
    leat_buf_byte(out, '{');
    error_members(out, code, field, message);
    leat_buf_slice(out, LEAT_SLICE(",\"type\":\"" LEAT_HTTP_ERROR_TYPE));
    leat_buf_text(out, row->error);
    leat_buf_slice(out, LEAT_SLICE("\",\"title\":\""));
    leat_buf_slice(out, reason_of(row));
    leat_buf_slice(out, LEAT_SLICE("\",\"status\":"));
    leat_buf_uint(out, (uint64_t)row->status);
    leat_buf_slice(out, LEAT_SLICE(",\"detail\":"));
    leat_buf_json_string(out, leat_slice_of(message));
    leat_buf_byte(out, '}');
}

void leat_http_error_item(leat_buf *out, leat_http_code code, const char *field,
                          const char *message, int64_t after_s)
{
    leat_buf_slice(out, LEAT_SLICE("{\"status\":"));
    leat_buf_uint(out, (uint64_t)leat_http_codes[code].status);
    leat_buf_byte(out, ',');
    error_members(out, code, field, message);
    if (after_s == 0 && leat_http_codes[code].headers) /* the one header of the table */
        after_s = RETRY_AFTER_S;
    if (after_s > 0) {
        leat_buf_slice(out, LEAT_SLICE(",\"retry_after\":"));
        leat_buf_uint(out, (uint64_t)after_s);
    }
    leat_buf_byte(out, '}');
}
