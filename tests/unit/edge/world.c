#include "../record/fixture.h"

#include <unistd.h>

#include "world.h"

leat_schema_version *version_new(void)
{
    leat_schema_version *version = leat_schema_version_new();
    version->table_count = 1;
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->tables[0] = fixture_table();
    version->routes.count = 1;
    version->routes.routes[0] =
        fixture_route(&version->tables[0], "/apps/{app_id}/devices/{device}");
    return version;
}

void on_ask(void *context)
{
    ((edge_world *)context)->asks++;
}

edge_world *world_new(void)
{
    edge_world *world = leat_must_calloc(1, sizeof *world);
    ck_assert_int_eq(uv_loop_init(&world->loop), 0);
    world->version = version_new();
    world->schema_versions = leat_schema_versions_new(1, on_ask, world);
    leat_schema_versions_publish(world->schema_versions, 0, world->version, 1);
    leat_layout_even(&world->layout, 4, 1, (const char *const[]){"a"});
    world->metrics = leat_metrics_new();
    world->reader.fd = -1;
    world->config = (leat_edge_config){
        .log = {.topic = "writes\"1"},
        .layout = &world->layout,
        .schema_versions = world->schema_versions,
        .in_flight_max = 12,
        .batches_max = 2,
        .idempotency_ms = 24 * 3600 * 1000,
        .ready_age_ms = 5000,
        .metrics = world->metrics,
    };
    leat_http_config_defaults(&world->config.http);
    world->config.http.port = 0;
    world->config.http.body_max = 1000;
    return world;
}

void world_connect(edge_world *world)
{
    if (world->reader.fd >= 0)
        close(world->reader.fd);
    world->reader.fd = test_connect(leat_edge_port(world->edge));
    world->reader.eof = false;
    world->reader.size = 0;
}

void world_open(edge_world *world)
{
    leat_error error = {""};
    world->edge = leat_edge_new(&world->loop, &world->config, &error);
    ck_assert_msg(world->edge, "%s", error.text);
    world->log = fake_log_last();
    world_connect(world);
}

void world_free(edge_world *world)
{
    leat_edge_free(world->edge);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world->loop), 0);
    fake_log_forget();
    leat_metrics_free(world->metrics);
    leat_schema_versions_free(world->schema_versions);
    if (world->reader.fd >= 0)
        close(world->reader.fd);
    free(world);
}

void send_request(edge_world *world, const char *line, const char *headers, const char *body)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "%s HTTP/1.1\r\nHost: a\r\n%s", line, headers);
    leat_buf_printf(&text, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    test_send(&world->loop, world->reader.fd, text.data, text.size);
    leat_buf_free(&text);
}

void expect_answer(edge_world *world, int status)
{
    ck_assert_msg(test_read_answer(&world->loop, &world->reader, false, &world->answer),
                  "the connection ended early");
    ck_assert_msg(world->answer.status == status, "%d, not %d: %s", world->answer.status, status,
                  world->answer.body);
}

void expect_start(const edge_world *world, const char *start)
{
    ck_assert_msg(strncmp(world->answer.body, start, strlen(start)) == 0, "%s", world->answer.body);
}

const fake_record *wait_record(edge_world *world, uint32_t count)
{
    for (int i = 0; world->log->count < count; i++) {
        test_turn(&world->loop);
        usleep(100);
        ck_assert_msg(i < 50000, "no record came");
    }
    return &world->log->records[count - 1];
}
