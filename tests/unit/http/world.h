/* world.h - a server whose requests a test reads, and answers when it likes. */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include <check.h>

#include "http/http.h"
#include "client.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

enum { WORLD_HELD_MAX = 4096 };

typedef struct http_world {
    uv_loop_t loop;
    leat_http_config config;
    leat_http_server *server;
    /* requests wait in `held`; else each is answered at once with a 200 that echoes it */
    bool holds;
    bool enough; /* `held_count` has reached `wanted` */
    uint32_t wanted;
    uint32_t seen;
    uint32_t held_count;
    leat_http_request *held[WORLD_HELD_MAX];
    bool drained;
    bool server_closed;
    test_reader reader;
    test_answer answer;
} http_world;

/* Limits fit for tests; change world->config, then open. */
http_world *world_new(void);
void world_open(http_world *world);
/* Held requests must have been answered before. */
void world_free(http_world *world);
void world_connect(http_world *world);
void world_send(http_world *world, const char *text);
void world_wait_held(http_world *world, uint32_t count);
/* Answers with "METHOD path body". */
void world_echo(leat_http_request *request);
/* Reads one answer and checks its status. */
void world_expect(http_world *world, int status);
void world_expect_body(http_world *world, int status, const char *body);
void world_expect_eof(http_world *world);
void world_drain(http_world *world);
void world_close_server(http_world *world);
/* The main of a TAP test program: failures are counted in its output, not in its exit code. */
int world_run(Suite *suite);

#endif
