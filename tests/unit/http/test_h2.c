/* HTTP/2: requests and answers, and each guard against a client that means harm. Budgets are set
 * low, so that going one beyond them is cheap; after each, another client is served at once. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream_client.h"
#include "world.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static http_world *open_world(void)
{
    http_world *world = world_new();
    world_open(world);
    return world;
}

/* The server is well, and somebody else is served. */
static void expect_well(http_world *world)
{
    bool held = world->holds;
    world->holds = false;
    stream_client *other = stream_client_new(world, NULL);
    stream_expect(other, stream_send(other, "PUT", "/other", "x"), 200, "PUT /other x");
    stream_client_free(other);
    world->holds = held;
}

/* ---- requests ---- */

START_TEST(test_many_streams)
{
    enum { COUNT = 100 };
    http_world *world = open_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *streams[COUNT];
    char path[32], expected[64];
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "/a/%d?x=1", i);
        streams[i] = stream_send(client, i % 2 ? "PUT" : "GET", path, i % 2 ? "hello" : NULL);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(expected, sizeof expected, i % 2 ? "PUT /a/%d hello" : "GET /a/%d ", i);
        stream_expect(client, streams[i], 200, expected);
        ck_assert_str_eq(streams[i]->content_type, "text/plain");
    }
    ck_assert_uint_eq(leat_http_count(world->server)->connections, 1);
    ck_assert_uint_eq(leat_http_count(world->server)->http_2, 1);
    ck_assert_uint_eq(leat_http_count(world->server)->streams, COUNT);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* Streams do not wait for each other. */
START_TEST(test_answers_in_any_order)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = stream_send(client, "GET", "/first", NULL);
    test_stream *second = stream_send(client, "HEAD", "/second", NULL);
    STREAM_UNTIL(client, world->held_count == 2);
    world_echo(world->held[1]);
    stream_expect(client, second, 200, "");
    ck_assert(!first->is_closed);
    ck_assert(leat_slice_is(leat_http_request_header(world->held[0], "host"), "a"));
    world_echo(world->held[0]);
    stream_expect(client, first, 200, "GET /first ");
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_expect_continue)
{
    static const test_field fields[] = {{":method", "PUT"},
                                        {":scheme", "http"},
                                        {":path", "/a"},
                                        {":authority", "a"},
                                        {"expect", "100-continue"}};
    http_world *world = open_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = stream_send_fields(client, fields, 5, false);
    STREAM_UNTIL(client, stream->got_continue);
    stream_send_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream->id, "hi", 2);
    stream_expect(client, stream, 200, "PUT /a hi");
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* The preface comes byte by byte; what only begins like it is HTTP/1.1. */
START_TEST(test_preface_in_pieces)
{
    http_world *world = open_world();
    world_connect(world);
    for (size_t i = 0; i < sizeof PREFACE - 1; i++)
        test_send(&world->loop, world->reader.fd, PREFACE + i, 1);
    static const char settings[9] = {0, 0, 0, 4};
    test_send(&world->loop, world->reader.fd, settings, sizeof settings);
    while (leat_http_count(world->server)->http_2 == 0)
        test_turn(&world->loop);
    world_connect(world);
    world_send(world, "P");
    world_send(world, "R");
    world_send(world, "OPFIND /a HTTP/1.1\r\nHost: a\r\n\r\n");
    world_expect_body(world, 200, "OTHER /a ");
    world_connect(world);
    world_send(world, "PRI * HTTP/2.0\r\n\r\nXX");
    world_expect(world, 400);
    world_free(world);
}
END_TEST

START_TEST(test_preface_never_ends)
{
    http_world *world = world_new();
    world->config.header_timeout_ms = 100;
    world_open(world);
    world_connect(world);
    world_send(world, "PRI * HT");
    world_expect(world, 408);
    world_expect_eof(world);
    expect_well(world);
    world_free(world);
}
END_TEST

/* ---- limits ---- */

START_TEST(test_too_many_streams)
{
    enum { LIMIT = 4 };
    http_world *world = world_new();
    world->config.streams_max = LIMIT;
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *streams[LIMIT + 1];
    for (int i = 0; i <= LIMIT; i++) /* before the settings are known */
        streams[i] = stream_send(client, "GET", "/a", NULL);
    stream_expect_reset(client, streams[LIMIT], NGHTTP2_REFUSED_STREAM);
    ck_assert_uint_eq(world->held_count, LIMIT);
    expect_well(world);
    for (uint32_t i = 0; i < LIMIT; i++)
        world_echo(world->held[i]);
    for (int i = 0; i < LIMIT; i++)
        stream_expect(client, streams[i], 200, NULL);
    world->holds = false;
    stream_expect(client, stream_send(client, "GET", "/b", NULL), 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A client that has acknowledged the limit, and goes one beyond it, breaks the protocol. */
START_TEST(test_too_many_streams_on_purpose)
{
    enum { LIMIT = 4 };
    static const char headers[] = "\x82\x84\x86\x41\x01" /* GET / of http, and the authority */
                                  "a";
    http_world *world = world_new();
    world->config.streams_max = LIMIT;
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    STREAM_UNTIL(client, nghttp2_session_get_remote_settings(
                             client->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) == LIMIT);
    for (int32_t i = 0; i <= LIMIT; i++)
        stream_send_frame(client, NGHTTP2_HEADERS,
                          NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1, headers,
                          sizeof headers - 1);
    stream_expect_goaway(client, NGHTTP2_PROTOCOL_ERROR);
    ck_assert_uint_eq(world->held_count, LIMIT);
    expect_well(world);
    for (uint32_t i = 0; i < LIMIT; i++) /* their client has gone */
        world_echo(world->held[i]);
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_half_of_the_streams_may_wait)
{
    enum { LIMIT = 4 };
    http_world *world = world_new();
    test_stream *streams[LIMIT];
    world->config.streams_max = LIMIT;
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    for (int i = 0; i < LIMIT; i++)
        streams[i] = stream_send(client, "GET", "/a", NULL);
    STREAM_UNTIL(client, world->held_count == LIMIT);
    ck_assert(leat_http_request_may_wait(world->held[0]));
    ck_assert(leat_http_request_may_wait(world->held[1]));
    ck_assert(!leat_http_request_may_wait(world->held[2]));
    world_echo(world->held[0]);
    stream_expect(client, streams[0], 200, NULL);
    ck_assert(leat_http_request_may_wait(world->held[3]));
    for (int i = 1; i < LIMIT; i++)
        world_echo(world->held[i]);
    for (int i = 1; i < LIMIT; i++)
        stream_expect(client, streams[i], 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

static uint32_t gone_count;

static void on_gone(void *context, leat_http_request *request)
{
    (void)context;
    gone_count++;
    world_echo(request);
}

static void cancel(stream_client *client, test_stream *stream)
{
    nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    STREAM_UNTIL(client, stream->is_closed);
}

/* A stream that is cancelled waits for nothing: the owner of one that waits hears of it at once,
 * and another may wait in its place. */
START_TEST(test_a_cancelled_stream_does_not_wait)
{
    http_world *world = world_new();
    world->config.streams_max = 2;
    world->config.hooks.on_gone = on_gone;
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = stream_send(client, "GET", "/a", NULL);
    STREAM_UNTIL(client, world->held_count == 1);
    cancel(client, first);
    STREAM_UNTIL(client, leat_http_request_client(world->held[0]) == LEAT_HTTP_CLIENT_GONE);
    ck_assert_uint_eq(gone_count, 0);
    ck_assert(!leat_http_request_may_wait(world->held[0]));
    world_echo(world->held[0]);
    for (uint32_t i = 1; i < 4; i++) {
        test_stream *stream = stream_send(client, "GET", "/a", NULL);
        STREAM_UNTIL(client, world->held_count == i + 1);
        ck_assert(leat_http_request_may_wait(world->held[i]));
        if (i < 3)
            cancel(client, stream);
        else
            shutdown(client->fd, SHUT_WR);
        STREAM_UNTIL(client, gone_count == i);
        if (i == 3)
            stream_expect(client, stream, 200, "GET /a ");
    }
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A cancelled stream whose work is on its way counts until the owner has answered. */
START_TEST(test_open_and_cancel)
{
    enum { LIMIT = 3 };
    http_world *world = world_new();
    world->config.streams_max = LIMIT;
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    for (int i = 0; i < LIMIT + 2; i++) {
        test_stream *stream = stream_send(client, "GET", "/a", NULL);
        stream_turn(client);
        nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
        STREAM_UNTIL(client, stream->is_closed);
    }
    test_stream *refused = stream_send(client, "GET", "/a", NULL);
    stream_expect_reset(client, refused, NGHTTP2_REFUSED_STREAM);
    ck_assert_uint_eq(world->held_count, LIMIT);
    for (uint32_t i = 0; i < LIMIT; i++)
        world_echo(world->held[i]);
    world->holds = false;
    stream_expect(client, stream_send(client, "GET", "/b", NULL), 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* One byte over the limit of a header list, by the count of RFC 9113: 431, and only that stream. */
START_TEST(test_header_list)
{
    static char value[512];
    test_field fields[] = {{":method", "GET"},
                           {":scheme", "http"},
                           {":path", "/a"},
                           {":authority", "a"},
                           {"x", value}};
    size_t used = 0;
    for (size_t i = 0; i < 4; i++)
        used += strlen(fields[i].name) + strlen(fields[i].value) + 32;
    http_world *world = world_new();
    world->config.header_max = 512;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    memset(value, 'v', 512 - used - 33);
    test_stream *most = stream_send_fields(client, fields, 5, true);
    stream_expect(client, most, 200, NULL);
    memset(value, 'v', 512 - used - 32);
    stream_expect(client, stream_send_fields(client, fields, 5, true), 431, NULL);
    expect_well(world);
    stream_expect(client, stream_send(client, "GET", "/b", NULL), 200, "GET /b ");
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_too_many_fields)
{
    enum { COUNT = 104 };
    test_field fields[COUNT] = {
        {":method", "GET"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "a"}};
    for (size_t i = 4; i < COUNT; i++)
        fields[i] = (test_field){"x", "1"};
    http_world *world = open_world();
    stream_client *client = stream_client_new(world, NULL);
    stream_expect(client, stream_send_fields(client, fields, COUNT - 1, true), 200, NULL);
    stream_expect(client, stream_send_fields(client, fields, COUNT, true), 431, NULL);
    expect_well(world);
    stream_client_free(client);
    world_free(world);
}
END_TEST

START_TEST(test_bodies)
{
    http_world *world = world_new();
    world->config.body_max = 10;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    stream_expect(client, stream_send(client, "PUT", "/a", "0123456789"), 200, "PUT /a 0123456789");
    stream_expect(client, stream_send(client, "PUT", "/a", "0123456789x"), 413, NULL);
    static const test_field announced[] = {{":method", "PUT"},
                                           {":scheme", "http"},
                                           {":path", "/a"},
                                           {":authority", "a"},
                                           {"content-length", "11"}};
    stream_expect(client, stream_send_fields(client, announced, 5, false), 413, NULL);
    expect_well(world);
    ck_assert_uint_eq(client->goaways, 0);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A body that is longer or shorter than it was announced never reaches the owner. */
START_TEST(test_body_unlike_its_length)
{
    static const test_field fields[] = {{":method", "PUT"},
                                        {":scheme", "http"},
                                        {":path", "/a"},
                                        {":authority", "a"},
                                        {"content-length", "3"}};
    http_world *world = open_world();
    stream_client *client = stream_client_new(world, NULL);
    test_stream *longer = stream_send_fields(client, fields, 5, false);
    stream_send_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, longer->id, "1234", 4);
    stream_expect_reset(client, longer, NGHTTP2_PROTOCOL_ERROR);
    test_stream *shorter = stream_send_fields(client, fields, 5, false);
    stream_send_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, shorter->id, "12", 2);
    stream_expect_reset(client, shorter, NGHTTP2_PROTOCOL_ERROR);
    ck_assert_uint_eq(world->seen, 0);
    expect_well(world);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A connection's bodies are a quarter of all at most. */
START_TEST(test_bodies_of_a_connection)
{
    http_world *world = world_new();
    world->config.bodies_max = 400;
    world->config.body_max = 100;
    world->holds = true;
    world_open(world);
    char body[61];
    memset(body, 'b', 60);
    body[60] = '\0';
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = stream_send(client, "PUT", "/a", body);
    STREAM_UNTIL(client, world->held_count == 1);
    stream_expect(client, stream_send(client, "PUT", "/a", body), 503, NULL);
    leat_http_request_drop_body(world->held[0]);
    test_stream *third = stream_send(client, "PUT", "/c", body);
    STREAM_UNTIL(client, world->held_count == 2);
    world_echo(world->held[0]);
    world_echo(world->held[1]);
    stream_expect(client, first, 200, NULL);
    stream_expect(client, third, 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* So do its heads, also of requests that never become whole. */
START_TEST(test_heads_of_a_connection)
{
    static char value[61];
    static const test_field fields[] = {{":method", "PUT"},
                                        {":scheme", "http"},
                                        {":path", "/a"},
                                        {":authority", "a"},
                                        {"x", value}};
    http_world *world = world_new();
    world->config.bodies_max = 400;
    world->config.body_max = 100;
    world_open(world);
    memset(value, 'v', 60);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = stream_send_fields(client, fields, 5, false);
    stream_expect(client, stream_send_fields(client, fields, 5, true), 503, NULL);
    expect_well(world);
    stream_send_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, first->id, "x", 1);
    stream_expect(client, first, 200, "PUT /a x");
    for (int i = 0; i < 5; i++)
        stream_expect(client, stream_send_fields(client, fields, 5, true), 200, NULL);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* ---- frames without effect ---- */

typedef struct flood {
    const char *name;
    uint8_t type;
    bool on_stream; /* of an open request */
    size_t size;
    char payload[8];
} flood;

static const flood floods[] = {
    {"ping", NGHTTP2_PING, false, 8, {0}},
    {"settings", NGHTTP2_SETTINGS, false, 0, {0}},
    {"priority", NGHTTP2_PRIORITY, true, 5, {0, 0, 0, 0, 1}},
    {"window", NGHTTP2_WINDOW_UPDATE, false, 4, {0, 0, 0, 1}},
    {"data", NGHTTP2_DATA, true, 0, {0}},
};

START_TEST(test_flood)
{
    enum { BUDGET = 20 };
    const flood *it = &floods[_i];
    static const test_field fields[] = {
        {":method", "PUT"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "a"}};
    http_world *world = world_new();
    world->config.frames_budget = BUDGET;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *open = stream_send_fields(client, fields, 4, false);
    for (int i = 0; i < 200; i++)
        stream_send_frame(client, it->type, 0, it->on_stream ? open->id : 0, it->payload, it->size);
    stream_expect_goaway(client, NGHTTP2_ENHANCE_YOUR_CALM);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

START_TEST(test_reset_flood)
{
    http_world *world = world_new();
    world->config.frames_budget = 20;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    static const test_field fields[] = {
        {":method", "PUT"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "a"}};
    for (int i = 0; i < 200 && !client->eof; i++) {
        test_stream *stream = stream_send_fields(client, fields, 4, false);
        stream_turn(client);
        nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    }
    stream_expect_goaway(client, NGHTTP2_ENHANCE_YOUR_CALM);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

/* Whole requests, each answered at once and then reset: they earn more frames than the resets cost,
 * and have a limit of their own. */
START_TEST(test_resets_of_whole_requests)
{
    enum { BUDGET = 10, SENT = 60 };
    static const char cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    http_world *world = world_new();
    world->config.resets_budget = BUDGET;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    for (int i = 0; i < SENT && !client->eof; i++) {
        test_stream *stream = stream_send(client, "GET", "/a", NULL);
        STREAM_UNTIL(client, stream->is_ended || client->eof);
        stream_send_frame(client, NGHTTP2_RST_STREAM, 0, stream->id, cancel, sizeof cancel);
    }
    stream_expect_goaway(client, NGHTTP2_INTERNAL_ERROR);
    ck_assert_uint_lt(world->seen, SENT);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

/* One more than nghttp2 takes for one header block. */
START_TEST(test_continuations)
{
    static const char headers[] = "\x82\x84\x86";
    http_world *world = open_world();
    stream_client *client = stream_client_new(world, NULL);
    stream_turn(client);
    stream_send_frame(client, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, headers, 3);
    for (int i = 0; i < 20; i++)
        stream_send_frame(client, NGHTTP2_CONTINUATION, 0, 1, "", 0);
    stream_expect_goaway(client, NGHTTP2_ENHANCE_YOUR_CALM);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

START_TEST(test_header_block_never_ends)
{
    http_world *world = world_new();
    world->config.header_timeout_ms = 100;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    stream_turn(client);
    stream_send_frame(client, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, "\x82", 1);
    stream_expect_goaway(client, NGHTTP2_ENHANCE_YOUR_CALM);
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

/* ---- slow clients ---- */

/* Each of many bodies that never end is answered by itself, and the connection goes on. */
START_TEST(test_slow_bodies)
{
    enum { COUNT = 5 };
    static const test_field fields[] = {
        {":method", "PUT"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "a"}};
    http_world *world = world_new();
    world->config.body_timeout_ms = 100;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *streams[COUNT];
    for (int i = 0; i < COUNT; i++)
        streams[i] = stream_send_fields(client, fields, 4, false);
    for (int i = 0; i < COUNT; i++)
        stream_expect(client, streams[i], 408, NULL);
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, COUNT);
    stream_expect(client, stream_send(client, "GET", "/b", NULL), 200, "GET /b ");
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* A client that gives no window, or too little, for the answer: its stream is reset. */
START_TEST(test_no_window_for_the_answer)
{
    http_world *world = world_new();
    world->config.body_timeout_ms = 100;
    world_open(world);
    stream_client *client = stream_client_new_with_window(world, (uint32_t)_i);
    test_stream *stream = stream_send(client, "GET", "/a", NULL);
    STREAM_UNTIL(client, stream->is_closed);
    ck_assert_int_eq(stream->status, 200);
    ck_assert_uint_eq(stream->error_code, NGHTTP2_CANCEL);
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

/* It sends and never reads: what is kept for it is bounded, and then it is cut off. */
START_TEST(test_client_that_does_not_read)
{
    http_world *world = world_new();
    world->config.body_timeout_ms = 200;
    world->config.frames_budget = 1000000;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    stream_turn(client);
    client->reads = false;
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    static const char ping[17] = {0, 0, 8, NGHTTP2_PING};
    while (leat_http_count(world->server)->timeouts == 0) {
        ck_assert_msg(leat_mono_us() < until, "it was not cut off");
        for (int i = 0; i < 1000; i++)
            send(client->fd, ping, sizeof ping, MSG_NOSIGNAL | MSG_DONTWAIT);
        test_turn(&world->loop);
        if (leat_http_count(world->server)->malformed > 0)
            break; /* too many acknowledgements waited: cut off for that */
    }
    stream_client_free(client);
    expect_well(world);
    world_free(world);
}
END_TEST

START_TEST(test_idle)
{
    http_world *world = world_new();
    world->config.idle_timeout_ms = 100;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    stream_expect(client, stream_send(client, "GET", "/a", NULL), 200, NULL);
    stream_expect_goaway(client, NGHTTP2_NO_ERROR);
    ck_assert_int_eq(client->goaway_last, 1);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* ---- ends ---- */

START_TEST(test_client_leaves_with_streams_open)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *stream = stream_send(client, "GET", "/a", NULL);
    STREAM_UNTIL(client, world->held_count == 1);
    nghttp2_submit_goaway(client->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    stream_turn(client);
    world_echo(world->held[0]);
    stream_expect(client, stream, 200, "GET /a ");
    STREAM_UNTIL(client, client->eof);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* The connection is gone before the answers; the owner may answer, abandon, or close the server. */
START_TEST(test_gone_before_the_answer)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    for (int i = 0; i < 3; i++)
        stream_send(client, "PUT", "/a", "body");
    STREAM_UNTIL(client, world->held_count == 3);
    struct linger now = {.l_onoff = 1, .l_linger = 0}; /* a reset: an end alone could be half of one
                                                        */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    stream_client_free(client);
    while (leat_http_count(world->server)->open > 0)
        test_turn(&world->loop);
    world_echo(world->held[0]);
    leat_http_request_drop_body(world->held[1]);
    leat_http_abandon(world->held[1]);
    expect_well(world);
    world_close_server(world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    world_echo(world->held[2]);
    world_free(world);
}
END_TEST

START_TEST(test_abandon_resets_the_stream)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *first = stream_send(client, "GET", "/a", NULL);
    test_stream *second = stream_send(client, "GET", "/b", NULL);
    STREAM_UNTIL(client, world->held_count == 2);
    leat_http_abandon(world->held[0]);
    world_echo(world->held[1]);
    stream_expect_reset(client, first, NGHTTP2_INTERNAL_ERROR);
    stream_expect(client, second, 200, "GET /b ");
    stream_client_free(client);
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
    stream_client *client = stream_client_new(world, NULL);
    for (int i = 0; i < 3; i++)
        stream_send(client, "GET", "/a", NULL);
    STREAM_UNTIL(client, client->eof);
    ck_assert_uint_eq(world->seen, 2);
    stream_client_free(client);
    world_free(world);
}
END_TEST

/* Drain: a notice; a request that was on its way is still served; then the last GOAWAY, and an end
 * when the streams that wait are answered. */
START_TEST(test_drain)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *before = stream_send(client, "GET", "/before", NULL);
    STREAM_UNTIL(client, world->held_count == 1);
    test_stream *on_its_way = stream_send(client, "GET", "/on-its-way", NULL);
    world_drain(world);
    STREAM_UNTIL(client, world->held_count == 2);
    STREAM_UNTIL(client, client->goaways == 2);
    ck_assert_uint_eq(client->goaway_code, NGHTTP2_NO_ERROR);
    ck_assert_int_eq(client->goaway_last, on_its_way->id);
    ck_assert(!world->drained);
    world_echo(world->held[1]);
    world_echo(world->held[0]);
    stream_expect(client, before, 200, "GET /before ");
    stream_expect(client, on_its_way, 200, "GET /on-its-way ");
    STREAM_UNTIL(client, client->eof);
    stream_client_free(client);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* What the client's session wants to send goes to `out` instead. */
static void hold_back(stream_client *client, leat_buf *out)
{
    const uint8_t *data = NULL;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(client->session, &data)) > 0)
        leat_buf_append(out, data, (size_t)size);
}

/* A request right behind the frame by which the client says that it has read the notice: the final
 * GOAWAY does not name it, so the client sends it again elsewhere, and it must not be served. */
START_TEST(test_behind_the_final_goaway)
{
    http_world *world = world_new();
    leat_buf request = {0}, bytes = {0};
    world->holds = true;
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    test_stream *before = stream_send(client, "GET", "/before", NULL);
    STREAM_UNTIL(client, world->held_count == 1);
    hold_back(client, &bytes);
    test_stream *late = stream_send(client, "PUT", "/late", "x");
    hold_back(client, &request);
    world_drain(world);
    STREAM_UNTIL(client, client->goaways == 1);
    hold_back(client, &bytes); /* the acknowledgement */
    leat_buf_append(&bytes, request.data, request.size);
    test_send(&world->loop, client->fd, bytes.data, bytes.size);
    stream_expect_reset(client, late, NGHTTP2_REFUSED_STREAM);
    ck_assert_uint_eq(world->held_count, 1);
    ck_assert_int_eq(client->goaway_last, before->id);
    world_echo(world->held[0]);
    stream_expect(client, before, 200, "GET /before ");
    STREAM_UNTIL(client, client->eof);
    leat_buf_free(&request);
    leat_buf_free(&bytes);
    stream_client_free(client);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* Until the server has answered what was sent before. */
static void exchange_pings(stream_client *client)
{
    uint32_t pings = client->pings;
    nghttp2_submit_ping(client->session, NGHTTP2_FLAG_NONE, NULL);
    STREAM_UNTIL(client, client->pings > pings);
}

/* Before a drain connections are served as ever, old ones and new ones: no client hears of the end
 * while its load balancer may still send requests here. */
START_TEST(test_leave)
{
    http_world *world = world_new();
    world_open(world);
    stream_client *old = stream_client_new(world, NULL);
    stream_expect(old, stream_send(old, "GET", "/a", NULL), 200, "GET /a ");
    leat_http_leave(world->server);
    stream_client *new = stream_client_new(world, NULL);
    stream_client *const both[] = {old, new};
    for (size_t i = 0; i < 2; i++) {
        stream_expect(both[i], stream_send(both[i], "GET", "/b", NULL), 200, "GET /b ");
        exchange_pings(both[i]);
        ck_assert_uint_eq(both[i]->goaways, 0);
    }
    world_drain(world);
    for (size_t i = 0; i < 2; i++) {
        STREAM_UNTIL(both[i], both[i]->eof);
        ck_assert_uint_ge(both[i]->goaways, 1);
        ck_assert_uint_eq(both[i]->goaway_code, NGHTTP2_NO_ERROR);
        stream_client_free(both[i]);
    }
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* A client may send nothing before it has read the settings, and give up at a notice what it has
 * not sent. */
START_TEST(test_a_connection_begun_in_a_drain_has_its_first_request)
{
    http_world *world = world_new();
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    world_drain(world);
    exchange_pings(client);
    ck_assert_uint_eq(client->goaways, 0);
    stream_expect(client, stream_send(client, "GET", "/a", NULL), 200, "GET /a ");
    STREAM_UNTIL(client, client->eof);
    ck_assert_uint_ge(client->goaways, 1);
    ck_assert_uint_eq(client->goaway_code, NGHTTP2_NO_ERROR);
    stream_client_free(client);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

START_TEST(test_a_connection_begun_in_a_drain_without_a_request_ends)
{
    http_world *world = world_new();
    world_open(world);
    stream_client *client = stream_client_new(world, NULL);
    world_drain(world);
    STREAM_UNTIL(client, client->eof);
    ck_assert_uint_ge(client->goaways, 1);
    stream_client_free(client);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* Bytes that are not HTTP/2 behind the preface. */
START_TEST(test_garbage)
{
    http_world *world = open_world();
    for (int i = 0; i < 50; i++) {
        leat_prng prng = {(uint64_t)i + 1};
        char noise[256];
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (char)leat_prng_next(&prng);
        world_connect(world);
        world_send(world, PREFACE);
        test_send(&world->loop, world->reader.fd, noise, sizeof noise);
    }
    expect_well(world);
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_h2");
    TCase *h2 = tcase_create("h2");
    tcase_set_timeout(h2, 30);
    tcase_add_test(h2, test_many_streams);
    tcase_add_test(h2, test_answers_in_any_order);
    tcase_add_test(h2, test_expect_continue);
    tcase_add_test(h2, test_preface_in_pieces);
    tcase_add_test(h2, test_preface_never_ends);
    tcase_add_test(h2, test_too_many_streams);
    tcase_add_test(h2, test_too_many_streams_on_purpose);
    tcase_add_test(h2, test_open_and_cancel);
    tcase_add_test(h2, test_half_of_the_streams_may_wait);
    tcase_add_test(h2, test_a_cancelled_stream_does_not_wait);
    tcase_add_test(h2, test_header_list);
    tcase_add_test(h2, test_too_many_fields);
    tcase_add_test(h2, test_bodies);
    tcase_add_test(h2, test_body_unlike_its_length);
    tcase_add_test(h2, test_bodies_of_a_connection);
    tcase_add_test(h2, test_heads_of_a_connection);
    tcase_add_loop_test(h2, test_flood, 0, (int)(sizeof floods / sizeof *floods));
    tcase_add_test(h2, test_reset_flood);
    tcase_add_test(h2, test_resets_of_whole_requests);
    tcase_add_test(h2, test_continuations);
    tcase_add_test(h2, test_header_block_never_ends);
    tcase_add_test(h2, test_slow_bodies);
    tcase_add_loop_test(h2, test_no_window_for_the_answer, 0, 2);
    tcase_add_test(h2, test_client_that_does_not_read);
    tcase_add_test(h2, test_idle);
    tcase_add_test(h2, test_client_leaves_with_streams_open);
    tcase_add_test(h2, test_gone_before_the_answer);
    tcase_add_test(h2, test_abandon_resets_the_stream);
    tcase_add_test(h2, test_close_inside_handler);
    tcase_add_test(h2, test_leave);
    tcase_add_test(h2, test_a_connection_begun_in_a_drain_has_its_first_request);
    tcase_add_test(h2, test_a_connection_begun_in_a_drain_without_a_request_ends);
    tcase_add_test(h2, test_drain);
    tcase_add_test(h2, test_behind_the_final_goaway);
    tcase_add_test(h2, test_garbage);
    suite_add_tcase(s, h2);
    return s;
}

int main(void)
{
    return world_run(suite());
}
