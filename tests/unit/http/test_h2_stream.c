/* HTTP/2 for owners that look at a request before its body, take bodies in pieces and answer in
 * pieces. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream_client.h"
#include "stream_owner.h"

#include "http/h2.h"

static http_world *stream_world(void)
{
    http_world *world = owner_world();
    world->config.frames_budget = 20;
    world->config.body_timeout_ms = 300;
    world_open(world);
    return world;
}

static char *text_of(size_t size)
{
    char *text = leat_must_calloc(1, size + 1);
    memset(text, 'b', size);
    return text;
}

static test_stream *send_open(stream_client *client, const char *path)
{
    const test_field fields[] = {
        {":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "a"}};
    return stream_send_fields(client, fields, 4, false);
}

START_TEST(test_whole_and_early)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    stream_expect(client, stream_send(client, "PUT", "/whole", "abc"), 200, "PUT /whole abc");
    char *large = text_of(200);
    stream_expect(client, stream_send(client, "PUT", "/whole", large), 413, NULL);
    stream_expect(client, stream_send(client, "PUT", "/early", large), 404, "early");
    stream_expect(client, stream_send(client, "GET", "/early", NULL), 404, "early");
    stream_expect(client, send_open(client, "/early"), 404, "early");
    stream_expect(client, stream_send(client, "GET", "/whole", NULL), 200, "GET /whole ");
    ck_assert_uint_eq(world->seen, 2);
    ck_assert_uint_eq(client->goaways, 0);
    free(large);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* Longer than body_max and than all windows, which open as it is taken. */
START_TEST(test_a_body_comes_in_pieces)
{
    enum { SIZE = 1500000 };
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    char *body = text_of(SIZE);
    test_stream *stream = stream_send(client, "POST", "/stream", body);
    STREAM_UNTIL(client, owner.is_whole);
    ck_assert_uint_eq(owner.body.size, SIZE);
    owner_answer("taken");
    stream_expect(client, stream, 202, "taken");
    test_stream *empty = stream_send(client, "POST", "/stream", NULL);
    owner.is_whole = false;
    STREAM_UNTIL(client, owner.is_whole);
    owner_answer("nothing");
    stream_expect(client, empty, 202, "nothing");
    free(body);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* What its owner does not take stops the client, and nobody else. */
START_TEST(test_the_window_of_a_stream)
{
    enum { SIZE = 1000000 };
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    char *body = text_of(SIZE);
    owner.keeps = true;
    test_stream *stream = stream_send(client, "POST", "/stream", body);
    STREAM_UNTIL(client, owner.body.size >= OWNER_WINDOW);
    stream_expect(client, stream_send(client, "PUT", "/whole", "abc"), 200, "PUT /whole abc");
    int64_t until = leat_mono_us() + 600 * 1000; /* it is not the client that is late */
    while (leat_mono_us() < until)
        stream_turn(client);
    ck_assert_uint_le(owner.body.size, OWNER_WINDOW);
    ck_assert_uint_eq(owner.gone, 0);
    owner.keeps = false;
    leat_http_body_taken(owner.request, owner.held);
    owner.held = 0;
    STREAM_UNTIL(client, owner.is_whole);
    ck_assert_uint_eq(owner.body.size, SIZE);
    owner_answer("taken");
    stream_expect(client, stream, 202, "taken");
    free(body);
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_an_answer_in_pieces)
{
    enum { SIZE = 1000000 };
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = stream_send(client, "POST", "/stream", NULL);
    STREAM_UNTIL(client, owner.is_whole);
    owner.to_write = SIZE;
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", "X-Extra: 1\r\n");
    owner_write_more();
    stream_expect(client, stream, 200, NULL);
    ck_assert_uint_eq(stream->size, SIZE);
    ck_assert_uint_le(owner.waiting_most, OWNER_WRITES_UP_TO + OWNER_WRITE_SIZE);
    ck_assert_uint_eq(owner.gone, 0);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* The owner is always ahead of the client, so the answer is never framed as a whole; what is framed
 * is not kept. */
START_TEST(test_an_answer_that_never_runs_out)
{
    enum { SIZE = 1000000, AHEAD = 128 * 1024, KEPT_MOST = 64 * 1024 };
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    char bytes[OWNER_WRITE_SIZE];
    memset(bytes, 'z', sizeof bytes);
    test_stream *stream = stream_send(client, "POST", "/stream", NULL);
    STREAM_UNTIL(client, owner.is_whole);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    while (stream->size < SIZE) {
        size_t waiting = leat_http_answer_waiting(owner.request);
        ck_assert(stream->size == 0 || waiting > 0);
        ck_assert_uint_le(owner.request->answer.size, AHEAD + OWNER_WRITE_SIZE + KEPT_MOST);
        if (waiting < AHEAD)
            leat_http_answer_piece(owner.request, (leat_slice){bytes, sizeof bytes});
        else
            stream_turn(client);
    }
    owner_end();
    stream_expect(client, stream, 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* Begun while its body still comes, ended when that is whole. */
START_TEST(test_an_answer_beside_the_body)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    ck_assert_uint_eq(leat_http_streamed_beside(owner.request), 1);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(owner.request, LEAT_SLICE("one "));
    STREAM_UNTIL(client, stream->size == 4);
    stream_send_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream->id, "x", 1);
    STREAM_UNTIL(client, owner.is_whole);
    leat_http_answer_piece(owner.request, LEAT_SLICE("two"));
    owner_end();
    stream_expect(client, stream, 200, "one two");
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* By a reset of its stream, or with the whole connection; the owner ends it inside on_gone or
 * later, and is told once. */
START_TEST(test_a_client_that_leaves)
{
    for (int way = 0; way < 4; way++) {
        http_world *world = stream_world();
        stream_client *client = stream_client_new(world, NULL);
        owner_reset();
        owner.ends_in_gone = way % 2;
        test_stream *stream = send_open(client, "/stream");
        STREAM_UNTIL(client, owner.request != NULL);
        if (way < 2)
            nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream->id,
                                      NGHTTP2_CANCEL);
        else
            shutdown(client->fd, SHUT_RDWR);
        STREAM_UNTIL(client, owner.gone == 1);
        if (owner.request)
            owner_answer("nobody gets it");
        if (way < 2)
            stream_expect(client, stream_send(client, "GET", "/whole", NULL), 200, NULL);
        stream_client_free(client);
        while (leat_http_count(world->server)->open > 0)
            test_turn(&world->loop);
        ck_assert_uint_eq(owner.gone, 1);
        world_free(world);
    }
}
END_TEST

/* All of an answer is framed, and its stream is lost before that is sent: its owner hears of the
 * loss, and then of nothing more. */
START_TEST(test_no_room_after_the_loss)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(owner.request, LEAT_SLICE("one "));
    STREAM_UNTIL(client, stream->size == 4);
    owner.to_write = 1; /* by on_room */
    owner.request->is_room_due = owner.request->conn->h2->has_room_due = true;
    nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    STREAM_UNTIL(client, owner.gone == 1);
    stream_expect(client, stream_send(client, "GET", "/whole", NULL), 200, NULL);
    ck_assert_uint_eq(owner.to_write, 1);
    owner_end();
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* The client stops in the middle: 408, or a reset where the answer has begun. */
START_TEST(test_a_body_that_stops)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = send_open(client, "/stream");
    STREAM_UNTIL(client, owner.gone == 1);
    stream_expect(client, first, 408, NULL);
    owner_answer("nobody gets it");
    owner.gone = 0;
    test_stream *second = send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    STREAM_UNTIL(client, owner.gone == 1);
    owner_end();
    STREAM_UNTIL(client, second->is_closed);
    ck_assert_uint_eq(second->error_code, NGHTTP2_CANCEL);
    stream_expect(client, stream_send(client, "GET", "/whole", NULL), 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A few bytes now and then, each taken at once, do not keep a body from being late. */
START_TEST(test_a_body_that_drips)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    while (owner.gone == 0) {
        size_t before = owner.body.size;
        stream_send_frame(client, NGHTTP2_DATA, 0, stream->id, "x", 1);
        STREAM_UNTIL(client, owner.body.size > before || owner.gone > 0);
        ck_assert_uint_lt(owner.body.size, LEAT_HTTP_STREAM_PROGRESS);
        int64_t until = leat_mono_us() + 20 * 1000;
        while (owner.gone == 0 && leat_mono_us() < until)
            stream_turn(client);
    }
    stream_expect(client, stream, 408, NULL);
    owner_answer("nobody gets it");
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* The client ends its side of the connection in the middle of its body and of the answer. */
START_TEST(test_half_a_client)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(owner.request, LEAT_SLICE("never framed"));
    shutdown(client->fd, SHUT_WR);
    STREAM_UNTIL(client, owner.gone == 1);
    leat_http_answer_piece(owner.request, LEAT_SLICE("more"));
    owner_end();
    STREAM_UNTIL(client, client->eof);
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_the_server_closes)
{
    http_world *world = stream_world();
    stream_client *client = stream_client_new(world, NULL);
    send_open(client, "/stream");
    STREAM_UNTIL(client, owner.request != NULL);
    world_close_server(world);
    ck_assert_uint_eq(owner.gone, 1);
    STREAM_UNTIL(client, client->eof);
    owner_answer("nobody gets it");
    stream_client_free(client);
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_h2_stream");
    TCase *streams = tcase_create("streams");
    tcase_set_timeout(streams, 60);
    tcase_add_test(streams, test_whole_and_early);
    tcase_add_test(streams, test_a_body_comes_in_pieces);
    tcase_add_test(streams, test_the_window_of_a_stream);
    tcase_add_test(streams, test_an_answer_in_pieces);
    tcase_add_test(streams, test_an_answer_that_never_runs_out);
    tcase_add_test(streams, test_an_answer_beside_the_body);
    tcase_add_test(streams, test_a_client_that_leaves);
    tcase_add_test(streams, test_no_room_after_the_loss);
    tcase_add_test(streams, test_a_body_that_stops);
    tcase_add_test(streams, test_a_body_that_drips);
    tcase_add_test(streams, test_half_a_client);
    tcase_add_test(streams, test_the_server_closes);
    suite_add_tcase(s, streams);
    return s;
}

int main(void)
{
    return world_run(suite());
}
