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
#include "edge/internal.h"

#include <stdio.h>

#include "edge/openapi.h"
#include "edge/viewer.h"

enum { UNSENT_MAX = 32 * 1024 * 1024, LOOK_EVERY_US = 100 * 1000 };

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
    const edge_openapi_options options = {.needs_token = edge->config.auth != NULL,
                                          .has_waits = edge->config.writes.waits != NULL};
    if (edge_openapi_write(&version->routes, &options, &docs->description) != 0)
        return false;
    docs->version = version;
    leat_slice text = {docs->description.data, docs->description.size};
    snprintf(docs->etag, sizeof docs->etag, "\"%016llx\"", (unsigned long long)leat_hash(text));
    return true;
}

static void answer_description(leat_edge *edge, leat_http_request *request)
{
    char headers[LEAT_HTTP_TAGGED_MAX];
    if (!refresh(edge)) {
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
        return;
    }
    const edge_docs *docs = &edge->docs;
    if (leat_http_answer_unchanged(request, docs->etag) || answer_full(edge, request))
        return;
    int size = snprintf(headers, sizeof headers, LEAT_HTTP_TAGGED_FORMAT, docs->etag, "");
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    if (leat_http_request_method(request) != LEAT_HTTP_HEAD)
        edge->docs.unsent += docs->description.size;
    leat_http_answer(request, LEAT_HTTP_OK, LEAT_HTTP_JSON,
                     (leat_slice){docs->description.data, docs->description.size}, headers);
}

void edge_docs_fini(leat_edge *edge)
{
    leat_buf_free(&edge->docs.description);
}

/* ---- the page ---- */

static void answer_file(leat_edge *edge, leat_http_request *request, const leat_http_file *file)
{
    bool is_head = leat_http_request_method(request) == LEAT_HTTP_HEAD;
    size_t bytes;
    if (leat_http_answer_unchanged(request, file->etag) || answer_full(edge, request))
        return;
    if (leat_http_answer_file(request, file, &bytes) != 0)
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
    else if (!is_head)
        edge->docs.unsent += bytes;
}

bool edge_docs_is_asked(const leat_edge *edge, const leat_http_request *request)
{
    leat_slice path = leat_http_request_path(request);
    leat_http_method method = leat_http_request_method(request);
    if (!edge->config.docs || (method != LEAT_HTTP_GET && method != LEAT_HTTP_HEAD))
        return false;
    return leat_slice_is(path, "/openapi.json") || leat_slice_is(path, "/docs") ||
           leat_http_find_file(edge_viewer_files, path) != NULL;
}

void edge_docs_answer(leat_edge *edge, leat_http_request *request)
{
    leat_slice path = leat_http_request_path(request);
    const leat_http_file *file = leat_http_find_file(edge_viewer_files, path);
    LEAT_ASSERT(edge_docs_is_asked(edge, request));
    if (leat_slice_is(path, "/openapi.json"))
        answer_description(edge, request);
    else if (file)
        answer_file(edge, request, file);
    else
        edge_answer_error(edge, request, LEAT_HTTP_NO_ROUTE, NULL,
                          "this program was built without the page that shows /openapi.json");
}
