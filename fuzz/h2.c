/*
 * h2.c - the bytes of an HTTP/2 connection behind its preface. Read as a whole and read in pieces
 * they are the same requests, unless the client itself has said goodbye. A third reading sends what
 * it has to after each piece, as a loop would. Owners of bodies and answers in pieces take part,
 * and every request comes back. The first byte is the length of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "http/h2.h"
#include "target.h"

/* A connection without a socket, and the requests read from it, as text. */
typedef struct reading {
    leat_buf text;
    uv_loop_t loop; /* only its time is read, and that stands still */
    leat_http_server server;
    http_conn conn;
} reading;

static void note(reading *input, const leat_http_request *request, leat_slice body)
{
    leat_buf_printf(&input->text, "%d ", (int)leat_http_request_method(request));
    leat_buf_slice(&input->text, leat_http_request_path(request));
    leat_buf_byte(&input->text, ' ');
    leat_buf_slice(&input->text, leat_http_request_header(request, "host"));
    leat_buf_byte(&input->text, ' ');
    leat_buf_slice(&input->text, body);
    leat_buf_byte(&input->text, '\n');
}

static void on_request(void *context, leat_http_request *request)
{
    note(context, request, leat_http_request_body(request));
    leat_http_answer(request, LEAT_HTTP_ACCEPTED, "text/plain", LEAT_SLICE("ok"), NULL);
}

static leat_http_body_mode on_headers(void *context, leat_http_request *request)
{
    (void)context;
    if (leat_http_request_method(request) == LEAT_HTTP_POST)
        return LEAT_HTTP_BODY_STREAM;
    if (leat_http_request_method(request) != LEAT_HTTP_DELETE)
        return LEAT_HTTP_BODY_WHOLE;
    leat_http_answer(request, LEAT_HTTP_NO_ROUTE, NULL, LEAT_SLICE("early"), NULL);
    return LEAT_HTTP_BODY_ANSWERED;
}

static void on_body(void *context, leat_http_request *request, leat_slice piece, bool is_last)
{
    leat_http_body_taken(request, piece.size);
    if (!is_last)
        return;
    note(context, request, piece);
    leat_http_answer_begin(request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(request, LEAT_SLICE("piece"));
    leat_http_answer_end(request);
}

static void on_gone(void *context, leat_http_request *request)
{
    (void)context;
    leat_http_abandon(request);
}

static reading *begin(void)
{
    reading *input = leat_must_calloc(1, sizeof *input);
    leat_http_config_defaults(&input->server.config);
    input->server.config.header_max = 512;
    input->server.config.body_max = 256;
    input->server.config.hooks = (leat_http_hooks){on_headers, on_body, NULL, on_gone};
    input->server.loop = &input->loop;
    input->server.standstill.before_poll.loop = &input->loop;
    input->server.handler = on_request;
    input->server.context = input;
    LIST_INIT(&input->server.conns);
    TAILQ_INIT(&input->server.dirty);
    input->server.date_second = INT64_MAX / 2;
    input->conn.server = &input->server;
    input->conn.fd = -1;
    input->conn.protocol = HTTP_2;
    LEAT_ASSERT(http_h2_set_up(&input->server) && http_h2_begin(&input->conn));
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    http_h2_receive(&input->conn, preface, sizeof preface - 1);
    return input;
}

static void send_all(reading *input)
{
    do {
        leat_buf_clear(&input->conn.out);
        http_h2_produce(&input->conn);
        http_h2_tell_room(&input->conn);
    } while (http_h2_has_more(&input->conn));
}

static void end(reading *input)
{
    input->conn.state = HTTP_CONN_CLOSING;
    http_h2_release(&input->conn);
    http_tell_gone(&input->server);
    http_h2_free(&input->conn);
    LEAT_ASSERT(input->server.handed == 0 && input->server.bodies == 0);
    http_request_pool_free(&input->server);
    http_h2_take_down(&input->server);
    leat_buf_free(&input->conn.out);
    leat_buf_free(&input->text);
    free(input);
}

/* After the client's own GOAWAY nghttp2 ignores a new stream if it came in another read. */
static bool wants_more(const reading *input)
{
    return nghttp2_session_want_read(input->conn.h2->session) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t count = size - 1, piece = 1 + data[0] % 16;
    reading *whole = begin(), *pieces = begin(), *turns = begin();
    http_h2_receive(&whole->conn, bytes, count);
    for (size_t at = 0; at < count; at += piece) {
        size_t given = count - at < piece ? count - at : piece;
        http_h2_receive(&pieces->conn, bytes + at, given);
        http_h2_receive(&turns->conn, bytes + at, given);
        send_all(turns);
    }
    if (wants_more(whole) && wants_more(pieces)) {
        LEAT_ASSERT(whole->text.size == pieces->text.size);
        LEAT_ASSERT(whole->text.size == 0 ||
                    memcmp(whole->text.data, pieces->text.data, whole->text.size) == 0);
    }
    send_all(whole);
    send_all(pieces);
    end(whole);
    end(pieces);
    end(turns);
    return 0;
}
