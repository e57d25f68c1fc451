/*
 * status.h - every answer that leat gives over HTTP, in one table: the status, the name of an error
 * for programs, and the headers that go with it. docs/http.md says when each is given. Pure.
 */
#ifndef LEAT_HTTP_STATUS_H
#define LEAT_HTTP_STATUS_H

#include "base/buf.h"

#define LEAT_HTTP_JSON       "application/json"
#define LEAT_HTTP_PROBLEM    "application/problem+json" /* RFC 9457: of every error */
#define LEAT_HTTP_ERROR_TYPE "urn:leat:error:"          /* and the error's name */

/* Several may share a status: 400 is "bad_request" or "bad_json". */
typedef enum leat_http_code {
    LEAT_HTTP_OK,
    LEAT_HTTP_ACCEPTED,
    LEAT_HTTP_MULTI_STATUS, /* of a batch: each item has its own */
    LEAT_HTTP_NOT_MODIFIED, /* without a body, as HTTP wants it */
    LEAT_HTTP_BAD_REQUEST,
    LEAT_HTTP_BAD_JSON,
    LEAT_HTTP_UNAUTHORIZED, /* its WWW-Authenticate comes with each answer */
    LEAT_HTTP_FORBIDDEN,
    LEAT_HTTP_NO_ROUTE,
    LEAT_HTTP_NO_WRITE,
    LEAT_HTTP_METHOD_NOT_ALLOWED,
    LEAT_HTTP_TIMEOUT,
    LEAT_HTTP_TOO_LARGE,
    LEAT_HTTP_TARGET_TOO_LONG,
    LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE,
    LEAT_HTTP_EXPECTATION_FAILED,
    LEAT_HTTP_INVALID,
    LEAT_HTTP_DEAD_LETTER,
    LEAT_HTTP_REFUSED, /* by the database, in the request */
    LEAT_HTTP_LIMITED, /* its Retry-After comes with each answer */
    LEAT_HTTP_HEADERS_TOO_LARGE,
    LEAT_HTTP_NOT_IMPLEMENTED,
    LEAT_HTTP_OVERLOADED,
    LEAT_HTTP_UNAVAILABLE,
    LEAT_HTTP_UNREADY, /* of /readyz: not an error, so without the body of one */
    LEAT_HTTP_UNKNOWN,
    LEAT_HTTP_VERSION_NOT_SUPPORTED,
    LEAT_HTTP_CODE_COUNT,
} leat_http_code;

typedef struct leat_http_code_row {
    int status;
    leat_slice line;     /* "HTTP/1.1 400 Bad Request", with CRLF */
    const char *error;   /* "bad_request"; NULL: not an error */
    const char *headers; /* whole lines with CRLF, of every such answer; NULL: none */
} leat_http_code_row;

extern const leat_http_code_row leat_http_codes[LEAT_HTTP_CODE_COUNT];

/* Of the JSON body that goes with it. */
const char *leat_http_body_type(leat_http_code code);

/* Appends the body that every error has: {"error":"...","field":"..." or null,"message":"..."}, and
 * RFC 9457's "type", "title" (the status in words), "status" and "detail" (the message again).
 * `field` NULL or "": the error is not about one field. */
void leat_http_error_body(leat_buf *out, leat_http_code code, const char *field,
                          const char *message);

/* Appends what stands for such an answer in the list of a batch: the same members after "status",
 * and "retry_after" (seconds) where the answer would have that header. `after_s` 0: as the code's
 * row says. */
void leat_http_error_item(leat_buf *out, leat_http_code code, const char *field,
                          const char *message, int64_t after_s);

#endif
