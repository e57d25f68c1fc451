/* The HTTP server: what it reads, keep-alive, pipelining and the order of answers. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "world.h"

START_TEST(test_keep_alive)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    for (int i = 0; i < 3; i++) {
        world_send(world, "PUT /a/b?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        world_expect_body(world, 200, "PUT /a/b hello");
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
    {"GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a "},
    {"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a "},
    {"GET http://a.b:80/c/d?e HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c/d "},
    {"GET HTTP://a.b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / "},
    {"GET http://a.b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET / "},
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
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "PUT /a hello"},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n005\r\nhello\r\nA\r\n, world, x\r\n0\r\n\r\n",
     "PUT /a hello, world, x"},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;n=v\r\nhello\r\n0;l\r\nT: x\r\nHost: b\r\n\r\n",
     "PUT /a hello"},
    {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
     "GET /a "},
    {"PUT /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
     "PUT /a hi"},
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
    world_send(world, "GET / HTTP/1.1\r\nHOST: a\r\nX-Empty:\r\nContent-Type:  text/x; y \t\r\n"
                      "X-Two: 1\r\nX-Two: 2\r\n\r\n");
    world_wait_held(world, 1);
    leat_http_request *request = world->held[0];
    ck_assert(leat_slice_is(leat_http_request_header(request, "host"), "a"));
    ck_assert(leat_slice_is(leat_http_request_header(request, "content-type"), "text/x; y"));
    ck_assert(leat_slice_is(leat_http_request_header(request, "x-two"), "1"));
    ck_assert_uint_eq(leat_http_request_header(request, "x-empty").size, 0);
    ck_assert_uint_eq(leat_http_request_header(request, "x-none").size, 0);
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
        leat_buf_printf(&all, "PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d", i,
                        i % 100);
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
    world_send(
        world,
        GET("/first") "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    world_wait_held(world, 1);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_int_eq((int)recv(world->reader.fd, world->reader.data, 1, MSG_DONTWAIT), -1); /* its
                                                                                               turn
                                                                                               has
                                                                                               not
                                                                                               come
                                                                                             */
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
    return s;
}

int main(void)
{
    return world_run(suite());
}
