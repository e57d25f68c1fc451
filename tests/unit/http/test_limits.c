/* The HTTP server: limits and deadlines. Deadlines are short and waited for; no test relies on a
 * time to be enough. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/internal.h"
#include "world.h"

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
        /* as soon as it is announced */
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
         200},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n",
         413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n",
         413}, /* and no 100 */
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

/* The client is in the middle of sending a body that is too large: the answer must reach it, not a
 * reset. */
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
    world->config.bodies_max = 130; /* a head is 23 */
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

/* A head of somewhat more than a thousand bytes; without the line that ends it. */
static void send_head(http_world *world, const char *line)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "%s HTTP/1.1\r\nHost: a\r\nX: %01000d\r\n", line, 1);
    test_send(&world->loop, world->reader.fd, text.data, text.size);
    leat_buf_free(&text);
}

/* Heads count like bodies, whole or not. */
START_TEST(test_heads_budget)
{
    enum { HELD = 3 };
    http_world *world = world_new();
    world->config.bodies_max = (HELD + 1) * 1000;
    world->holds = true;
    world_open(world);
    world_connect(world);
    for (uint32_t i = 0; i < HELD; i++) {
        send_head(world, "GET /a");
        world_send(world, "\r\n");
        world_wait_held(world, i + 1);
    }
    int first = world->reader.fd;
    for (int is_whole = 0; is_whole < 2; is_whole++) {
        world->reader.fd = -1;
        world_connect(world);
        send_head(world, "GET /a");
        if (is_whole)
            world_send(world, "\r\n");
        world_expect(world, 503);
        world_expect_eof(world);
        close(world->reader.fd);
    }
    for (uint32_t i = 0; i < HELD; i++)
        world_echo(world->held[i]);
    world->holds = false;
    world->reader.fd = -1;
    world_connect(world);
    send_head(world, "GET /b");
    world_send(world, "\r\n");
    world_expect_body(world, 200, "GET /b ");
    close(first);
    world_free(world);
}
END_TEST

/* Behind one that is not answered, others are answered: of these only the answers are kept. */
START_TEST(test_an_answer_that_waits_keeps_no_request)
{
    enum { COUNT = 60 };
    http_world *world = world_new();
    world->config.bodies_max = 3000;
    world->holds = true;
    world_open(world);
    world_connect(world);
    for (uint32_t i = 0; i < COUNT; i++) {
        send_head(world, "PUT /a");
        world_send(world, "Content-Length: 5\r\n\r\nhello");
        world_wait_held(world, i + 1);
        if (i == 0)
            continue;
        world_echo(world->held[i]);
        ck_assert_ptr_null(world->held[i]->head.data);
        ck_assert_ptr_null(world->held[i]->body.data);
    }
    world_echo(world->held[0]);
    for (int i = 0; i < COUNT; i++)
        world_expect_body(world, 200, "PUT /a hello");
    world_free(world);
}
END_TEST

/* A body that is dropped is memory for the next one, not of a request that waits. */
START_TEST(test_a_dropped_body_is_given_back)
{
    static const char put[] = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    const char *memory = NULL;
    for (uint32_t i = 0; i < 10; i++) {
        world_send(world, put);
        world_wait_held(world, i + 1);
        leat_http_request *request = world->held[i];
        ck_assert(leat_slice_is(leat_http_request_body(request), "hello"));
        ck_assert(!memory || request->body.data == memory);
        memory = request->body.data;
        leat_http_request_drop_body(request);
        ck_assert_ptr_null(request->body.data);
        ck_assert_uint_eq(leat_http_request_body(request).size, 0);
        world_echo(request);
        world_expect_body(world, 200, "PUT /a ");
    }
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
    world_send(world, _i == 0 ? "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
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

/* The process was stopped for longer than any deadline; the client's bytes had come in time and
 * wait in the socket. */
START_TEST(test_a_standstill_counts_for_no_deadline)
{
    static const struct {
        const char *before, *meanwhile, *body;
    } cases[] = {
        {"", GET("/a"), "GET /a "},
        {"GET /a HTTP/1.1\r\nHo", "st: a\r\n\r\n", "GET /a "},
        {"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx", "yz", "PUT /a xyz"},
    };
    http_world *world = world_new();
    world->config.idle_timeout_ms = world->config.header_timeout_ms =
        world->config.body_timeout_ms = 400;
    world_open(world);
    world_connect(world);
    if (*cases[_i].before)
        world_send(world, cases[_i].before);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_int_eq(write(world->reader.fd, cases[_i].meanwhile, strlen(cases[_i].meanwhile)),
                     (ssize_t)strlen(cases[_i].meanwhile));
    usleep(1500 * 1000); /* no turn of the loop */
    world_expect_body(world, 200, cases[_i].body);
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

/* A client that sends without end and never reads: the server stops reading, then ends it; memory
 * stays bounded. */
START_TEST(test_client_that_does_not_read)
{
    http_world *world = world_new();
    world->config.body_timeout_ms = 200;
    world_open(world);
    world->reader.fd = test_connect_narrow(leat_http_port(world->server), 4096);
    static const char request[] =
        GET("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (leat_http_count(world->server)->open > 0 ||
           leat_http_count(world->server)->connections == 0) {
        ck_assert_msg(leat_mono_us() < until, "it was not ended");
        send(world->reader.fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        test_turn(&world->loop);
    }
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    world_free(world);
}
END_TEST

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

static Suite *suite(void)
{
    Suite *s = suite_create("http_limits");
    TCase *limits = tcase_create("limits");
    tcase_set_timeout(limits, 30);
    tcase_add_test(limits, test_header_limit_is_exact);
    tcase_add_test(limits, test_body_limit);
    tcase_add_test(limits, test_refusal_reaches_a_busy_sender);
    tcase_add_test(limits, test_bodies_budget);
    tcase_add_test(limits, test_heads_budget);
    tcase_add_test(limits, test_an_answer_that_waits_keeps_no_request);
    tcase_add_test(limits, test_a_dropped_body_is_given_back);
    tcase_add_test(limits, test_header_deadline);
    tcase_add_loop_test(limits, test_body_deadline, 0, 2);
    tcase_add_test(limits, test_idle_deadline);
    tcase_add_loop_test(limits, test_a_standstill_counts_for_no_deadline, 0, 3);
    tcase_add_test(limits, test_no_deadline_while_waiting);
    tcase_add_test(limits, test_client_that_does_not_read);
    tcase_add_test(limits, test_connection_limit);
    tcase_add_test(limits, test_out_of_descriptors);
    suite_add_tcase(s, limits);
    return s;
}

int main(void)
{
    return world_run(suite());
}
