#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void world_echo(leat_http_request *request)
{
    static const char *const names[] = {"GET",    "HEAD", "PUT",     "PATCH",
                                        "DELETE", "POST", "OPTIONS", "OTHER"};
    leat_buf text = {0};
    leat_buf_text(&text, names[leat_http_request_method(request)]);
    leat_buf_byte(&text, ' ');
    leat_buf_slice(&text, leat_http_request_path(request));
    leat_buf_byte(&text, ' ');
    leat_buf_slice(&text, leat_http_request_body(request));
    leat_http_answer(request, LEAT_HTTP_OK, "text/plain", (leat_slice){text.data, text.size}, NULL);
    leat_buf_free(&text);
}

static void on_request(void *context, leat_http_request *request)
{
    http_world *world = context;
    world->seen++;
    if (!world->holds) {
        world_echo(request);
        return;
    }
    ck_assert_uint_lt(world->held_count, WORLD_HELD_MAX);
    world->held[world->held_count++] = request;
    world->enough = world->held_count >= world->wanted;
}

http_world *world_new(void)
{
    http_world *world = leat_must_calloc(1, sizeof *world);
    ck_assert_int_eq(uv_loop_init(&world->loop), 0);
    leat_http_config_defaults(&world->config);
    world->config.port = 0;
    world->reader.fd = -1;
    return world;
}

void world_open(http_world *world)
{
    leat_error error = {""};
    world->server = leat_http_listen(&world->loop, &world->config, on_request, world, &error);
    ck_assert_msg(world->server, "%s", error.text);
}

void world_close_server(http_world *world)
{
    leat_http_close(world->server);
    world->server = NULL;
}

void world_free(http_world *world)
{
    if (world->server)
        world_close_server(world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world->loop), 0);
    if (world->reader.fd >= 0)
        close(world->reader.fd);
    free(world);
}

void world_connect(http_world *world)
{
    if (world->reader.fd >= 0)
        close(world->reader.fd);
    world->reader.fd = test_connect(leat_http_port(world->server));
    world->reader.eof = false;
    world->reader.size = 0;
}

void world_send(http_world *world, const char *text)
{
    test_send_text(&world->loop, world->reader.fd, text);
}

void world_wait_held(http_world *world, uint32_t count)
{
    world->wanted = count;
    world->enough = world->held_count >= count;
    test_turn_until(&world->loop, &world->enough);
}

void world_expect(http_world *world, int status)
{
    ck_assert_msg(test_read_answer(&world->loop, &world->reader, false, &world->answer),
                  "the connection ended early");
    ck_assert_msg(world->answer.status == status, "status %d, not %d: %s", world->answer.status,
                  status, world->answer.body);
}

void world_expect_body(http_world *world, int status, const char *body)
{
    world_expect(world, status);
    ck_assert_str_eq(world->answer.body, body);
}

void world_expect_eof(http_world *world)
{
    ck_assert(test_read_eof(&world->loop, &world->reader));
}

static void on_drained(void *context)
{
    http_world *world = context;
    ck_assert(!world->drained);
    world->drained = true;
}

int world_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

void world_drain(http_world *world)
{
    leat_http_drain(world->server, on_drained);
}
