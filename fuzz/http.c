/*
 * http.c - the bytes of a connection. Read whole and read in pieces they are the same requests,
 * refused or not at the same place. (For which reason may differ where two are to be had: a limit
 * is met in the middle of what turns out malformed.) The first byte says how long the pieces are.
 */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "target.h"

/* What was understood. */
typedef struct story {
    leat_buf text;
    uv_loop_t loop; /* only its time is asked for, and that stands still */
    leat_http_server server;
    http_conn conn;
} story;

static void on_request(void *context, leat_http_request *request)
{
    story *told = context;
    leat_buf_printf(&told->text, "%d ", (int)leat_http_request_method(request));
    leat_buf_slice(&told->text, leat_http_request_path(request));
    leat_buf_byte(&told->text, ' ');
    leat_buf_slice(&told->text, leat_http_request_header(request, "content-type"));
    leat_buf_byte(&told->text, ' ');
    leat_buf_slice(&told->text, leat_http_request_body(request));
    leat_buf_byte(&told->text, '\n');
    leat_http_answer(request, LEAT_HTTP_ACCEPTED, "text/plain", LEAT_SLICE("ok"), NULL);
}

static story *begin(void)
{
    story *told = leat_must_calloc(1, sizeof *told);
    leat_http_config_defaults(&told->server.config);
    told->server.config.header_max = 512;
    told->server.config.body_max = 256;
    told->server.loop = &told->loop;
    told->server.handler = on_request;
    told->server.context = told;
    LIST_INIT(&told->server.conns);
    TAILQ_INIT(&told->server.dirty);
    told->server.date_second = INT64_MAX / 2;
    http_parse_settings(&told->server.settings);
    told->conn.server = &told->server;
    told->conn.fd = -1;
    llhttp_init(&told->conn.parser, HTTP_REQUEST, &told->server.settings);
    told->conn.parser.data = &told->conn;
    return told;
}

/* As a connection does: what was not used comes first the next time. */
static void feed(story *told, const char *data, size_t size)
{
    while (size > 0 && !told->conn.no_more) {
        size_t used = http_parse(&told->conn, data, size);
        LEAT_ASSERT(used <= size && (used > 0 || told->conn.no_more));
        data += used;
        size -= used;
    }
}

static void end(story *told)
{
    while (told->conn.first) {
        leat_http_request *request = told->conn.first;
        told->conn.first = request->next;
        leat_buf_free(&request->head);
        leat_buf_free(&request->body);
        leat_buf_free(&request->answer);
        free(request);
    }
    http_request_pool_free(&told->server);
    leat_buf_free(&told->conn.out);
    leat_buf_free(&told->text);
    free(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t count = size - 1, piece = 1 + data[0] % 16;
    story *whole = begin(), *pieces = begin();
    feed(whole, bytes, count);
    for (size_t at = 0; at < count; at += piece)
        feed(pieces, bytes + at, count - at < piece ? count - at : piece);
    LEAT_ASSERT(whole->text.size == pieces->text.size);
    LEAT_ASSERT(whole->text.size == 0 ||
                memcmp(whole->text.data, pieces->text.data, whole->text.size) == 0);
    LEAT_ASSERT(whole->conn.no_more == pieces->conn.no_more);
    LEAT_ASSERT(whole->server.counters.malformed == pieces->server.counters.malformed);
    end(whole);
    end(pieces);
    return 0;
}
