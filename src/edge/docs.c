/*
 * docs.c - /openapi.json, the description of the API, and /docs, a page that shows it. The
 * description is made when it is asked for, and again when the tables have changed since: a version
 * of the tables never changes, so its address tells. The page's files are part of the program and
 * ask nobody else for anything; the policy in the answer's head makes the browser see to that.
 *
 * Both only answer GET and HEAD: a write to such a path is a write to a route, if there is one.
 *
 * These answers are large, and a client may ask for many and read none. So they are refused while
 * those not taken yet are together above a bound. Counting them looks at every connection, so it is
 * done seldom; in between what is given counts as not taken.
 */
#define ZLIB_CONST
#include "edge/internal.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "edge/openapi.h"
#include "edge/viewer.h"

#define POLICY                                                                                     \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' "            \
    "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "                 \
    "form-action 'none'; frame-ancestors 'none'\r\n"                                               \
    "Referrer-Policy: no-referrer\r\n"
#define HEAD_FORMAT                                                                                \
    "ETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"                   \
    "Vary: Accept-Encoding\r\n%s"

enum { HEADERS_MAX = 768, UNSENT_MAX = 32 * 1024 * 1024, LOOK_EVERY_US = 100 * 1000 };

/* ---- what the client has, and takes ---- */

static bool header_has(const leat_http_request *request, const char *name, const char *word)
{
    leat_slice value = leat_http_request_header(request, name);
    return value.size > 0 && memmem(value.data, value.size, word, strlen(word)) != NULL;
}

/* "gzip" or "gzip;q=0.5", not "gzip;q=0". */
static bool takes_gzip(const leat_http_request *request)
{
    return header_has(request, "accept-encoding", "gzip") &&
           (!header_has(request, "accept-encoding", "gzip;q=0") ||
            header_has(request, "accept-encoding", "gzip;q=0."));
}

/* Answers and returns true when the client has what it asks for. */
static bool answer_unchanged(leat_http_request *request, const char *etag)
{
    char headers[HEADERS_MAX];
    if (!header_has(request, "if-none-match", etag))
        return false;
    int size = snprintf(headers, sizeof headers, HEAD_FORMAT, etag, "");
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    leat_http_answer(request, LEAT_HTTP_NOT_MODIFIED, NULL, (leat_slice){"", 0}, headers);
    return true;
}

/* ---- large answers ---- */

/* Answers and returns true when too many of them wait. */
static bool answer_full(leat_edge *edge, leat_http_request *request)
{
    edge_docs *docs = &edge->docs;
    int64_t now_us = leat_mono_us();
    if (docs->looked_us == 0 || now_us - docs->looked_us >= LOOK_EVERY_US) {
        docs->unsent = leat_http_unsent(edge->http);
        docs->looked_us = now_us;
    }
    if (docs->unsent <= UNSENT_MAX)
        return false;
    edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL,
                      "too many such answers wait to be read by their clients");
    return true;
}

static void answer_large(leat_edge *edge, leat_http_request *request, const char *content_type,
                         leat_slice body, const char *headers)
{
    if (leat_http_request_method(request) != LEAT_HTTP_HEAD)
        edge->docs.unsent += body.size;
    leat_http_answer(request, LEAT_HTTP_OK, content_type, body, headers);
}

/* ---- the description ---- */

/* False: out of memory. */
static bool refresh(leat_edge *edge)
{
    edge_docs *docs = &edge->docs;
    const leat_schema_version *version =
        leat_schema_versions_newest(edge->config.schema_versions, 0);
    if (docs->version == version)
        return true;
    docs->version = NULL;
    leat_buf_free(&docs->description);
    if (edge_openapi_write(&version->routes, edge->config.auth != NULL, &docs->description) != 0)
        return false;
    docs->version = version;
    leat_slice text = {docs->description.data, docs->description.size};
    snprintf(docs->etag, sizeof docs->etag, "\"%016llx\"", (unsigned long long)leat_hash(text));
    return true;
}

static void answer_description(leat_edge *edge, leat_http_request *request)
{
    char headers[HEADERS_MAX];
    if (!refresh(edge)) {
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
        return;
    }
    const edge_docs *docs = &edge->docs;
    if (answer_unchanged(request, docs->etag) || answer_full(edge, request))
        return;
    int size = snprintf(headers, sizeof headers, HEAD_FORMAT, docs->etag, "");
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    answer_large(edge, request, LEAT_HTTP_JSON,
                 (leat_slice){docs->description.data, docs->description.size}, headers);
}

void edge_docs_fini(leat_edge *edge)
{
    leat_buf_free(&edge->docs.description);
}

/* ---- the page ---- */

/* False: out of memory. The data is the program's own, and so not at fault. */
static bool unpack(const edge_viewer_file *file, leat_buf *out)
{
    enum { WITH_GZIP_HEAD = 16 };
    char *room = leat_buf_reserve(out, file->size);
    z_stream stream = {.next_in = (z_const Bytef *)file->gzip.data,
                       .avail_in = (uInt)file->gzip.size,
                       .next_out = (Bytef *)room,
                       .avail_out = (uInt)file->size};
    if (!room || inflateInit2(&stream, MAX_WBITS + WITH_GZIP_HEAD) != Z_OK)
        return false;
    int code = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (code == Z_MEM_ERROR)
        return false;
    LEAT_ASSERT(code == Z_STREAM_END && stream.avail_out == 0);
    out->size += file->size;
    return true;
}

static void answer_file(leat_edge *edge, leat_http_request *request, const edge_viewer_file *file)
{
    char headers[HEADERS_MAX];
    if (answer_unchanged(request, file->etag) || answer_full(edge, request))
        return;
    bool packed = takes_gzip(request);
    leat_buf plain = {0};
    if (!packed && !unpack(file, &plain)) {
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
        leat_buf_free(&plain);
        return;
    }
    int size = snprintf(headers, sizeof headers, HEAD_FORMAT, file->etag,
                        packed ? "Content-Encoding: gzip\r\n" POLICY : POLICY);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    answer_large(edge, request, file->content_type,
                 packed ? file->gzip : (leat_slice){plain.data, plain.size}, headers);
    leat_buf_free(&plain);
}

static const edge_viewer_file *file_of(leat_slice path)
{
    for (const edge_viewer_file *file = edge_viewer_files; file->path; file++)
        if (leat_slice_is(path, file->path))
            return file;
    return NULL;
}

bool edge_docs_is_asked(const leat_edge *edge, const leat_http_request *request)
{
    leat_slice path = leat_http_request_path(request);
    leat_http_method method = leat_http_request_method(request);
    if (!edge->config.docs || (method != LEAT_HTTP_GET && method != LEAT_HTTP_HEAD))
        return false;
    return leat_slice_is(path, "/openapi.json") || leat_slice_is(path, "/docs") ||
           file_of(path) != NULL;
}

void edge_docs_answer(leat_edge *edge, leat_http_request *request)
{
    leat_slice path = leat_http_request_path(request);
    const edge_viewer_file *file = file_of(path);
    LEAT_ASSERT(edge_docs_is_asked(edge, request));
    if (leat_slice_is(path, "/openapi.json"))
        answer_description(edge, request);
    else if (file)
        answer_file(edge, request, file);
    else
        edge_answer_error(edge, request, LEAT_HTTP_NO_ROUTE, NULL,
                          "this program was built without the page that shows /openapi.json");
}
