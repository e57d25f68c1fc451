/*
 * http.c - the bytes of a connection. Read as a whole and read in pieces, they are the same
 * requests, and are refused at the same place or not at all. (Where there are two reasons to
 * refuse, the one given may differ: a limit is exceeded in the middle of a request that is
 * malformed.) The first byte is the length of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "target.h"

/* A connection without a socket, and the requests read from it, as text. */
typedef struct reading {
    leat_buf text;
    uv_loop_t loop; /* only its time is read, and that stands still */
    leat_http_server server;
    http_conn conn;
} reading;

static void on_request(void *context, leat_http_request *request)
{
    reading *input = context;
    leat_buf_printf(&input->text, "%d ", (int)leat_http_request_method(request));
    leat_buf_slice(&input->text, leat_http_request_path(request));
    leat_buf_byte(&input->text, ' ');
    leat_buf_slice(&input->text, leat_http_request_header(request, "content-type"));
    leat_buf_byte(&input->text, ' ');
    leat_buf_slice(&input->text, leat_http_request_body(request));
    leat_buf_byte(&input->text, '\n');
    leat_http_answer(request, LEAT_HTTP_ACCEPTED, "text/plain", LEAT_SLICE("ok"), NULL);
}

static reading *begin(void)
{
    reading *input = leat_must_calloc(1, sizeof *input);
    leat_http_config_defaults(&input->server.config);
    input->server.config.header_max = 512;
    input->server.config.body_max = 256;
    input->server.loop = &input->loop;
    input->server.standstill.before_poll.loop = &input->loop;
    input->server.handler = on_request;
    input->server.context = input;
    LIST_INIT(&input->server.conns);
    TAILQ_INIT(&input->server.dirty);
    input->server.date_second = INT64_MAX / 2;
    http_parse_settings(&input->server.settings);
    input->conn.server = &input->server;
    input->conn.fd = -1;
    llhttp_init(&input->conn.parser, HTTP_REQUEST, &input->server.settings);
    input->conn.parser.data = &input->conn;
    return input;
}

/* As a connection does: bytes that were not used come first the next time. */
static void feed(reading *input, const char *data, size_t size)
{
    while (size > 0 && !input->conn.no_more) {
        size_t used = http_parse(&input->conn, data, size);
        LEAT_ASSERT(used <= size && (used > 0 || input->conn.no_more));
        data += used;
        size -= used;
    }
}

static void end(reading *input)
{
    while (input->conn.first) {
        leat_http_request *request = input->conn.first;
        input->conn.first = request->next;
        leat_buf_free(&request->head);
        leat_buf_free(&request->body);
        leat_buf_free(&request->answer);
        free(request);
    }
    http_request_pool_free(&input->server);
    leat_buf_free(&input->conn.out);
    leat_buf_free(&input->text);
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t count = size - 1, piece = 1 + data[0] % 16;
    reading *whole = begin(), *pieces = begin();
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
