/* The HTTP server: order, limits, deadlines and the ends of connections. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_world.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

START_TEST(test_keep_alive)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    for (int i = 0; i < 3; i++) {
        world_send(world, "PUT /a/b?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        world_expect_body(world, 200, "PUT /a/b?x=1 hello");
        ck_assert(!world->answer.closes);
    }
    char room[64];
    ck_assert_uint_eq(strlen(test_header(&world->answer, "date", room, sizeof room)), 29);
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room), "text/plain");
    ck_assert_uint_eq(leat_http_count(world->server)->connections, 1);
    world_free(world);
}
END_TEST

START_TEST(test_close_and_old_version)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/not-read"));
    world_expect_body(world, 200, "GET /a ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    world_connect(world);
    world_send(world, "GET /old HTTP/1.0\r\n\r\n");
    world_expect_body(world, 200, "GET /old ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    world_connect(world);
    world_send(world, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    world_expect(world, 200);
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "connection", room, sizeof room), "keep-alive");
    world_send(world, "GET /again HTTP/1.0\r\n\r\n");
    world_expect_body(world, 200, "GET /again ");
    ck_assert_uint_eq(world->seen, 4);
    world_free(world);
}
END_TEST

static const struct {
    const char *request;
    const char *answer;
} readings[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / "},
    {"GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b?c "},
    {"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a "},
    {"GET http://a.b:80/c/d?e HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c/d?e "},
    {"GET HTTP://a.b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / "},
    {"GET http://a.b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q "},
    {"GET https://a.b/c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c "},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * "},
    {"GET /a%2Fb%20c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a%2Fb%20c "},
    {"GET /a HTTP/1.1\r\nHost:\r\n\r\n", "GET /a "},
    {"GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /a "},
    {"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a "},
    {"GET /a HTTP/1.1\r\nhOsT: \t a \t \r\nX:\r\nY: \r\n\r\n", "GET /a "},
    {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST /a "},
    {"DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /a "},
    {"PATCH /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "PATCH /a {}"},
    {"PURGE /a HTTP/1.1\r\nHost: a\r\n\r\n", "OTHER /a "},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "PUT /a "},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "PUT /a hello"},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n005\r\nhello\r\nA\r\n, world, x\r\n0\r\n\r\n",
     "PUT /a hello, world, x"},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;n=v\r\nhello\r\n0;l\r\nT: x\r\nHost: b\r\n\r\n",
     "PUT /a hello"},
    {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n", "GET /a "},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi", "PUT /a hi"},
};

START_TEST(test_reading)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, readings[_i].request);
    world_expect_body(world, 200, readings[_i].answer);
    for (const char *at = readings[_i].request; *at; at++)
        test_send(&world->loop, world->reader.fd, at, 1);
    world_expect_body(world, 200, readings[_i].answer);
    world_send(world, GET("/next"));
    world_expect_body(world, 200, "GET /next ");
    world_free(world);
}
END_TEST

START_TEST(test_headers_are_found)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, "GET / HTTP/1.1\r\nHOST: a\r\nX-Empty:\r\nContent-Type:  text/x; y \t\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n");
    world_wait_held(world, 1);
    leat_http_request *request = world->held[0];
    ck_assert(leat_slice_is(leat_http_request_header(request, "host"), "a"));
    ck_assert(leat_slice_is(leat_http_request_header(request, "content-type"), "text/x; y"));
    ck_assert(leat_slice_is(leat_http_request_header(request, "x-two"), "1"));
    ck_assert_uint_eq(leat_http_request_header(request, "x-empty").size, 0);
    ck_assert_uint_eq(leat_http_request_header(request, "x-none").size, 0);
    ck_assert_ptr_null(leat_http_request_get(request));
    leat_http_request_set(request, world);
    ck_assert_ptr_eq(leat_http_request_get(request), world);
    ck_assert_int_le(leat_http_request_arrived_us(request), leat_mono_us());
    world_echo(request);
    world_expect(world, 200);
    world_free(world);
}
END_TEST

/* Twenty requests in one piece, answered in a shuffled order; they leave in the order they came. */
START_TEST(test_pipelining_keeps_order)
{
    enum { COUNT = 20 };
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    leat_buf all = {0};
    for (int i = 0; i < COUNT; i++)
        leat_buf_printf(&all, "PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d", i, i);
    test_send(&world->loop, world->reader.fd, all.data, all.size);
    leat_buf_free(&all);
    world_wait_held(world, COUNT);
    leat_prng prng = {(uint64_t)_i};
    for (uint32_t left = COUNT; left > 0; left--) {
        uint32_t at = (uint32_t)leat_prng_below(&prng, left);
        world_echo(world->held[at]);
        world->held[at] = world->held[left - 1];
        if (leat_prng_below(&prng, 3) == 0)
            test_turn(&world->loop);
    }
    for (int i = 0; i < COUNT; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "PUT /%d %02d", i, i);
        world_expect_body(world, 200, expected);
    }
    world_free(world);
}
END_TEST

/* More than pipeline_max at once: the rest waits unread, and nothing is lost. */
START_TEST(test_pipeline_limit)
{
    enum { COUNT = 200, LIMIT = 4 };
    http_world *world = world_new();
    world->config.pipeline_max = LIMIT;
    world->holds = true;
    world_open(world);
    world_connect(world);
    leat_buf all = {0};
    for (int i = 0; i < COUNT; i++)
        leat_buf_printf(&all, "PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d", i, i % 100);
    test_send(&world->loop, world->reader.fd, all.data, all.size);
    leat_buf_free(&all);
    for (uint32_t i = 0; i < COUNT; i++) {
        world_wait_held(world, i + LIMIT < COUNT ? i + LIMIT : COUNT);
        ck_assert_uint_le(world->held_count, i + LIMIT);
        world_echo(world->held[i]);
        char expected[32];
        snprintf(expected, sizeof expected, "PUT /%u %02u", i, i % 100);
        world_expect_body(world, 200, expected);
    }
    world_free(world);
}
END_TEST

START_TEST(test_expect_continue)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/first") "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    world_wait_held(world, 1);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_int_eq((int)recv(world->reader.fd, world->reader.data, 1, MSG_DONTWAIT), -1); /* its turn has not come */
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /first ");
    ck_assert(test_read_answer(&world->loop, &world->reader, true, &world->answer));
    ck_assert_int_eq(world->answer.status, 100);
    world_send(world, "hi");
    world_wait_held(world, 2);
    world_echo(world->held[1]);
    world_expect_body(world, 200, "PUT /a hi");
    world_free(world);
}
END_TEST

START_TEST(test_head_has_no_body)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n" GET("/b"));
    ck_assert(test_read_answer(&world->loop, &world->reader, true, &world->answer));
    char room[16];
    ck_assert_str_eq(test_header(&world->answer, "content-length", room, sizeof room), "8");
    world_expect_body(world, 200, "GET /b ");
    world_free(world);
}
END_TEST

START_TEST(test_header_limit_is_exact)
{
    http_world *world = world_new();
    world->config.header_max = 256;
    world_open(world);
    for (int over = 0; over < 2; over++) {
        leat_buf text = {0};
        leat_buf_text(&text, "GET /a HTTP/1.1\r\nHost: a\r\nX: ");
        while (text.size < 256 + (size_t)over - 4)
            leat_buf_byte(&text, 'x');
        leat_buf_text(&text, "\r\n\r\n");
        for (int piecewise = 0; piecewise < 2; piecewise++) {
            world_connect(world);
            for (size_t i = 0; piecewise && i < text.size; i++)
                test_send(&world->loop, world->reader.fd, text.data + i, 1);
            if (!piecewise)
                test_send(&world->loop, world->reader.fd, text.data, text.size);
            world_expect(world, over ? 431 : 200);
            ck_assert_int_eq(world->answer.closes, over);
        }
        leat_buf_free(&text);
    }
    world_free(world);
}
END_TEST

START_TEST(test_body_limit)
{
    http_world *world = world_new();
    world->config.body_max = 10;
    world_open(world);
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 200},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413}, /* as soon as it is said */
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", 413}, /* and no 100 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_connect(world);
        world_send(world, cases[i].request);
        world_expect(world, cases[i].status);
        if (cases[i].status != 200)
            world_expect_eof(world);
    }
    world_free(world);
}
END_TEST

/* The client is in the middle of sending a body that is too large: the answer must reach it, not a reset. */
START_TEST(test_refusal_reaches_a_busy_sender)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    char *block = leat_must_calloc(1, 65536);
    for (int i = 0; i < 30; i++)
        test_send(&world->loop, world->reader.fd, block, 65536);
    free(block);
    world_expect(world, 413);
    world_expect_eof(world);
    world_free(world);
}
END_TEST

START_TEST(test_bodies_budget)
{
    http_world *world = world_new();
    world->config.bodies_max = 100;
    world->holds = true;
    world_open(world);
    world_connect(world);
    char big[128];
    memset(big, 'x', sizeof big);
    world_send(world, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n");
    test_send(&world->loop, world->reader.fd, big, 60);
    world_wait_held(world, 1);
    int first = world->reader.fd;
    world->reader.fd = -1;
    world_connect(world);
    world_send(world, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n");
    test_send(&world->loop, world->reader.fd, big, 60);
    world_expect(world, 503);
    char room[16];
    ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room), "1");
    leat_http_request_drop_body(world->held[0]);
    world_connect(world);
    world_send(world, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n");
    test_send(&world->loop, world->reader.fd, big, 60);
    world_wait_held(world, 2);
    world_echo(world->held[0]);
    world_echo(world->held[1]);
    world_expect(world, 200);
    close(first);
    world_free(world);
}
END_TEST

/* ---- deadlines ---- */

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Sends one byte of `drip` a turn, over and over, until an answer or the end comes. */
static void drip_until_answer(http_world *world, const char *drip)
{
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    size_t at = 0;
    char byte;
    while (recv(world->reader.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0) {
        ck_assert_msg(leat_mono_us() < until, "the deadline did not come");
        if (send(world->reader.fd, drip + at, 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            at = (at + 1) % strlen(drip);
        test_turn(&world->loop);
        usleep(5000);
    }
}

START_TEST(test_header_deadline)
{
    http_world *world = world_new();
    world->config.header_timeout_ms = 100;
    world_open(world);
    world_connect(world);
    int64_t since = leat_mono_us();
    world_send(world, "GET /a HTTP/1.1\r\n");
    drip_until_answer(world, "X: y\r\n");
    world_expect(world, 408);
    ck_assert_int_ge(leat_mono_us() - since, 100 * 1000 - 15000);
    world_expect_eof(world);
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    world_free(world);
}
END_TEST

START_TEST(test_body_deadline)
{
    http_world *world = world_new();
    world->config.body_timeout_ms = 100;
    world_open(world);
    world_connect(world);
    world_send(world, _i == 0 ? "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
                              : "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    drip_until_answer(world, _i == 0 ? "x" : "1\r\nx\r\n");
    world_expect(world, 408);
    world_expect_eof(world);
    ck_assert_uint_eq(world->seen, 0);
    world_free(world);
}
END_TEST

/* Empty lines between requests do not count as a sign of life. */
START_TEST(test_idle_deadline)
{
    http_world *world = world_new();
    world->config.idle_timeout_ms = 100;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a"));
    world_expect(world, 200);
    drip_until_answer(world, "\r\n");
    world_expect_eof(world);
    world_free(world);
}
END_TEST

/* A request that waits for its owner has no deadline of the server's. */
START_TEST(test_no_deadline_while_waiting)
{
    http_world *world = world_new();
    world->config.idle_timeout_ms = 20;
    world->config.header_timeout_ms = 20;
    world->config.body_timeout_ms = 20;
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a"));
    world_wait_held(world, 1);
    int64_t until = leat_mono_us() + 150 * 1000;
    while (leat_mono_us() < until)
        test_turn(&world->loop);
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /a ");
    world_free(world);
}
END_TEST

/* A client that sends for ever and never reads: the server stops reading, then ends it; memory stays bounded. */
START_TEST(test_client_that_does_not_read)
{
    http_world *world = world_new();
    world->config.body_timeout_ms = 200;
    world_open(world);
    world->reader.fd = test_connect_narrow(leat_http_port(world->server), 4096);
    static const char request[] = GET("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (leat_http_count(world->server)->open > 0 || leat_http_count(world->server)->connections == 0) {
        ck_assert_msg(leat_mono_us() < until, "it was not ended");
        send(world->reader.fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        test_turn(&world->loop);
    }
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    world_free(world);
}
END_TEST

/* ---- the ends of connections ---- */

START_TEST(test_connection_limit)
{
    enum { LIMIT = 3 };
    http_world *world = world_new();
    world->config.connections_max = LIMIT;
    world_open(world);
    int others[LIMIT];
    for (int i = 0; i < LIMIT; i++) {
        world->reader.fd = -1;
        world_connect(world);
        others[i] = world->reader.fd;
        world_send(world, GET("/a"));
        world_expect(world, 200);
    }
    world->reader.fd = -1;
    world_connect(world);
    world_send(world, GET("/refused"));
    world_expect(world, 503);
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    ck_assert_uint_eq(leat_http_count(world->server)->refused, 1);
    ck_assert_uint_eq(leat_http_count(world->server)->malformed, 0);
    ck_assert_uint_eq(world->seen, LIMIT);
    for (int i = 0; i < LIMIT; i++)
        close(others[i]);
    close(world->reader.fd);
    world->reader.fd = -1;
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (leat_http_count(world->server)->open > 0) {
        test_turn(&world->loop);
        ck_assert(leat_mono_us() < until);
    }
    world_connect(world);
    world_send(world, GET("/now"));
    world_expect(world, 200);
    world_free(world);
}
END_TEST

START_TEST(test_half_closed_client_gets_its_answer)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a") "GET /piece HTTP/1.1\r\nHo");
    world_wait_held(world, 1);
    shutdown(world->reader.fd, SHUT_WR);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /a ");
    world_expect_eof(world);
    world_free(world);
}
END_TEST

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Half of them go with a reset, half quietly; the answers are dropped, everybody else is served. */
START_TEST(test_clients_gone_before_the_answer)
{
    enum { COUNT = 40 };
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    for (uint32_t i = 0; i < COUNT; i++) {
        world->reader.fd = -1;
        world_connect(world);
        world_send(world, GET("/a") GET("/b"));
        world_wait_held(world, (i + 1) * 2);
        if (i % 2 == 0)
            reset(world->reader.fd);
        else
            close(world->reader.fd);
    }
    world->reader.fd = -1;
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    for (uint32_t i = 0; i < COUNT * 2; i += 2) {
        world_echo(world->held[i + 1]);
        world_echo(world->held[i]);
    }
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (leat_http_count(world->server)->open > 0) {
        test_turn(&world->loop);
        ck_assert_msg(leat_mono_us() < until, "connections stay");
    }
    world->holds = false;
    world_connect(world);
    world_send(world, GET("/c"));
    world_expect_body(world, 200, "GET /c ");
    world_free(world);
}
END_TEST

START_TEST(test_abandon)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a") GET("/b"));
    world_wait_held(world, 2);
    leat_http_abandon(world->held[0]);
    world_expect_eof(world);
    world_echo(world->held[1]);
    world_free(world);
}
END_TEST

START_TEST(test_answer_after_server_close)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a") GET("/b") GET("/c"));
    world_wait_held(world, 3);
    world_close_server(world);
    world_expect_eof(world);
    world_echo(world->held[2]);
    leat_http_abandon(world->held[0]);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    world_echo(world->held[1]); /* the last one takes the server with it */
    world_free(world);
}
END_TEST

static void close_in_handler(void *context, leat_http_request *request)
{
    http_world *world = context;
    world->seen++;
    if (world->seen == 2)
        world_close_server(world);
    world_echo(request);
}

START_TEST(test_close_inside_handler)
{
    http_world *world = world_new();
    leat_error error = {""};
    world->server = leat_http_listen(&world->loop, &world->config, close_in_handler, world, &error);
    ck_assert_ptr_nonnull(world->server);
    world_connect(world);
    world_send(world, GET("/a") GET("/b") GET("/c"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(world->seen, 2);
    world_free(world);
}
END_TEST

START_TEST(test_drain)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    test_reader *idle = leat_must_calloc(1, sizeof *idle);
    idle->fd = test_connect(leat_http_port(world->server));
    world_send(world, GET("/a") GET("/b"));
    world_wait_held(world, 2);
    world_drain(world);
    ck_assert(test_read_eof(&world->loop, idle));
    ck_assert(!world->drained);
    world_echo(world->held[1]);
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /a ");
    ck_assert(!world->answer.closes);
    world_expect_body(world, 200, "GET /b ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    ck_assert(!world->drained || leat_http_count(world->server)->open == 0);
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    close(idle->fd);
    free(idle);
    world_free(world);
}
END_TEST

START_TEST(test_drain_without_connections)
{
    http_world *world = world_new();
    world_open(world);
    world_drain(world);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* A request whose first bytes are here when the drain begins is still served. */
START_TEST(test_drain_serves_what_has_begun)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world_drain(world);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world_send(world, "i");
    world_expect_body(world, 200, "PUT /a hi");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* Without descriptors the server waits without spinning, and goes on when there are some again. */
START_TEST(test_out_of_descriptors)
{
    http_world *world = world_new();
    world_open(world);
    test_turn(&world->loop);
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    world->reader.fd = test_connect(leat_http_port(world->server));
    struct rlimit none = {.rlim_cur = (rlim_t)world->reader.fd + 1, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    send(world->reader.fd, GET("/a"), sizeof GET("/a") - 1, MSG_NOSIGNAL);
    double cpu = cpu_seconds();
    int64_t until = leat_mono_us() + 300 * 1000;
    while (leat_mono_us() < until)
        uv_run(&world->loop, UV_RUN_ONCE);
    ck_assert(cpu_seconds() - cpu < 0.1);
    ck_assert_uint_eq(leat_http_count(world->server)->connections, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    world_expect_body(world, 200, "GET /a ");
    world_free(world);
}
END_TEST

START_TEST(test_addresses)
{
    static const struct {
        const char *host;
        bool fine;
    } cases[] = {{"127.0.0.1", true}, {"", true}, {NULL, true}, {"0.0.0.0", true}, {"localhost", true},
                 {"256.1.1.1", false}, {"no such host", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_world *world = world_new();
        world->config.host = cases[i].host;
        leat_error error = {""};
        world->server = leat_http_listen(&world->loop, &world->config, close_in_handler, world, &error);
        ck_assert_msg((world->server != NULL) == cases[i].fine, "%s: %s", cases[i].host, error.text);
        if (world->server)
            ck_assert_int_gt(leat_http_port(world->server), 0);
        else
            ck_assert_msg(strstr(error.text, cases[i].host) != NULL, "%s", error.text);
        world_free(world);
    }
}
END_TEST

START_TEST(test_address_in_use)
{
    http_world *world = world_new();
    world_open(world);
    leat_http_config config = world->config;
    config.port = leat_http_port(world->server);
    leat_error error = {""};
    ck_assert_ptr_null(leat_http_listen(&world->loop, &config, close_in_handler, world, &error));
    char expected[128];
    snprintf(expected, sizeof expected, "cannot listen on 127.0.0.1:%d: address in use by another process", config.port);
    ck_assert_str_eq(error.text, expected);
    config.port = 70000;
    ck_assert_ptr_null(leat_http_listen(&world->loop, &config, close_in_handler, world, &error));
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http");
    TCase *requests = tcase_create("requests");
    tcase_add_test(requests, test_keep_alive);
    tcase_add_test(requests, test_close_and_old_version);
    tcase_add_loop_test(requests, test_reading, 0, (int)(sizeof readings / sizeof *readings));
    tcase_add_test(requests, test_headers_are_found);
    tcase_add_loop_test(requests, test_pipelining_keeps_order, 0, 10);
    tcase_add_test(requests, test_pipeline_limit);
    tcase_add_test(requests, test_expect_continue);
    tcase_add_test(requests, test_head_has_no_body);
    suite_add_tcase(s, requests);
    TCase *limits = tcase_create("limits");
    tcase_set_timeout(limits, 30);
    tcase_add_test(limits, test_header_limit_is_exact);
    tcase_add_test(limits, test_body_limit);
    tcase_add_test(limits, test_refusal_reaches_a_busy_sender);
    tcase_add_test(limits, test_bodies_budget);
    tcase_add_test(limits, test_header_deadline);
    tcase_add_loop_test(limits, test_body_deadline, 0, 2);
    tcase_add_test(limits, test_idle_deadline);
    tcase_add_test(limits, test_no_deadline_while_waiting);
    tcase_add_test(limits, test_client_that_does_not_read);
    tcase_add_test(limits, test_connection_limit);
    tcase_add_test(limits, test_out_of_descriptors);
    suite_add_tcase(s, limits);
    TCase *ends = tcase_create("ends");
    tcase_set_timeout(ends, 30);
    tcase_add_test(ends, test_half_closed_client_gets_its_answer);
    tcase_add_test(ends, test_clients_gone_before_the_answer);
    tcase_add_test(ends, test_abandon);
    tcase_add_test(ends, test_answer_after_server_close);
    tcase_add_test(ends, test_close_inside_handler);
    tcase_add_test(ends, test_drain);
    tcase_add_test(ends, test_drain_without_connections);
    tcase_add_test(ends, test_drain_serves_what_has_begun);
    tcase_add_test(ends, test_addresses);
    tcase_add_test(ends, test_address_in_use);
    suite_add_tcase(s, ends);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
