/* Owners that look at a request before its body, take bodies in pieces and answer in pieces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream_owner.h"

#define POST(path, headers) "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n"
#define CHUNKED             "Transfer-Encoding: chunked\r\n"

static http_world *stream_world(void)
{
    http_world *world = owner_world();
    world_open(world);
    world_connect(world);
    return world;
}

static void end_world(http_world *world)
{
    world_free(world);
    owner_reset();
}

static void turn_until_size(http_world *world, size_t size)
{
    for (int i = 0; owner.body.size < size; i++) {
        test_turn(&world->loop);
        usleep(100);
        ck_assert_msg(i < 50000, "%zu of %zu bytes came", owner.body.size, size);
    }
}

/* Everything up to the connection's end, after what was read. */
static void read_to_end(http_world *world)
{
    test_reader *reader = &world->reader;
    for (int i = 0; !reader->eof; i++) {
        ck_assert_uint_lt(reader->size, sizeof reader->data - 1);
        ssize_t got = recv(reader->fd, reader->data + reader->size,
                           sizeof reader->data - 1 - reader->size, MSG_DONTWAIT);
        reader->eof = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        reader->size += got > 0 ? (size_t)got : 0;
        test_turn(&world->loop);
        if (got <= 0)
            usleep(100);
        ck_assert_msg(i < 50000, "the connection stays open");
    }
    reader->data[reader->size] = '\0';
}

static const struct {
    const char *request;
    const char *body;
} bodies[] = {
    {POST("/s", "Content-Length: 5\r\n") "hello", "hello"},
    {POST("/s", "Content-Length: 0\r\n"), ""},
    {POST("/s", ""), ""},
    {POST("/s", CHUNKED) "5\r\nhello\r\n7;n=v\r\n, world\r\n0\r\nT: x\r\n\r\n", "hello, world"},
    {POST("/s", CHUNKED) "0\r\n\r\n", ""},
    {POST("/s", "Content-Length: 120\r\n") /* above body_max, which is not for streams */
     "012345678901234567890123456789012345678901234567890123456789"
     "012345678901234567890123456789012345678901234567890123456789",
     "012345678901234567890123456789012345678901234567890123456789"
     "012345678901234567890123456789012345678901234567890123456789"},
};

/* In one piece, then byte by byte; the connection stays, and other requests are whole. */
START_TEST(test_a_body_comes_in_pieces)
{
    http_world *world = stream_world();
    for (int round = 0; round < 2; round++) {
        if (round == 0)
            world_send(world, bodies[_i].request);
        else
            for (const char *at = bodies[_i].request; *at; at++)
                test_send(&world->loop, world->reader.fd, at, 1);
        test_turn_until(&world->loop, &owner.is_whole);
        leat_buf_byte(&owner.body, '\0');
        ck_assert_str_eq(owner.body.data, bodies[_i].body);
        owner_answer("done");
        world_expect_body(world, 202, "done");
        leat_buf_clear(&owner.body);
        owner.is_whole = false;
        world_send(world, "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        world_expect_body(world, 200, "POST /whole hi");
    }
    ck_assert_uint_eq(owner.gone, 0);
    end_world(world);
}
END_TEST

START_TEST(test_a_whole_body_has_its_limit)
{
    http_world *world = stream_world();
    world_send(world, "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
    world_expect(world, 413);
    world_expect_eof(world);
    end_world(world);
}
END_TEST

/* A client may send without end: the server reads up to the window, and on when bytes are taken. */
START_TEST(test_reading_stops_at_the_window)
{
    enum { SIZE = 16 * 1024 * 1024 };
    http_world *world = stream_world();
    owner.keeps = true;
    char head[128], bytes[8192];
    memset(bytes, 'b', sizeof bytes);
    snprintf(head, sizeof head, POST("/s", "Content-Length: %d\r\n"), SIZE);
    world_send(world, head);
    size_t sent = 0;
    for (int idle = 0; idle < 100;) { /* until the kernel's buffers are full, too */
        ssize_t size = send(world->reader.fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += size > 0 ? (size_t)size : 0;
        idle = size > 0 ? 0 : idle + 1;
        test_turn(&world->loop);
    }
    ck_assert_uint_lt(sent, SIZE);
    ck_assert_uint_ge(owner.held, world->config.stream_window);
    ck_assert_uint_le(owner.held_most, world->config.stream_window + LEAT_HTTP_PIECE_MAX);
    owner.keeps = false;
    leat_http_body_taken(owner.request, owner.held);
    owner.held = 0;
    for (; sent < SIZE; sent += sizeof bytes)
        test_send(&world->loop, world->reader.fd, bytes,
                  SIZE - sent < sizeof bytes ? SIZE - sent : sizeof bytes);
    test_turn_until(&world->loop, &owner.is_whole);
    ck_assert_uint_eq(owner.body.size, SIZE);
    owner_answer("done");
    world_expect_body(world, 202, "done");
    end_world(world);
}
END_TEST

/* The answer begins, goes on and ends while the body comes; then the connection serves others. */
START_TEST(test_an_answer_in_chunks)
{
    http_world *world = stream_world();
    world_send(world, POST("/s", CHUNKED) "2\r\nab\r\n");
    turn_until_size(world, 2);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", "X-Own: 1\r\n");
    leat_http_answer_piece(owner.request, LEAT_SLICE("first"));
    owner.echoes = true;
    world_send(world, "3\r\ncde\r\n0\r\n\r\n" GET("/whole"));
    test_turn_until(&world->loop, &owner.is_whole);
    leat_http_answer_piece(owner.request, LEAT_SLICE(""));
    owner_end();
    ck_assert(test_read_answer(&world->loop, &world->reader, true, &world->answer));
    ck_assert_int_eq(world->answer.status, 200);
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "transfer-encoding", room, sizeof room),
                     "chunked");
    ck_assert_str_eq(test_header(&world->answer, "content-length", room, sizeof room), "");
    ck_assert_str_eq(test_header(&world->answer, "x-own", room, sizeof room), "1");
    static const char rest[] = "5\r\nfirst\r\n3\r\ncde\r\n0\r\n\r\n";
    while (world->reader.size < sizeof rest - 1 + 16)
        ck_assert(!world->reader.eof &&
                  (test_turn(&world->loop),
                   recv(world->reader.fd, world->reader.data + world->reader.size, 1, 0) == 1 &&
                       ++world->reader.size));
    ck_assert_int_eq(memcmp(world->reader.data, rest, sizeof rest - 1), 0);
    memmove(world->reader.data, world->reader.data + sizeof rest - 1,
            world->reader.size -= sizeof rest - 1);
    world_expect_body(world, 200, "GET /whole ");
    end_world(world);
}
END_TEST

/* An answer whose turn has not come waits behind those before it. */
START_TEST(test_an_answer_in_chunks_has_its_turn)
{
    http_world *world = stream_world();
    world->holds = true;
    world_send(world, GET("/whole") POST("/s", "Content-Length: 1\r\nConnection: close\r\n") "a");
    test_turn_until(&world->loop, &owner.is_whole);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(owner.request, LEAT_SLICE("one"));
    ck_assert_uint_gt(leat_http_answer_waiting(owner.request), 3);
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /whole ");
    leat_http_answer_piece(owner.request, LEAT_SLICE("two"));
    owner_end();
    read_to_end(world);
    ck_assert_ptr_nonnull(strstr(world->reader.data, "Connection: close\r\n"));
    ck_assert_ptr_nonnull(strstr(world->reader.data, "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    end_world(world);
}
END_TEST

START_TEST(test_http_1_0_is_answered_until_the_end)
{
    http_world *world = stream_world();
    world_send(world, "POST /s HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na");
    test_turn_until(&world->loop, &owner.is_whole);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    leat_http_answer_piece(owner.request, LEAT_SLICE("one"));
    leat_http_answer_piece(owner.request, LEAT_SLICE("two"));
    owner_end();
    read_to_end(world);
    ck_assert_ptr_nonnull(strstr(world->reader.data, "\r\n\r\nonetwo"));
    ck_assert_ptr_null(strstr(world->reader.data, "chunked"));
    end_world(world);
}
END_TEST

/* A client that reads slowly holds its owner up, and gets every byte. */
START_TEST(test_an_owner_stops_when_the_client_does_not_read)
{
    enum { SIZE = 8 * 1024 * 1024 };
    http_world *world = stream_world();
    close(world->reader.fd);
    world->reader.fd = test_connect_narrow(leat_http_port(world->server), 4096);
    world_send(world, POST("/s", "Content-Length: 1\r\nConnection: close\r\n") "a");
    test_turn_until(&world->loop, &owner.is_whole);
    owner.to_write = SIZE;
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    owner_write_more();
    for (int i = 0; i < 200; i++)
        test_turn(&world->loop);
    ck_assert_uint_gt(owner.to_write, 0);
    size_t count = 0;
    char bytes[65536];
    for (ssize_t got = 1; got != 0;) {
        got = recv(world->reader.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        for (ssize_t i = 0; i < got; i++)
            count += bytes[i] == 'z';
        test_turn(&world->loop);
    }
    ck_assert_uint_eq(count, SIZE);
    ck_assert_uint_le(owner.waiting_most, OWNER_WRITES_UP_TO + OWNER_WRITE_SIZE + 64);
    end_world(world);
}
END_TEST

/* Its client leaves in the middle of the body, or of the answer: the owner hears it once, and ends
 * the request now or later. */
START_TEST(test_a_client_that_leaves)
{
    http_world *world = stream_world();
    bool begun = _i & 1, later = _i & 2, is_whole = _i & 4;
    owner.abandons = !later;
    world_send(world, POST("/s", "Content-Length: 3\r\n") "ab");
    if (is_whole) {
        world_send(world, "c");
        test_turn_until(&world->loop, &owner.is_whole);
    } else {
        turn_until_size(world, 2);
    }
    if (begun || is_whole)
        leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    struct linger reset = {.l_onoff = 1};
    if (is_whole) /* a half-closed connection still gets its answer; this one is gone */
        setsockopt(world->reader.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &owner.is_gone);
    ck_assert_uint_eq(owner.gone, 1);
    if (later) {
        leat_http_body_taken(owner.request, owner.held);
        ck_assert_uint_eq(leat_http_answer_waiting(owner.request), 0);
        if (begun || is_whole) {
            leat_http_answer_piece(owner.request, LEAT_SLICE("nobody"));
            leat_http_answer_end(owner.request);
        } else {
            owner_answer("nobody");
        }
    }
    end_world(world);
}
END_TEST

START_TEST(test_a_client_that_only_ends_its_side)
{
    http_world *world = stream_world();
    world_send(world, POST("/s", "Content-Length: 1\r\n") "a");
    test_turn_until(&world->loop, &owner.is_whole);
    leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    shutdown(world->reader.fd, SHUT_WR);
    for (int i = 0; i < 50; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(owner.gone, 0);
    leat_http_answer_piece(owner.request, LEAT_SLICE("still"));
    owner_end();
    read_to_end(world);
    ck_assert_ptr_nonnull(strstr(world->reader.data, "5\r\nstill\r\n0\r\n\r\n"));
    end_world(world);
}
END_TEST

static const struct {
    const char *request;
    int status;
    bool stays; /* the connection */
} early[] = {
    {POST("/early", ""), 404, true},
    {POST("/early", "Content-Length: 5\r\n") "hello", 404, true},
    {POST("/early", "Content-Length: 100000\r\n") "hello", 404, false},
    {POST("/early", CHUNKED) "1\r\na\r\n", 404, false},
    {POST("/early", "Connection: close\r\nContent-Length: 5\r\n") "hello", 404, false},
    {POST("/early", "Expect: 100-continue\r\nContent-Length: 5\r\n"), 404, false},
    {"POST /early HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 404, false},
};

/* Answered by its headers: a short body is read and dropped, else the connection ends; no body is
 * asked for. */
START_TEST(test_an_answer_before_the_body)
{
    http_world *world = stream_world();
    for (int round = 0; round < (early[_i].stays ? 2 : 1); round++) {
        world_send(world, early[_i].request);
        world_expect_body(world, early[_i].status, "early");
        ck_assert(world->answer.closes == !early[_i].stays);
    }
    if (early[_i].stays) {
        world_send(world, GET("/whole"));
        world_expect_body(world, 200, "GET /whole ");
    } else {
        world_expect_eof(world);
    }
    end_world(world);
}
END_TEST

START_TEST(test_a_continue_is_sent_once_the_hook_lets_it_pass)
{
    http_world *world = stream_world();
    world_send(world, POST("/s", "Expect: 100-continue\r\nContent-Length: 2\r\n"));
    ck_assert(test_read_answer(&world->loop, &world->reader, true, &world->answer));
    ck_assert_int_eq(world->answer.status, 100);
    world_send(world, "ab");
    test_turn_until(&world->loop, &owner.is_whole);
    owner_answer("done");
    world_expect_body(world, 202, "done");
    end_world(world);
}
END_TEST

static const struct {
    const char *rest;
    int status;
} broken[] = {
    {"zz\r\n", 400},
    {"", 408},
};

/* A body that goes wrong: its owner hears it, and the client gets an answer while there is none. */
START_TEST(test_a_broken_body)
{
    http_world *world = owner_world();
    bool begun = _i % 2;
    world->config.body_timeout_ms = broken[_i / 2].status == 408 ? 50 : 30000;
    world_open(world);
    world_connect(world);
    owner.abandons = true;
    world_send(world, POST("/s", CHUNKED) "1\r\na\r\n");
    turn_until_size(world, 1);
    if (begun)
        leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
    world_send(world, broken[_i / 2].rest);
    test_turn_until(&world->loop, &owner.is_gone);
    if (begun) {
        read_to_end(world);
        ck_assert_ptr_null(strstr(world->reader.data, "0\r\n\r\n"));
    } else {
        world_expect(world, broken[_i / 2].status);
        world_expect_eof(world);
    }
    ck_assert_uint_eq(owner.gone, 1);
    end_world(world);
}
END_TEST

/* The owner has seen enough: what still comes of the body has no reader, so the connection ends. */
START_TEST(test_an_answer_in_the_middle_of_the_body)
{
    http_world *world = stream_world();
    world_send(world, POST("/s", CHUNKED) "1\r\na\r\n");
    turn_until_size(world, 1);
    if (_i == 0) {
        owner_answer("enough");
        world_expect_body(world, 202, "enough");
        ck_assert(world->answer.closes);
        world_expect_eof(world);
    } else {
        leat_http_answer_begin(owner.request, LEAT_HTTP_OK, "text/plain", NULL);
        owner_end();
        read_to_end(world);
        ck_assert_ptr_nonnull(strstr(world->reader.data, "\r\n\r\n0\r\n\r\n"));
    }
    ck_assert_uint_eq(owner.gone, 0);
    end_world(world);
}
END_TEST

/* The server is closed under a stream: its owner hears it, and may keep the request for a while. */
START_TEST(test_the_server_closes)
{
    http_world *world = stream_world();
    owner.abandons = _i == 0;
    world_send(world, POST("/s", CHUNKED) "1\r\na\r\n");
    turn_until_size(world, 1);
    world_close_server(world);
    ck_assert_uint_eq(owner.gone, 1);
    if (_i == 1)
        leat_http_abandon(owner.request);
    end_world(world);
}
END_TEST

/* Bytes of streams count for the limit of all bodies, until they are taken; so does the head. */
START_TEST(test_all_bodies_have_a_limit)
{
    static const char head[] = "/s"
                               "host"
                               "a"
                               "transfer-encoding"
                               "chunked";
    http_world *world = owner_world();
    world->config.bodies_max = sizeof head - 1 + 10;
    world_open(world);
    world_connect(world);
    world_send(world, POST("/s", CHUNKED) "8\r\n12345678\r\n");
    turn_until_size(world, 8);
    owner.keeps = owner.abandons = true;
    world_send(world, "8\r\n12345678\r\n");
    turn_until_size(world, 16);
    world_send(world, "8\r\n12345678\r\n");
    world_expect(world, 503);
    ck_assert_uint_eq(owner.gone, 1);
    end_world(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tests = tcase_create("stream");
    tcase_add_loop_test(tests, test_a_body_comes_in_pieces, 0, sizeof bodies / sizeof *bodies);
    tcase_add_test(tests, test_a_whole_body_has_its_limit);
    tcase_add_test(tests, test_reading_stops_at_the_window);
    tcase_add_test(tests, test_an_answer_in_chunks);
    tcase_add_test(tests, test_an_answer_in_chunks_has_its_turn);
    tcase_add_test(tests, test_http_1_0_is_answered_until_the_end);
    tcase_add_test(tests, test_an_owner_stops_when_the_client_does_not_read);
    tcase_add_loop_test(tests, test_a_client_that_leaves, 0, 8);
    tcase_add_test(tests, test_a_client_that_only_ends_its_side);
    tcase_add_loop_test(tests, test_an_answer_before_the_body, 0, sizeof early / sizeof *early);
    tcase_add_test(tests, test_a_continue_is_sent_once_the_hook_lets_it_pass);
    tcase_add_loop_test(tests, test_a_broken_body, 0, 4);
    tcase_add_loop_test(tests, test_an_answer_in_the_middle_of_the_body, 0, 2);
    tcase_add_loop_test(tests, test_the_server_closes, 0, 2);
    tcase_add_test(tests, test_all_bodies_have_a_limit);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
