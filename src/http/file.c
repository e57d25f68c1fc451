/*
 * file.c - answers with files that are part of the program. They are kept compressed only: nearly
 * every client takes them so, and for the others one is unpacked as it is asked for.
 */
#define ZLIB_CONST
#include "http/file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

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

const leat_http_file *leat_http_find_file(const leat_http_file *files, leat_slice path)
{
    for (const leat_http_file *file = files; file->path; file++)
        if (leat_slice_is(path, file->path))
            return file;
    return NULL;
}

bool leat_http_answer_unchanged(leat_http_request *request, const char *etag)
{
    char headers[LEAT_HTTP_TAGGED_MAX];
    if (!header_has(request, "if-none-match", etag))
        return false;
    int size = snprintf(headers, sizeof headers, LEAT_HTTP_TAGGED_FORMAT, etag, "");
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    leat_http_answer(request, LEAT_HTTP_NOT_MODIFIED, NULL, (leat_slice){"", 0}, headers);
    return true;
}

/* False: out of memory. The data is the program's own, and so not at fault. */
static bool unpack(const leat_http_file *file, leat_buf *out)
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

int leat_http_answer_file(leat_http_request *request, const leat_http_file *file, size_t *ret_bytes)
{
    char headers[LEAT_HTTP_TAGGED_MAX];
    bool packed = takes_gzip(request);
    leat_buf plain = {0};
    if (!packed && !unpack(file, &plain)) {
        leat_buf_free(&plain);
        return -1;
    }
    int size = snprintf(headers, sizeof headers, LEAT_HTTP_TAGGED_FORMAT "%s", file->etag,
                        packed ? "Content-Encoding: gzip\r\n" : "", file->headers);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    leat_slice body = packed ? file->gzip : (leat_slice){plain.data, plain.size};
    leat_http_answer(request, LEAT_HTTP_OK, file->content_type, body, headers);
    *ret_bytes = body.size;
    leat_buf_free(&plain);
    return 0;
}
