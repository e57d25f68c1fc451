/*
 * file.h - files that are part of the program: pages, and what belongs to them. They are compressed
 * when the program is built (embed_files.py), and answered with a tag, so that a browser that has
 * one is not sent it again. On the loop's thread.
 */
#ifndef LEAT_HTTP_FILE_H
#define LEAT_HTTP_FILE_H

#include "http/http.h"

typedef struct leat_http_file {
    const char *path; /* "/docs/start.js"; NULL: after the last */
    const char *content_type;
    const char *etag;    /* with its quotes */
    const char *headers; /* whole lines with CRLF, of every answer with it; "": none */
    leat_slice gzip;
    size_t size; /* bytes, not compressed */
} leat_http_file;

/* The headers of an answer with a tag: the tag with its quotes, then further lines. */
#define LEAT_HTTP_TAGGED_FORMAT                                                                    \
    "ETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"                   \
    "Vary: Accept-Encoding\r\n%s"
enum { LEAT_HTTP_TAGGED_MAX = 1024 };

/* The one with that path; NULL: there is none. */
const leat_http_file *leat_http_find_file(const leat_http_file *files, leat_slice path);
/* Answers 304 and returns true when the client has what has this tag. */
bool leat_http_answer_unchanged(leat_http_request *request, const char *etag);
/* Answers with the file, compressed for a client that takes it so; `*ret_bytes` is the size of
 * that. -1: out of memory, and it is not answered. */
int leat_http_answer_file(leat_http_request *request, const leat_http_file *file,
                          size_t *ret_bytes) LEAT_MUST_CHECK;

#endif
