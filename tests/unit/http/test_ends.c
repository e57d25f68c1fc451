/* The HTTP server: how connections and the server itself end, and where it listens. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

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

static leat_http_request *gone;
static uint32_t gone_count;

static void on_gone(void *context, leat_http_request *request)
{
    (void)context;
    gone = request;
    gone_count++;
}

static void shut(int fd)
{
    shutdown(fd, SHUT_WR);
}

static void quietly(int fd)
{
    close(fd);
}

static const struct {
    void (*leave)(int fd);
    leat_http_client client; /* then */
} leaves[] = {{shut, LEAT_HTTP_CLIENT_LEFT},
              {quietly, LEAT_HTTP_CLIENT_LEFT},
              {reset, LEAT_HTTP_CLIENT_GONE}};
static const struct {
    const char *requests;
    uint32_t pipeline_max;
} takes[] = {{GET("/a"), 64},
             {GET("/a"), 1}, /* nothing is read any more */
             {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 64}};

/* The owner of a request that may take long hears once that its client leaves, also where nothing
 * is read; whoever still reads gets the answer. */
START_TEST(test_a_request_that_waits_is_left)
{
    http_world *world = world_new();
    int way = _i % 3, take = _i / 3;
    world->config.hooks.on_gone = on_gone;
    world->config.pipeline_max = takes[take].pipeline_max;
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, takes[take].requests);
    world_wait_held(world, 1);
    leat_http_request *request = world->held[0];
    ck_assert(leat_http_request_may_wait(request));
    ck_assert_int_eq(leat_http_request_client(request), LEAT_HTTP_CLIENT_HERE);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(gone_count, 0);
    leaves[way].leave(world->reader.fd);
    for (int i = 0; gone_count == 0; i++) {
        test_turn(&world->loop);
        usleep(100);
        ck_assert(i < 50000);
    }
    ck_assert_ptr_eq(gone, request);
    ck_assert_int_eq(leat_http_request_client(request), leaves[way].client);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(gone_count, 1);
    world_echo(request);
    if (way == 0) {
        world_expect_body(world, 200, "GET /a ");
        world_expect_eof(world);
    } else {
        world->reader.fd = -1;
    }
    world_free(world);
}
END_TEST

/* Nobody is left to wait for anything, and nobody is told. */
START_TEST(test_a_request_without_a_client_does_not_wait)
{
    http_world *world = world_new();
    world->config.hooks.on_gone = on_gone;
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a") GET("/b"));
    world_wait_held(world, 2);
    reset(world->reader.fd);
    world->reader.fd = -1;
    while (leat_http_count(world->server)->open > 0)
        test_turn(&world->loop);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(leat_http_request_client(world->held[i]), LEAT_HTTP_CLIENT_GONE);
        ck_assert(!leat_http_request_may_wait(world->held[i]));
        world_echo(world->held[i]);
    }
    ck_assert_uint_eq(gone_count, 0);
    world_free(world);
}
END_TEST

static bool closes_server;

/* Each may end the others, or the server. */
static void end_all(void *context, leat_http_request *request)
{
    http_world *world = context;
    (void)request;
    gone_count++;
    for (uint32_t i = 0; i < world->held_count; i++)
        world_echo(world->held[i]);
    world->held_count = 0;
    if (closes_server)
        world_close_server(world);
}

START_TEST(test_an_owner_that_is_told_may_do_anything)
{
    http_world *world = world_new();
    world->config.hooks.on_gone = end_all;
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a") GET("/b") GET("/c"));
    world_wait_held(world, 3);
    closes_server = _i == 1;
    for (uint32_t i = 0; i < 3; i++)
        ck_assert(leat_http_request_may_wait(world->held[i]));
    shut(world->reader.fd);
    while (gone_count == 0)
        test_turn(&world->loop);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(gone_count, 1);
    world_free(world);
}
END_TEST

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

/* Before a drain, who comes is still served, once for each connection. */
START_TEST(test_leave)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_send(world, GET("/a"));
    world_expect_body(world, 200, "GET /a ");
    ck_assert(!world->answer.closes);
    leat_http_leave(world->server);
    world_send(world, GET("/b"));
    world_expect_body(world, 200, "GET /b ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    world_connect(world);
    world_send(world, GET("/c"));
    world_expect_body(world, 200, "GET /c ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    world_drain(world);
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

static bool is_connected(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    return poll(&wait, 1, 0) == 1 && (wait.revents & (POLLERR | POLLHUP)) == 0;
}

/* A connection that the kernel has made, and the server has not seen yet, is served. One that is
 * begun during the drain is not made, so that its client knows that nothing was sent. */
START_TEST(test_drain_loses_no_connection)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    world_drain(world);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)leat_http_port(world->server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    ck_assert_int_eq(errno, EINPROGRESS);
    world_send(world, GET("/a"));
    world_expect_body(world, 200, "GET /a ");
    ck_assert(world->answer.closes);
    world_expect_eof(world);
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    ck_assert(!is_connected(late));
    close(late);
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

START_TEST(test_addresses)
{
    static const struct {
        const char *host;
        bool fine;
    } cases[] = {{"127.0.0.1", true},    {"", true},          {NULL, true},
                 {"0.0.0.0", true},      {"localhost", true}, {"256.1.1.1", false},
                 {"no such host", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_world *world = world_new();
        world->config.host = cases[i].host;
        leat_error error = {""};
        world->server =
            leat_http_listen(&world->loop, &world->config, close_in_handler, world, &error);
        ck_assert_msg((world->server != NULL) == cases[i].fine, "%s: %s", cases[i].host,
                      error.text);
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
    snprintf(expected, sizeof expected,
             "cannot listen on 127.0.0.1:%d: address in use by another process", config.port);
    ck_assert_str_eq(error.text, expected);
    config.port = 70000;
    ck_assert_ptr_null(leat_http_listen(&world->loop, &config, close_in_handler, world, &error));
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_ends");
    TCase *ends = tcase_create("ends");
    tcase_set_timeout(ends, 30);
    tcase_add_test(ends, test_half_closed_client_gets_its_answer);
    tcase_add_loop_test(ends, test_a_request_that_waits_is_left, 0, 9);
    tcase_add_test(ends, test_a_request_without_a_client_does_not_wait);
    tcase_add_loop_test(ends, test_an_owner_that_is_told_may_do_anything, 0, 2);
    tcase_add_test(ends, test_clients_gone_before_the_answer);
    tcase_add_test(ends, test_abandon);
    tcase_add_test(ends, test_answer_after_server_close);
    tcase_add_test(ends, test_close_inside_handler);
    tcase_add_test(ends, test_drain);
    tcase_add_test(ends, test_leave);
    tcase_add_test(ends, test_drain_loses_no_connection);
    tcase_add_test(ends, test_drain_without_connections);
    tcase_add_test(ends, test_drain_serves_what_has_begun);
    tcase_add_test(ends, test_addresses);
    tcase_add_test(ends, test_address_in_use);
    suite_add_tcase(s, ends);
    return s;
}

int main(void)
{
    return world_run(suite());
}
